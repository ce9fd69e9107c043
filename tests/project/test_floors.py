"""The house: imports go down only, and each framework is behind its own wall."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.command import REPOSITORY

PACKAGE = REPOSITORY / "src" / "crewmix"

FLOORS = (
    ("errors",),
    ("loop",),
    ("definitions",),
    ("journal",),
    ("models",),
    ("knowledge",),
    ("tools",),
    ("agents",),
    ("result",),
    ("planning", "chat", "synthesis"),
    ("merging",),
    ("taskwork",),
    ("orchestrate", "tally"),
    ("staff", "ledgers"),
    ("workplace",),
    ("launch",),
    ("opening",),
    ("session",),
    ("stream", "running", "options"),
    ("crew",),
    ("runs",),
    ("cli",),
    ("__main__",),
)
LEVEL = {name: level for level, names in enumerate(FLOORS) for name in names}

WALLS = {
    "crewai": ("agents/crewai_*.py", "models/adapters/*.py", "tools/adapters/*.py"),
    "autogen": ("chat/autogen_*.py", "models/adapters/*.py", "tools/adapters/*.py"),
}

FILES = sorted(PACKAGE.rglob("*.py"))


def imports(tree: ast.AST, package: str) -> Iterator[tuple[int, str]]:
    """Line and full name of everything a module imports, also inside functions; not what only type checkers see."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            for other in node.orelse:
                yield from imports(other, package)
        elif isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = package.split(".")
                base = ".".join([*parts[: len(parts) - node.level + 1], *([base] if base else [])])
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)
        else:
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
                yield from ((node.lineno, a.value) for a in node.args[:1] if isinstance(a, ast.Constant))
            yield from imports(node, package)


def imports_of(file: Path) -> Iterator[tuple[int, str]]:
    package = ".".join(file.relative_to(PACKAGE.parent).parent.parts)
    return imports(ast.parse(file.read_text(encoding="utf-8")), package)


def floor_of(file: Path) -> str:
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.relative_to(PACKAGE).as_posix())
def test_imports_go_down_only(file: Path) -> None:
    room = floor_of(file)
    if room == "__init__":
        assert not [name for _, name in imports_of(file) if name.startswith("crewmix")], "the front door is lazy"
        return
    assert room in LEVEL, f"{room} is on no floor: add it to FLOORS and to docs/architecture.md"
    for line, name in imports_of(file):
        parts = name.split(".")
        if parts[0] == "crewmix" and len(parts) > 1 and parts[1] in LEVEL:
            assert LEVEL[parts[1]] <= LEVEL[room], f"{file}:{line}: {room} imports {name}, which is on a higher floor"


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.relative_to(PACKAGE).as_posix())
def test_frameworks_stay_behind_their_walls(file: Path) -> None:
    place = file.relative_to(PACKAGE)
    for line, name in imports_of(file):
        for framework, allowed in WALLS.items():
            if name.split(".")[0].removeprefix("py").split("_")[0] == framework:
                inside = any(place.match(pattern) for pattern in allowed)
                assert inside, f"{file}:{line}: {framework} is imported outside {', '.join(allowed)}"


def test_every_floor_is_inhabited() -> None:
    assert {floor_of(file) for file in FILES} - {"__init__"} == set(LEVEL)


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("import crewai", ["crewai"]),
        ("def f():\n    from autogen_core.tools import Tool", ["autogen_core.tools.Tool"]),
        ("from ..models import types", ["crewmix.models.types"]),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import crewai", ["typing.TYPE_CHECKING"]),
        ("import importlib\nimportlib.import_module('crewai')", ["importlib", "crewai"]),
    ],
)
def test_the_reader_of_imports_sees_them_all(source: str, names: list[str]) -> None:
    assert [name for _, name in imports(ast.parse(source), "crewmix.tools")] == names
