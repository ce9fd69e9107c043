"""`runs` and `show`: what one does with a run afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from crewmix.cli.options import JsonOption, ProjectOption, RunArgument, find_project
from crewmix.errors import UsageError

if TYPE_CHECKING:
    from crewmix.definitions.project import Project
    from crewmix.journal.rows import RunRow


def runs(
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="The most runs to list.")] = 20,
    prune: Annotated[
        bool, typer.Option("--prune", help="Delete runs: those that fit all that is said of them.")
    ] = False,
    keep: Annotated[
        int | None, typer.Option("--keep", metavar="N", min=0, help="With --prune: not the N newest.")
    ] = None,
    older_than: Annotated[
        str | None, typer.Option("--older-than", metavar="AGE", help="With --prune: unchanged for e.g. 30d, 12h or 2w.")
    ] = None,
    status: Annotated[
        list[str] | None,
        typer.Option("--status", metavar="STATUS", help="With --prune: of this status. [default: all but waiting]"),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="With --prune: only say what would be deleted.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="With --prune: do not ask.")] = False,
    as_json: JsonOption = False,
    project: ProjectOption = None,
) -> int:
    """List the project's runs, the newest first, or delete some."""
    from crewmix.cli.output import say, say_json
    from crewmix.cli.text import one_line
    from crewmix.runs import list_runs

    home = find_project(project)
    if prune:
        from crewmix.cli.pruning import Wish
        from crewmix.cli.pruning import prune as prune_runs

        return prune_runs(home, Wish(keep, older_than, status or [], dry_run, yes, as_json))
    if keep is not None or older_than is not None or status or dry_run:
        raise UsageError("--keep, --older-than, --status and --dry-run go with --prune")
    rows = list_runs(home, limit)
    if as_json:
        say_json([_summary(row) for row in rows])
        return 0
    if not rows:
        say('No runs yet. `crewmix run CREW "GOAL"` makes one.')
    for row in rows:
        start = f"{one_line(row.run_id)}  {_when(row.created)}  {one_line(row.status):9}  {_price(row):>9}"
        say(f"{start}  {one_line(row.crew, 64)}: {one_line(row.goal, 80)}")
        if row.status == "waiting" and row.error:
            say(f"    {one_line(row.error, 150)}")
    return 0


def show(
    run: RunArgument,
    events: Annotated[bool, typer.Option("--events", help="Everything that happened, in order.")] = False,
    drafts: Annotated[
        bool, typer.Option("--drafts", help="Who said what, how it was judged, voted and merged.")
    ] = False,
    cost: Annotated[bool, typer.Option("--cost", help="What it cost: by role, task, stage and model.")] = False,
    as_json: JsonOption = False,
    project: ProjectOption = None,
) -> None:
    """Show a run: its answer, its sources and what it cost."""
    from crewmix.cli.output import say, say_json
    from crewmix.runs import find_run, run_events

    home = find_project(project)
    row = find_run(home, run)
    if cost:
        if events or drafts:
            raise UsageError("--cost goes without --events and --drafts")
        _show_costs(home, row, as_json)
        return
    happened = run_events(home, row.run_id) if events or drafts else []
    if as_json:
        said = _drafts(happened) if drafts else {}
        say_json({**_summary(row), "result": row.result, **said, **({"events": happened} if events else {})})
    else:
        say(_text(home, row, happened, events, drafts))


def _show_costs(project: Project, row: RunRow, as_json: bool) -> None:
    from crewmix.cli.costs import cost_lines
    from crewmix.cli.output import say, say_json
    from crewmix.cli.text import clean
    from crewmix.runs.costs import run_costs

    costs = run_costs(project, row.run_id)
    if as_json:
        say_json({"status": row.status, **costs.as_dict()})
        return
    say([f"Run {row.run_id}, {_when(row.created)}, {clean(row.status)}", ""])
    say(cost_lines(costs))


def _drafts(happened: list[dict[str, Any]]) -> dict[str, Any]:
    from crewmix.cli.talks import Talks

    talks = Talks(happened)
    return {"drafts": talks.as_list(), "merge": talks.final()}


def _summary(row: RunRow) -> dict[str, Any]:
    names = ("run_id", "crew", "goal", "status", "created", "updated", "error")
    result = row.result or {}
    parent = {"forked_from": row.definition.get("forked_from") or None}
    return {
        **{name: getattr(row, name) for name in names},
        **parent,
        "cost": result.get("cost"),
        "calls": result.get("calls"),
    }


def _price(row: RunRow) -> str:
    """What the run cost; `-` when it has no result."""
    from crewmix.cli.text import money

    try:
        return money(row.result["cost"]) if row.result else "-"
    except (KeyError, TypeError, ValueError, ArithmeticError):
        return "?"


def _text(home: Project, row: RunRow, happened: list[dict[str, Any]], events: bool, drafts: bool) -> Iterator[str]:
    from crewmix.cli.facts import model_lines
    from crewmix.cli.report import report
    from crewmix.cli.text import clean
    from crewmix.runs.recorded import recorded_result

    result = recorded_result(row)
    yield f"Run {row.run_id}, {_when(row.created)}, {clean(row.status)}"
    yield clean(f"Crew {row.crew}: {row.goal}")
    if parent := row.definition.get("forked_from"):
        yield clean(f"Forked from run {parent}.")
    if events:
        for data in happened:
            yield from _event_lines(data)
    if result is not None:
        yield from model_lines(result.models)
    if drafts:
        from crewmix.cli.drafts import draft_lines
        from crewmix.cli.talks import Talks

        yield from draft_lines(Talks(happened))
    if result is not None:
        yield from report(result)
        return
    if row.status == "waiting":
        from crewmix.cli.commands.answer import question_lines
        from crewmix.runs.waiting import open_questions

        yield from question_lines(row.run_id, open_questions(home, row.run_id))
        return
    yield f"It has no result{': ' + clean(row.error) if row.error else ''}."
    yield f"`crewmix resume {row.run_id}` goes on with it; `crewmix show {row.run_id} --events` tells what happened."


def _event_lines(data: dict[str, Any]) -> list[str]:
    from crewmix.cli.facts import facts
    from crewmix.cli.text import duration, one_line
    from crewmix.journal.events import ModelCalled, RunFinished, event_from_dict

    try:
        event = event_from_dict(data)
        lines = facts(event) or [event.type]
        if isinstance(event, RunFinished):
            lines = [f"run {event.status}"]
        if isinstance(event, ModelCalled):
            tokens = f"{event.input_tokens:,} tokens in, {event.output_tokens:,} out"
            lines = [f"  {event.role} called {event.model} to {event.purpose}: {tokens}, {duration(event.seconds)}"]
    except (KeyError, TypeError, ValueError, ArithmeticError, AttributeError):
        return [f"{data['seq']:>5}  {one_line(str(data))}  (damaged, or of another version of crewmix)"]
    return [f"{data['seq'] if place == 0 else '':>5}  {line}" for place, line in enumerate(lines)]


def _when(seconds: float) -> str:
    from datetime import datetime

    return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M")
