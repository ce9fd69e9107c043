"""Definition files in, a checked crew out, or every mistake of all files involved at once."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

from crewmix.definitions.check_files import check_files
from crewmix.definitions.definition import CrewDefinition
from crewmix.definitions.loader import Loader, Models
from crewmix.definitions.names import nearest
from crewmix.definitions.nodes import Node, SourceFile, from_data
from crewmix.definitions.project import YAML_SUFFIXES, Project, files_of, library_root
from crewmix.definitions.spec import CrewSpec
from crewmix.errors import DefinitionError, NotFoundError, Problem, UsageError


def load_crew(
    name_or_path: str | Path,
    project: Project,
    *,
    extra_tools: Collection[str] = (),
    models: Models | None = None,
    inputs: Mapping[str, str] | None = None,
    environ: Mapping[str, str] = os.environ,
) -> CrewDefinition:
    """Read a crew and everything it names.

    Args:
        name_or_path: A crew's name, or a path to its file.
        project: Where names are looked for, before the built-in library.
        extra_tools: Names of tools that are given in Python.
        models: Models that replace those of the crew, and of the crews within it, that have these names.
        inputs: Values for the crew's `inputs`.
        environ: Where `${NAME}` is looked up.

    Raises:
        NotFoundError: There is no such crew; the hint names the nearest.
        DefinitionError: Mistakes in the files, all of them.
        UsageError: A model or input is given that the crew does not know.
    """
    name = str(name_or_path)
    path = project.locate("crews", name)
    if path is None:
        hint = None if name.endswith(YAML_SUFFIXES) else nearest(name, project.names("crews"))
        raise NotFoundError(f"there is no crew {name!r}", hint=hint)
    loader = Loader(project, extra_tools, environ, models)
    return _finished(loader, loader.crew_file(path), inputs)


def define_crew(
    spec: CrewSpec,
    project: Project,
    *,
    extra_tools: Collection[str] = (),
    models: Models | None = None,
    inputs: Mapping[str, str] | None = None,
    environ: Mapping[str, str] = os.environ,
) -> CrewDefinition:
    """Check a crew that was built in Python, as `load_crew` checks a file; its problems have no line."""
    loader = Loader(project, extra_tools, environ, models)
    source = SourceFile(f"crew `{spec.name or 'crew'}`")
    node = from_data(spec.model_dump(mode="json", exclude_unset=True), source)
    node.fields.setdefault("name", Node(spec.name or "crew", source))
    return _finished(loader, loader.crew(loader.reader.extended("crews", node, ()), None), inputs)


def check_project(
    project: Project,
    *,
    library: bool = False,
    extra_tools: Collection[str] = (),
    environ: Mapping[str, str] = os.environ,
) -> list[Problem]:
    """Every mistake in every crew, role, task and tool file of a project.

    Args:
        project: The project.
        library: Whether to check the built-in library too.
        extra_tools: Names of tools that are given in Python.
        environ: Where `${NAME}` is looked up.

    Returns:
        The problems by file and line; none when all is right.
    """
    loader = Loader(project, extra_tools, environ)
    roots = dict.fromkeys((project.root, library_root()) if library else (project.root,))
    for root in roots:
        for path in files_of(root, "crews").values():
            loader.crew_file(path)
        for path in files_of(root, "roles").values():
            loader.role(path)
        for path in files_of(root, "tasks").values():
            loader.task(path)
        loader.reader.add(loader.tools(root)[1])
        loader.reader.add(check_files(root))
    return loader.reader.sorted_problems()


def _finished(loader: Loader, crew: CrewDefinition | None, inputs: Mapping[str, str] | None) -> CrewDefinition:
    """The crew with the values of its inputs, unless there is a problem."""
    if crew is not None:
        _refuse_unknown("model", loader.models, loader.known_models)
        _refuse_unknown("input", inputs or {}, crew.inputs)
    problems = loader.reader.sorted_problems()
    if problems or crew is None:
        raise DefinitionError(problems)
    return replace(crew, inputs={**crew.inputs, **(inputs or {})})


def _refuse_unknown(what: str, given: Collection[str], known: Collection[str]) -> None:
    for name in given:
        if name not in known:
            raise UsageError(f"the crew has no {what} `{name}`", hint=nearest(name, known))
