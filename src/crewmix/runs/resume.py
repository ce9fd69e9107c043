"""Taking up a run again in another process."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from crewmix.crew import Crew
from crewmix.definitions.given import ModelSource, tool_names
from crewmix.definitions.project import Project
from crewmix.definitions.spec import BudgetSpec, ModelSpec
from crewmix.errors import UsageError
from crewmix.journal.events import Event
from crewmix.journal.redact import MASK
from crewmix.result import RunResult
from crewmix.runs.find import find_run

if TYPE_CHECKING:
    from crewmix.agents.human import Asker
    from crewmix.chat.base import PatternSource
    from crewmix.tools.base import Approver


def resume(
    project: Project,
    run_id: str,
    *,
    tools: Sequence[object] = (),
    models: Mapping[str, ModelSource] | None = None,
    pattern: PatternSource | None = None,
    budget: BudgetSpec | Mapping[str, Any] | None = None,
    on_event: Callable[[Event], None] | None = None,
    deltas: bool = False,
    ask: Asker | None = None,
    approve: Approver | None = None,
) -> RunResult:
    """Go on with a run where it stopped. Calls that were answered are not made again.

    A run that is done gives its result again. One that ended partial, failed or at a budget tries again what failed. The crew is
    read from its files as they are now.

    Args:
        project: Where the run's journal is.
        run_id: The run's id, the beginning of it, or `last`.
        tools: The tools that were given in Python, if any.
        models: Other models, e.g. when the first ones are down.
        pattern: The chat pattern that was given in Python, if any.
        budget: Other limits, e.g. to go on after a budget ended the run.
        on_event: As for `Crew.run`.
        deltas: As for `Crew.run`.
        ask: As for `Crew.run`.
        approve: As for `Crew.run`.

    Raises:
        NotFoundError: There is no such run.
        UsageError: The crew was built in Python, so it cannot be made again from files.
        FencedError: Another process works on it.
    """
    row = find_run(project, run_id)
    if row.status == "done" and row.result is not None:
        return RunResult.from_dict(row.result)
    options = row.definition["options"]
    if not options:
        raise UsageError(
            f"run {row.run_id} was started with a crew built in Python",
            hint="build the same crew and call `crew.resume(find_run(project, run_id))`",
        )
    specs = {k: v if isinstance(v, str) else ModelSpec.model_validate(v) for k, v in options["models"].items()}
    hidden = {k for k, v in specs.items() if isinstance(v, ModelSpec) and v.api_key == MASK}
    missing = sorted(
        {*options["python"], *hidden}
        - {*tool_names(tools), *(models or {}), *(["pattern"] if pattern is not None else [])}
    )
    if missing:
        raise UsageError(
            f"run {row.run_id} was started with tools, models, keys or a pattern given in Python: {', '.join(missing)}",
            hint="pass them to `crewmix.runs.resume(…, tools=[…], models={…}, pattern=…)`",
        )
    named = {k: v for k, v in specs.items() if not (isinstance(v, str) and v.startswith("python/"))}
    crew = Crew.load(
        options["name"],
        tools=tools,
        models={**named, **(models or {})},
        inputs=options["inputs"],
        knowledge=options["knowledge"],
        budget={**(options["budget"] or {}), **_limits(budget)} or None,
        pattern=pattern,
        project=project,
    )
    return crew.resume(row, on_event=on_event, deltas=deltas, ask=ask, approve=approve)


def _limits(budget: BudgetSpec | Mapping[str, Any] | None) -> dict[str, Any]:
    if budget is None:
        return {}
    return budget.model_dump(exclude_unset=True) if isinstance(budget, BudgetSpec) else dict(budget)
