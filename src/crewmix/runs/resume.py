"""Taking up a run again in another process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Unpack

from crewmix.definitions.given import ModelSource
from crewmix.definitions.project import Project
from crewmix.definitions.raised import raised
from crewmix.definitions.recorded import recorded_definition
from crewmix.definitions.spec import BudgetSpec
from crewmix.journal.rows import RunRow
from crewmix.journal.shared import Budget
from crewmix.options import RunOptions
from crewmix.result import RunResult
from crewmix.runs.crews import crew_as_started, crew_now
from crewmix.runs.find import find_run

if TYPE_CHECKING:
    from crewmix.chat.base import PatternSource


def resume(
    project: Project,
    run_id: str,
    *,
    tools: Sequence[object] = (),
    models: Mapping[str, ModelSource] | None = None,
    pattern: PatternSource | None = None,
    as_started: bool = False,
    **options: Unpack[RunOptions],
) -> RunResult:
    """Go on with a run where it stopped. Calls that were answered are not made again.

    A run that is done gives its result again. One that ended partial, failed or at a budget tries again what failed. The crew is
    read from its files as they are now, and what changed in them since the run began is a warning of the result. A fork's crew
    is the one it was forked with.

    Args:
        project: Where the run's journal is.
        run_id: The run's id, the beginning of it, or `last`.
        tools: The tools that were given in Python, if any.
        models: Other models, e.g. when the first ones are down.
        pattern: The chat pattern that was given in Python, if any.
        as_started: Use the crew as it was when the run began, not its files as they are now.
        **options: See `crewmix.RunOptions`; `budget` e.g. to go on after a budget ended the run.

    Raises:
        NotFoundError: There is no such run, or the crew's file is gone.
        UsageError: The crew was built in Python, or something that was given in Python is missing.
        DefinitionError: The crew's files have mistakes.
        FencedError: Another process works on it.
    """
    row = find_run(project, run_id)
    if row.status == "done" and row.result is not None:
        return RunResult.from_dict(row.result)
    budget = options.pop("budget", None)
    shared = budget if isinstance(budget, Budget) else None
    limits = {} if isinstance(budget, Budget) else _limits(budget, row)
    given = [*(f"models.{name}" for name in models or ()), *(f"budget.{name}" for name in limits)]
    if limits and row.definition["crew"]["budget"] is None:
        given.append("budget")
    if as_started or row.definition.get("forked_from"):
        # A fork has no files of its own: what was changed with an earlier resume stays.
        latest = None if as_started else recorded_definition(row.definition["crew"], project.root)
        crew = crew_as_started(project, row, definition=latest, tools=tools, models=models, pattern=pattern)
        options["budget"] = shared or limits or None
    else:
        crew = crew_now(project, row, tools=tools, models=models, pattern=pattern, budget=limits)
        options["budget"] = shared
    return crew.resume(row, given=given, **options)


def _limits(budget: BudgetSpec | Mapping[str, Any] | None, row: RunRow) -> dict[str, Any]:
    """The limits that are to replace the run's; `+0.20` is added to the one that it ended with."""
    return raised(budget, row.definition["crew"]["budget"])
