"""`export` and `import`: runs as files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crewmix.cli.options import JsonOption, ProjectOption, find_project
from crewmix.errors import UsageError

if TYPE_CHECKING:
    from crewmix.definitions.project import Project


class Form(StrEnum):
    """What is written."""

    RUN = "run"
    TRAINING = "training"
    CHAT = "chat"


def export(
    runs: Annotated[
        list[str] | None, typer.Argument(metavar="RUN", help="A run's id, the beginning of it, or last.")
    ] = None,
    form: Annotated[
        Form,
        typer.Option(
            "--format",
            help="run: all of one run, for `crewmix import`. training, chat: examples for fine-tuning, one a synthesis.",
        ),
    ] = Form.RUN,
    all_runs: Annotated[bool, typer.Option("--all", help="Take every run, for fine-tuning examples.")] = False,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Where to; packed if it ends in .gz; - is stdout. [default: RUN.jsonl]",
        ),
    ] = None,
    project: ProjectOption = None,
) -> None:
    """Write a run into one file, or fine-tuning examples from many. No secrets, no folders of this machine."""
    from crewmix.cli.text import count
    from crewmix.runs.export import run_lines
    from crewmix.runs.training import training_lines

    home = find_project(project)
    ids = _wanted(home, runs or [], all_runs)
    if form is Form.RUN:
        if len(ids) != 1:
            raise UsageError("a file holds one run", hint="export them one by one, or `--format training`")
        lines = _write(run_lines(home, ids[0]), output or f"{ids[0]}.jsonl")
        _told(f"run {ids[0]}, {lines:,} lines", output or f"{ids[0]}.jsonl")
        return
    name = "training" if form is Form.TRAINING else "chat"
    target = output or (f"{ids[0]}.{name}.jsonl" if len(ids) == 1 else f"{name}.jsonl")
    examples = _write(training_lines(home, ids, name), target)
    _told(f"{count(examples, 'example')} from {count(len(ids), 'run')}", target)


def import_file(
    file: Annotated[Path, typer.Argument(help="A file that `crewmix export` wrote.", show_default=False)],
    as_new: Annotated[bool, typer.Option("--as-new", help="Give the run a new id.")] = False,
    as_json: JsonOption = False,
    project: ProjectOption = None,
) -> None:
    """Read a run's file into the project: then it can be shown, replayed, forked, and resumed."""
    from dataclasses import asdict

    from crewmix.cli.output import say, say_json
    from crewmix.runs.importing import import_run

    read = import_run(find_project(project), file, as_new=as_new)
    if as_json:
        say_json(asdict(read))
    elif read.new:
        say(f"Run {read.run_id}: {read.effects:,} effects and {read.events:,} events read from {file}.")
        say(f"`crewmix show {read.run_id}` shows it.")
    else:
        say(f"Run {read.run_id} is here already, exactly as in {file}.")


def _wanted(project: Project, runs: Sequence[str], all_runs: bool) -> list[str]:
    """The ids of the runs that were named.

    Raises:
        UsageError: None was, or both some and all.
    """
    from crewmix.journal.reading import DAMAGED
    from crewmix.runs import find_run, list_runs

    if bool(runs) == all_runs:
        raise UsageError("name runs, or --all" if not runs else "--all goes without names of runs")
    if all_runs:
        return [row.run_id for row in reversed(list_runs(project, limit=-1)) if row.status != DAMAGED]
    return list(dict.fromkeys(find_run(project, run).run_id for run in runs))


def _write(lines: Iterable[str], target: str) -> int:
    """Write the lines to a file or, for `-`, to stdout; returns how many they are."""
    from crewmix.cli.output import stdout
    from crewmix.runs.export import write_lines

    known = list(lines)
    if target == "-":
        stdout().write("".join(known))
        stdout().flush()
    else:
        write_lines(Path(target), known)
    return len(known)


def _told(what: str, target: str) -> None:
    from crewmix.cli.output import say

    if target != "-":
        say(f"{what[0].upper()}{what[1:]} written to {target}.")
