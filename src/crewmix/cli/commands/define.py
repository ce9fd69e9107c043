"""`init`, `check`, `schema`: a project's files, before anything runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crewmix.cli.options import JsonOption, ProjectOption, find_project

if TYPE_CHECKING:
    from crewmix.definitions.names import Kind
    from crewmix.definitions.project import Project
    from crewmix.errors import Problem

WRONG_INPUT = 2


def init(
    folder: Annotated[Path, typer.Argument(metavar="[DIR]", help="Where to; made when it does not exist.")] = Path(),
    from_crewai: Annotated[
        Path | None,
        typer.Option(
            "--from-crewai", metavar="DIR", help="Convert the agents.yaml and tasks.yaml of a crewAI project."
        ),
    ] = None,
) -> None:
    """Start a project: example files to make your own."""
    from crewmix.cli.output import say
    from crewmix.cli.text import clean

    if from_crewai is None:
        from crewmix.definitions.scaffold import init_project

        written = init_project(folder, name=folder.resolve().name)
        losses: Sequence[object] = ()
    else:
        from crewmix.definitions.from_crewai import convert

        report = convert(from_crewai, folder)
        written, losses = report.written, report.losses
    say([clean(f"wrote {path}") for path in written])
    say([clean(f"not carried over: {loss}") for loss in losses])
    crews = sorted(path.stem for path in written if path.parent.name == "crews")
    if crews:
        where = "" if folder.resolve() == Path.cwd() else f"cd {folder} && "
        say(f'Next: {where}crewmix check && crewmix run {crews[0]} "your question"')


def check(
    crews: Annotated[
        list[str] | None,
        typer.Argument(metavar="[CREW]...", help="Crews to check with all they name. [default: every file]"),
    ] = None,
    library: Annotated[bool, typer.Option("--library", help="Check the built-in crews, roles and tasks too.")] = False,
    as_json: JsonOption = False,
    project: ProjectOption = None,
) -> int:
    """Find every mistake in the YAML files and name its line. Runs nothing."""
    from crewmix.cli.output import say, say_json
    from crewmix.cli.text import clean, count
    from crewmix.definitions.load import check_project

    home = find_project(project)
    problems = _check_crews(home, crews) if crews else check_project(home, library=library)
    if as_json:
        fields = ("code", "message", "file", "line", "column", "hint")
        say_json({"ok": not problems, "problems": [{f: getattr(p, f) for f in fields} for p in problems]})
        return WRONG_INPUT if problems else 0
    say([clean(str(problem)) for problem in problems])
    say(f"{count(len(problems), 'mistake')} found" if problems else f"No mistakes in {_what(home, crews, library)}.")
    return WRONG_INPUT if problems else 0


def schema(
    folder: Annotated[
        Path | None, typer.Argument(metavar="[DIR]", help="Where to. [default: .crewmix/schemas]")
    ] = None,
    project: ProjectOption = None,
) -> None:
    """Write JSON Schemas, so that editors complete and check YAML."""
    from crewmix.cli.output import say
    from crewmix.definitions.schema import write_schemas

    written = write_schemas(folder or find_project(project).state / "schemas")
    say([str(path) for path in written])


def _check_crews(project: Project, crews: Sequence[str]) -> list[Problem]:
    from crewmix.definitions.load import load_crew
    from crewmix.errors import DefinitionError

    problems: dict[Problem, None] = {}
    for crew in crews:
        try:
            load_crew(crew, project)
        except DefinitionError as error:
            problems.update(dict.fromkeys(error.problems))
    return list(problems)


def _what(project: Project, crews: Sequence[str] | None, library: bool) -> str:
    from crewmix.cli.text import count
    from crewmix.definitions.project import files_of, library_root

    if crews:
        return ", ".join(crews)
    roots = {project.root, library_root()} if library else {project.root}
    kinds: tuple[tuple[Kind, str], ...] = (("crews", "crew"), ("roles", "role"), ("tasks", "task"))
    return ", ".join(count(sum(len(files_of(root, kind)) for root in roots), noun) for kind, noun in kinds)
