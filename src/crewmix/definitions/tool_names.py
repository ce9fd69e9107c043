"""The names of the tools that Python files define, found without importing anything.

A file is read by its syntax tree: functions decorated with `@tool`, classes deriving from `BaseTool` with a literal name,
and module variables that hold `SomethingTool(...)`.
"""

from __future__ import annotations

import ast
import hashlib
import re
import threading
import unicodedata
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from crewmix.definitions.project import shown
from crewmix.errors import Problem

ENTRY_POINTS = "crewmix.tools"
"""Entry point group by which installed packages bring tools."""

MAX_LENGTH = 64

_parsing = threading.Lock()
"""Neither Python's warning filters nor, in 3.11, its parser can be used by two threads at once (python/cpython#106905)."""


@dataclass(frozen=True, slots=True)
class ToolSource:
    """Where a tool is defined: `attribute` is the module's variable, function or class."""

    name: str
    path: Path
    attribute: str
    line: int


def sanitize_tool_name(name: str) -> str:
    """The tool name that providers accept: lower case, digits and `_`, at most 64 characters.

    The result is the same as crewAI's, so that every engine sees one name: "Upper Case" becomes `upper_case`, "getItem"
    becomes `get_item`; a longer name is cut and ends in 8 hex digits of its SHA-256.
    """
    text = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode("ascii")
    text = re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", text)
    text = re.sub(r"([a-z])([A-Z])", r"\1_\2", text)
    text = re.sub(r"['\"]+", "", text.lower())
    text = re.sub(r"[^a-z0-9]+", "_", text).strip("_")
    if len(text) <= MAX_LENGTH:
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    return f"{text[: MAX_LENGTH - 9].rstrip('_')}_{digest}"


def find_tools(folder: Path) -> tuple[dict[str, ToolSource], list[Problem]]:
    """The tools that the `.py` files of a folder define; files whose name starts with `_` are left out.

    Returns:
        The tools by sanitised name, and a problem for each file that is no Python and for each name defined twice.
    """
    found: dict[str, ToolSource] = {}
    problems: list[Problem] = []
    for path in sorted(folder.glob("*.py")):
        if path.name.startswith("_"):
            continue
        try:
            sources = tuple(_tools_of(path))
        except SyntaxError as error:
            problems.append(_syntax_problem(path, error))
            continue
        except (OSError, ValueError, RecursionError, MemoryError) as error:
            problems.append(Problem("tool_file", f"the tool file cannot be read: {error}", shown(path)))
            continue
        for source in sources:
            first = found.setdefault(source.name, source)
            if first is not source:
                message = f"tool `{source.name}` is already defined in {first.path.name}, line {first.line}"
                problems.append(Problem("duplicate_tool", message, shown(path), source.line, 1))
    return found, problems


def entry_point_tools() -> tuple[str, ...]:
    """Names of the tools that installed packages bring by the entry point group `crewmix.tools`."""
    from importlib.metadata import entry_points

    return tuple(sorted({sanitize_tool_name(point.name) for point in entry_points(group=ENTRY_POINTS)}))


def _syntax_problem(path: Path, error: SyntaxError) -> Problem:
    line, column = error.lineno or 0, max(error.offset or 1, 1)
    source = (error.text or "").rstrip("\r\n")
    return Problem(
        "tool_syntax", f"not valid Python: {error.msg}", shown(path), line, column if line else 0, source[:160]
    )


def _tools_of(path: Path) -> Iterator[ToolSource]:
    with _parsing, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = ast.parse(path.read_bytes(), str(path))
    for node in tree.body:
        for name, attribute in _names(node):
            clean = sanitize_tool_name(name)
            if clean:
                yield ToolSource(clean, path, attribute, node.lineno)


def _names(node: ast.stmt) -> Iterator[tuple[str, str]]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        decorator = next((d for d in node.decorator_list if _last_name(d) == "tool"), None)
        if decorator is not None:
            yield _literal_name(decorator) or node.name, node.name
    elif isinstance(node, ast.ClassDef):
        if any(_last_name(base).endswith("BaseTool") for base in node.bases):
            name = _class_name_field(node.body)
            if name:
                yield name, node.name
    elif isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Call):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        if _last_name(node.value).endswith("Tool"):
            for target in targets:
                if isinstance(target, ast.Name) and not target.id.startswith("_"):
                    yield target.id, target.id


def _last_name(node: ast.expr) -> str:
    """`tool` for `tool`, `crewmix.tool`, `tool(...)` and `crewmix.tool(...)`."""
    while isinstance(node, ast.Call | ast.Subscript):
        node = node.func if isinstance(node, ast.Call) else node.value
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _literal_name(node: ast.expr) -> str:
    """The literal that a decorator call gives as name, by keyword or as the only argument."""
    if not isinstance(node, ast.Call):
        return ""
    given = [keyword.value for keyword in node.keywords if keyword.arg == "name"] or node.args[:1]
    return _text(given)


def _class_name_field(body: Iterable[ast.stmt]) -> str:
    for node in body:
        if isinstance(node, ast.AnnAssign):
            targets: list[ast.expr] = [node.target]
        elif isinstance(node, ast.Assign):
            targets = node.targets
        else:
            continue
        if any(isinstance(target, ast.Name) and target.id == "name" for target in targets) and node.value:
            return _text([node.value])
    return ""


def _text(values: list[ast.expr]) -> str:
    value = values[0] if values else None
    return value.value if isinstance(value, ast.Constant) and isinstance(value.value, str) else ""
