"""`runs` and `show`: what one does with a run afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from crewmix.cli.options import JsonOption, ProjectOption, RunArgument, find_project

if TYPE_CHECKING:
    from crewmix.journal.rows import RunRow


def runs(
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="The most runs to list.")] = 20,
    as_json: JsonOption = False,
    project: ProjectOption = None,
) -> None:
    """List the project's runs, the newest first."""
    from crewmix.cli.output import say, say_json
    from crewmix.cli.text import money, one_line
    from crewmix.runs import list_runs

    rows = list_runs(find_project(project), limit)
    if as_json:
        say_json([_summary(row) for row in rows])
        return
    if not rows:
        say('No runs yet. `crewmix run CREW "GOAL"` makes one.')
    for row in rows:
        cost = money(row.result["cost"]) if row.result else "-"
        say(f"{row.run_id}  {_when(row.created)}  {row.status:9}  {cost:>9}  {row.crew}: {one_line(row.goal, 80)}")


def show(
    run: RunArgument,
    events: Annotated[bool, typer.Option("--events", help="Everything that happened, in order.")] = False,
    drafts: Annotated[
        bool, typer.Option("--drafts", help="Who said what, how it was judged, voted and merged.")
    ] = False,
    as_json: JsonOption = False,
    project: ProjectOption = None,
) -> None:
    """Show a run: its answer, its sources and what it cost."""
    from crewmix.cli.output import say, say_json
    from crewmix.runs import find_run, run_events

    home = find_project(project)
    row = find_run(home, run)
    happened = run_events(home, row.run_id) if events or drafts else []
    if as_json:
        said = _drafts(happened) if drafts else {}
        say_json({**_summary(row), "result": row.result, **said, **({"events": happened} if events else {})})
        return
    say(_text(row, happened, events, drafts))


def _drafts(happened: list[dict[str, Any]]) -> dict[str, Any]:
    from crewmix.cli.talks import Talks

    talks = Talks(happened)
    return {"drafts": talks.as_list(), "merge": talks.final()}


def _summary(row: RunRow) -> dict[str, Any]:
    names = ("run_id", "crew", "goal", "status", "created", "updated", "error")
    cost = {"cost": row.result["cost"], "calls": row.result["calls"]} if row.result else {"cost": None, "calls": None}
    return {**{name: getattr(row, name) for name in names}, **cost}


def _text(row: RunRow, happened: list[dict[str, Any]], events: bool, drafts: bool) -> Iterator[str]:
    from crewmix.cli.facts import model_lines
    from crewmix.cli.report import report
    from crewmix.cli.text import clean
    from crewmix.result import RunResult

    yield f"Run {row.run_id}, {_when(row.created)}, {row.status}"
    yield clean(f"Crew {row.crew}: {row.goal}")
    result = RunResult.from_dict(row.result) if row.result is not None else None
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
    yield f"It has no result{': ' + clean(row.error) if row.error else ''}."
    yield f"`crewmix resume {row.run_id}` goes on with it; `crewmix show {row.run_id} --events` tells what happened."


def _event_lines(data: dict[str, Any]) -> list[str]:
    from crewmix.cli.facts import facts
    from crewmix.cli.text import duration, one_line
    from crewmix.journal.events import ModelCalled, RunFinished, event_from_dict

    try:
        event = event_from_dict(data)
    except (KeyError, TypeError):
        return [f"{data.get('seq', '?'):>5}  {one_line(str(data))}  (of another version of crewmix)"]
    lines = facts(event) or [event.type]
    if isinstance(event, RunFinished):
        lines = [f"run {event.status}"]
    if isinstance(event, ModelCalled):
        tokens = f"{event.input_tokens:,} tokens in, {event.output_tokens:,} out"
        lines = [f"  {event.role} called {event.model} to {event.purpose}: {tokens}, {duration(event.seconds)}"]
    return [f"{event.seq if place == 0 else '':>5}  {line}" for place, line in enumerate(lines)]


def _when(seconds: float) -> str:
    from datetime import datetime

    return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M")
