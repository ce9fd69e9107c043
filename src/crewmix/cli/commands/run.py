"""`estimate`, `run`, `resume`: before, at, and after the work."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from crewmix.cli.options import (
    BudgetOption,
    CrewArgument,
    GoalArgument,
    InputOption,
    JsonOption,
    KnowledgeOption,
    ModelOption,
    ProjectOption,
    RunArgument,
    find_project,
    read_budget,
    read_goal,
    read_models,
    read_pairs,
)

if TYPE_CHECKING:
    from crewmix.crew import Crew
    from crewmix.definitions.spec import BudgetSpec
    from crewmix.result import RunResult

QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Print the answer, and nothing else.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Consent to every tool call that asks, and to the plan.")]
WaitOption = Annotated[
    bool,
    typer.Option(
        "--wait", help="Where a person is needed and none is here, stop and wait for `crewmix answer`. [exit code 4]"
    ),
]
VerboseOption = Annotated[bool, typer.Option("--verbose", "-v", help="Write logs to stderr.")]


def estimate(
    crew: CrewArgument,
    goal: GoalArgument,
    model: ModelOption = None,
    inputs: InputOption = None,
    knowledge: KnowledgeOption = None,
    as_json: JsonOption = False,
    project: ProjectOption = None,
) -> None:
    """Say what a run would take, expected and at worst. Calls no model."""
    from crewmix.cli.facts import serving_lines
    from crewmix.cli.output import say, say_json

    result = _load(crew, project, model, inputs, knowledge).estimate(read_goal(goal))
    if as_json:
        say_json(result.as_dict())
        return
    say(serving_lines(result.models))
    say(str(result))


def run(
    crew: CrewArgument,
    goal: GoalArgument,
    model: ModelOption = None,
    inputs: InputOption = None,
    knowledge: KnowledgeOption = None,
    budget: BudgetOption = None,
    yes: YesOption = False,
    wait: WaitOption = False,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
    project: ProjectOption = None,
) -> int:
    """Let a crew work on a goal."""
    from crewmix.cli import logs
    from crewmix.cli.watch import watch

    limits, text = read_budget(budget), read_goal(goal)
    logs.configure(verbose)
    loaded = _load(crew, project, model, inputs, knowledge, limits)

    def start(**seat: Any) -> RunResult:
        return loaded.run(text, **seat)

    return watch(start, as_json=as_json, quiet=quiet, yes=yes, wait=wait)


def resume(
    run: RunArgument,
    model: ModelOption = None,
    budget: BudgetOption = None,
    as_started: Annotated[
        bool,
        typer.Option("--as-started", help="Use the crew as it was when the run began, not its files as they are now."),
    ] = False,
    yes: YesOption = False,
    wait: WaitOption = False,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
    project: ProjectOption = None,
) -> int:
    """Go on with a run that was interrupted or stopped. What was paid is not paid again."""
    from crewmix.cli import logs
    from crewmix.cli.output import warn
    from crewmix.cli.watch import watch
    from crewmix.runs import find_run
    from crewmix.runs import resume as take_up

    limits, models, home = read_budget(budget), read_models(model), find_project(project)
    logs.configure(verbose)

    def start(**seat: Any) -> RunResult:
        row = find_run(home, run)
        if row.status == "done":
            warn(f"Run {row.run_id} is done, nothing is called: `crewmix fork {row.run_id}` works it with changes.")
        return take_up(home, run, models=models, budget=limits, as_started=as_started, **seat)

    return watch(start, as_json=as_json, quiet=quiet, yes=yes, wait=wait)


def _load(
    crew: str,
    project: Path | None,
    model: Sequence[str] | None,
    inputs: Sequence[str] | None,
    knowledge: Sequence[Path] | None,
    budget: BudgetSpec | dict[str, Any] | None = None,
) -> Crew:
    from crewmix.crew import Crew

    return Crew.load(
        crew,
        project=None if project is None else find_project(project),
        models=read_models(model),
        inputs=read_pairs(inputs, "--input"),
        knowledge=knowledge or None,
        budget=budget,
    )
