"""Where the Python code lies that a crew file names as `package.module:name`."""

from __future__ import annotations

import ast
import sys
import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from crewmix.definitions.names import nearest
from crewmix.definitions.nodes import Node
from crewmix.definitions.parts import Parts
from crewmix.definitions.project import shown
from crewmix.definitions.spec import ChatSpec
from crewmix.definitions.spec_base import FUNCTION
from crewmix.errors import Problem


def project_file(module: str, root: Path) -> Path | None:
    """The file of a project that a module's name means; None = it is none of the project's."""
    place = root.joinpath(*module.split("."))
    return next((path for path in (place.with_name(f"{place.name}.py"), place / "__init__.py") if path.is_file()), None)


def check_code(parts: Parts) -> Iterator[Problem]:
    """Functions and classes that are not where the crew says. Nothing is imported."""
    for chat, node in ((parts.spec.chat, parts.node), *((work.task.chat, work.node) for work in parts.tasks)):
        for path, at in _named(chat, node.at("chat")) if chat else ():
            if FUNCTION.fullmatch(path):
                yield from _missing(path, at, parts.root)


def _named(chat: ChatSpec, node: Node) -> Iterator[tuple[str, Node]]:
    yield chat.pattern, node.at("pattern")
    if chat.select.function is not None:
        yield chat.select.function, node.at("select", "function")


def _missing(path: str, at: Node, root: Path) -> Iterator[Problem]:
    module, _, name = path.partition(":")
    file = project_file(module, root)
    if file is None:
        if not _installed(module.partition(".")[0]):
            hint = f"write it in {module.replace('.', '/')}.py in the project's folder, or install it"
            yield at.problem("unknown_function", f"there is no Python module `{module}`", hint=hint)
        return
    try:
        with warnings.catch_warnings(action="ignore"):
            tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError) as error:
        line = error.lineno if isinstance(error, SyntaxError) else None
        yield at.problem("unknown_function", f"{shown(file)}:{line or 1} is no valid Python: {error}")
        return
    names = _top_names(tree)
    if name not in names and "*" not in names and "__getattr__" not in names:
        message = f"{shown(file)} defines no `{name}`"
        yield at.problem("unknown_function", message, hint=nearest(name, names))


def _installed(package: str) -> bool:
    try:
        return package in sys.modules or find_spec(package) is not None
    except (ImportError, ValueError):
        return False


def _top_names(tree: ast.Module) -> list[str]:
    """Names that a module may define, in conditions and `with` as well; `*` = there may be others."""
    names: list[str] = []
    ahead: list[ast.AST] = list(reversed(tree.body))
    while ahead:
        node = ahead.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.append(node.name)
            continue
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.append(node.id)
        elif isinstance(node, ast.alias):
            names.append(node.asname or node.name.partition(".")[0])
        ahead += reversed(list(ast.iter_child_nodes(node)))
    return names
