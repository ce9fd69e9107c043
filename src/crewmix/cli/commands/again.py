"""`replay`, `fork`, `diff`: working with what was recorded."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from crewmix.cli.commands.run import QuietOption, VerboseOption, WaitOption, YesOption
from crewmix.cli.options import (
    BudgetOption,
    InputOption,
    JsonOption,
    ModelOption,
    ProjectOption,
    RunArgument,
    find_project,
    read_budget,
    read_goal,
    read_models,
    read_pairs,
)
from crewmix.errors import UsageError

if TYPE_CHECKING:
    from crewmix.journal.events import Event
    from crewmix.result import RunResult
    from crewmix.runs.diff import Change, RunDiff, Totals

SAME, DIFFERENT = 0, 1


def replay(
    run: RunArgument,
    as_now: Annotated[
        bool, typer.Option("--as-now", help="Use the crew's files as they are now, to see what an edit would ask anew.")
    ] = False,
    as_json: JsonOption = False,
    project: ProjectOption = None,
) -> int:
    """Work a run again from its journal alone, and compare. Calls nothing, writes nothing, costs nothing.

    Exit code 0: it came to the same. 1: it did not, or something was not recorded.
    """
    from crewmix.cli.output import say, say_json
    from crewmix.cli.report import report
    from crewmix.cli.text import clean
    from crewmix.runs.replay import replay as work_again

    replayed = work_again(find_project(project), run, as_now=as_now)
    if as_json:
        say_json(replayed.as_dict())
        return SAME if replayed.same else DIFFERENT
    if replayed.result is not None:
        say(report(replayed.result))
    if replayed.error is not None:
        say(clean(f"It ended so: {replayed.error.message}"))
    end = "the same as recorded" if replayed.same else f"not the same as recorded: {clean(replayed.difference)}"
    say(f"Run {replayed.run_id}, replayed: {end}.")
    return SAME if replayed.same else DIFFERENT


def fork(
    run: RunArgument,
    scope: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="PLACE",
            help="Ask everything at this place anew, e.g. task.2/chat/round.1/researcher.",
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            "-s",
            metavar="PLACE=VALUE",
            help="Change the crew, e.g. roles.critic.llm=openai/gpt-5, chat.max_turns=6.",
        ),
    ] = None,
    goal: Annotated[
        str | None, typer.Option("--goal", metavar="TEXT", help="Another goal; - reads it from stdin.")
    ] = None,
    model: ModelOption = None,
    inputs: InputOption = None,
    budget: BudgetOption = None,
    yes: YesOption = False,
    wait: WaitOption = False,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
    project: ProjectOption = None,
) -> int:
    """Work a run's goal in a new run with changes, and pay only for what changes."""
    from crewmix.cli import logs
    from crewmix.cli.output import warn
    from crewmix.cli.text import count
    from crewmix.cli.watch import watch
    from crewmix.journal.events import ModelCalled, RunStarted
    from crewmix.runs.fork import fork as branch

    limits, models, home = read_budget(budget), read_models(model), find_project(project)
    values, text = read_pairs(inputs, "--input"), "" if goal is None else read_goal(goal)
    if scope is not None and not scope.strip():
        raise UsageError(
            "--from names no place", hint=f"`crewmix show {run} --events --json` tells the scopes of the run"
        )
    logs.configure(verbose)
    calls: list[bool] = []
    parent = [run]

    def start(**seat: Any) -> RunResult:
        show = seat.pop("on_event")

        def see(event: Event) -> None:
            if isinstance(event, RunStarted):
                parent[0] = event.forked_from
            if isinstance(event, ModelCalled):
                calls.append(event.recalled)
            show(event)

        return branch(
            home,
            run,
            scope=scope or "",
            settings=settings or (),
            goal=text,
            models=models,
            inputs=values,
            budget=limits,
            on_event=see,
            **seat,
        )

    code = watch(start, as_json=as_json, quiet=quiet, yes=yes, wait=wait)
    taken, made = sum(calls), len(calls) - sum(calls)
    warn(f"Fork of run {parent[0]}: {count(taken, 'answer')} taken over, {count(made, 'new call')}.")
    return code


def diff(
    first: Annotated[
        str, typer.Argument(metavar="RUN", help="A run's id, the beginning of it, or last.", show_default=False)
    ],
    second: Annotated[str, typer.Argument(metavar="RUN", help="The other run.", show_default=False)],
    as_json: JsonOption = False,
    project: ProjectOption = None,
) -> int:
    """Show how two runs differ: definition, plan, who said what, answer, cost.

    Exit code 0: both came to the same answer. 1: they did not.
    """
    from crewmix.cli.output import say, say_json
    from crewmix.runs.diff import diff as compare

    found = compare(find_project(project), first, second)
    if as_json:
        say_json(found.as_dict())
    else:
        say(_painted(_lines(found)))
    return SAME if found.same else DIFFERENT


def _lines(found: RunDiff) -> Iterator[str]:
    from crewmix.cli.text import clean, one_line
    from crewmix.runs.diff import unified

    yield f"--- {found.first.run_id}"
    yield f"+++ {found.second.run_id}"
    for title, changes in (("Definition:", found.definition), ("Plan:", found.plan)):
        if changes:
            yield title
        for change in changes:
            yield f"  {one_line(change.place)}"
            yield from (f"  {line}" for line in _sides(change))
    if found.drafts:
        yield "Drafts:"
    for change in found.drafts:
        yield f"  {one_line(change.place)}"
        yield from (f"  {clean(line)}" for line in unified(change.before, change.after))
    if found.answer is not None:
        yield "Answer:"
        yield from (f"  {clean(line)}" for line in unified(found.answer.before, found.answer.after, context=3))
    else:
        yield "The answers are the same."
    yield from _totals(found.first, found.second)


def _sides(change: Change) -> Iterator[str]:
    from crewmix.cli.text import clean
    from crewmix.runs.diff import unified

    before, after = change.before, change.after
    if isinstance(before, str) and isinstance(after, str):
        yield from map(clean, unified(before, after))
        return
    for mark, value in (("-", before), ("+", after)):
        if value is not None:
            yield clean(f"{mark}{value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}")


def _totals(first: Totals, second: Totals) -> Iterator[str]:
    from crewmix.cli.text import duration, money

    def told(total: Totals) -> tuple[str, ...]:
        seconds = "" if total.seconds is None else duration(total.seconds)
        models = ", ".join(dict.fromkeys(total.models.values()))
        return (total.status, f"{total.calls:,}", f"{total.tokens:,}", money(total.cost), seconds, models)

    names = ("status", "calls", "tokens", "cost", "time", "models")
    rows = list(zip(names, told(first), told(second), strict=True))
    width = min(60, max(len(before) for _, before, _ in rows))
    yield from (f"{name:8}{before:{width}}  {after}".rstrip() for name, before, after in rows)


def _painted(lines: Iterator[str]) -> Sequence[str]:
    """The lines, on a terminal with what is gone in red and what is new in green."""
    from crewmix.cli.output import is_rich_terminal, stdout

    if not is_rich_terminal(stdout()):
        return list(lines)
    colours = {"-": "31", "+": "32", "@": "36"}
    return [f"\x1b[{colours[mark]}m{line}\x1b[0m" if (mark := line.lstrip()[:1]) in colours else line for line in lines]
