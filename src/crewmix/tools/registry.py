"""Tools by name: given in Python, from the project's `tools/`, built in, or brought by installed packages."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from crewmix.definitions.project import Project, library_root
from crewmix.definitions.tool_names import ENTRY_POINTS, ToolSource, find_tools, sanitize_tool_name
from crewmix.errors import NotFoundError, Problem, ToolDefinitionError
from crewmix.models.adapters.crewai_silence import load_crewai
from crewmix.tools.base import Risk, Tool
from crewmix.tools.files import import_tool_file


@dataclass(frozen=True, slots=True)
class ToolInfo:
    """A tool as `crewmix tools` lists it. `problem` says why it cannot be used; then the rest may be empty."""

    name: str
    description: str = ""
    risk: Risk | None = None
    source: str = ""
    problem: str | None = None


def load_tools(names: Iterable[str], project: Project, extra: Sequence[object] = ()) -> dict[str, Tool]:
    """The wanted tools by the names they are wanted by. Only files that define a wanted tool are imported.

    A name is looked for among `extra`, then in the project's `tools/*.py`, the built-in ones, and the entry points
    `crewmix.tools` of installed packages. Names are compared in their sanitised form: `getItem` finds `get_item`.

    Args:
        names: The names roles use.
        project: The project.
        extra: Tools given in Python: made by `@tool`, typed functions, crewAI or AutoGen tools.

    Raises:
        NotFoundError: There is no tool of that name; all unknown names at once.
        ToolDefinitionError: A wanted tool, its file or its package is broken.
    """
    given = _given(extra)
    sources, problems = _in_files(project)
    wanted = {name: sanitize_tool_name(name) for name in names}
    points = {} if all(clean in given or clean in sources for clean in wanted.values()) else _points()
    found: dict[str, Tool] = {}
    missing: list[str] = []
    for name, clean in wanted.items():
        if clean in given:
            found[name] = given[clean]
        elif clean in sources:
            found[name] = _from_file(sources[clean], project)
        elif clean in points:
            found[name] = _from_package(points[clean], clean)
        else:
            missing.append(name)
    if missing:
        raise _not_found(missing, {*given, *sources, *points}, problems)
    return found


def describe_tools(project: Project) -> list[ToolInfo]:
    """Every tool of the project, the library and installed packages, sorted by name; broken ones say what is wrong."""
    sources, problems = _in_files(project)
    infos = [ToolInfo(Path(p.file).name, source=p.file, problem=str(p)) for p in problems]
    infos += [_info(name, source, project) for name, source in sources.items()]
    infos += [_info(name, point, project) for name, point in _points().items() if name not in sources]
    return sorted(infos, key=lambda info: info.name)


def as_tool(thing: object) -> Tool:
    """A tool from what a user hands over: one of ours, a typed function, a crewAI tool or class, an AutoGen tool.

    Raises:
        ToolDefinitionError: It is none of these, or cannot be made a tool.
    """
    if isinstance(thing, Tool):
        return thing
    kind = thing if isinstance(thing, type) else type(thing)
    frameworks = {base.__module__.split(".")[0] for base in kind.__mro__ if base.__name__ == "BaseTool"}
    if "crewai" in frameworks:
        load_crewai()
        from crewmix.tools.adapters.crewai import from_crewai

        return from_crewai(thing)  # pyright: ignore[reportArgumentType]
    if "autogen_core" in frameworks:
        from crewmix.tools.adapters.autogen import from_autogen

        return from_autogen(thing)  # pyright: ignore[reportArgumentType]
    from crewmix.tools.function import from_function

    return from_function(thing)  # pyright: ignore[reportArgumentType]


def _given(extra: Sequence[object]) -> dict[str, Tool]:
    tools: dict[str, Tool] = {}
    for tool in map(as_tool, extra):
        if tools.setdefault(tool.name, tool) is not tool:
            raise ToolDefinitionError(f"two of the given tools are called `{tool.name}`")
    return tools


def _in_files(project: Project) -> tuple[dict[str, ToolSource], list[Problem]]:
    found: dict[str, ToolSource] = {}
    problems: list[Problem] = []
    for root in project.roots:
        here, wrong = find_tools(root / "tools")
        found = here | found
        problems += wrong
    return found, problems


def _points() -> dict[str, EntryPoint]:
    return {sanitize_tool_name(point.name): point for point in entry_points(group=ENTRY_POINTS)}


def _from_file(source: ToolSource, project: Project) -> Tool:
    thing = getattr(import_tool_file(source.path), source.attribute, None)
    try:
        return replace(as_tool(thing), name=source.name, source=_shown(source.path, project))
    except ToolDefinitionError as error:
        if str(source.path) in error.message:
            raise
        raise ToolDefinitionError(f"{source.path}:{source.line}: {error.message}", hint=error.hint) from error


def _shown(path: Path, project: Project) -> str:
    """A tool file's name for people: relative to the project, or to the built-in library."""
    for root in (project.root.resolve(), library_root().resolve()):
        if path.resolve().is_relative_to(root):
            name = path.resolve().relative_to(root).as_posix()
            return name if root == project.root.resolve() else f"built-in {name}"
    return str(path)


def _from_package(point: EntryPoint, name: str) -> Tool:
    package = point.dist.name if point.dist is not None else point.module
    if point.dist is not None and any(need.startswith("crewai") for need in point.dist.requires or ()):
        load_crewai()
    try:
        return replace(as_tool(point.load()), name=name, source=f"package {package}")
    except ToolDefinitionError as error:
        raise ToolDefinitionError(f"tool `{name}` of package {package}: {error.message}", hint=error.hint) from error
    except (Exception, SystemExit) as error:
        raise ToolDefinitionError(
            f"tool `{name}` of package {package} cannot be imported from {point.value}: {type(error).__name__}: {error}"
        ) from error


def _info(name: str, source: ToolSource | EntryPoint, project: Project) -> ToolInfo:
    try:
        tool = _from_file(source, project) if isinstance(source, ToolSource) else _from_package(source, name)
    except ToolDefinitionError as error:
        return ToolInfo(name, problem=str(error))
    return ToolInfo(name, tool.description, tool.risk, tool.source)


def _not_found(missing: list[str], known: set[str], problems: Iterable[Problem]) -> NotFoundError:
    def hints() -> Iterator[str]:
        near = [m for name in missing for m in difflib.get_close_matches(sanitize_tool_name(name), known, n=1)]
        yield f"did you mean {', '.join(near)}?" if near else f"there are: {', '.join(sorted(known)) or 'none'}"
        yield from (f"{p.file}:{p.line}: {p.message}" for p in problems)

    what = "no tool" if len(missing) == 1 else "no tools"
    return NotFoundError(f"there is {what} named {', '.join(missing)}", hint="\n        ".join(hints()))
