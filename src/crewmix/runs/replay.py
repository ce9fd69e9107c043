"""Working a run again from its journal alone: no network, no tool, no key, and nothing is written."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Unpack

from crewmix.definitions.given import ModelSource
from crewmix.definitions.project import Project
from crewmix.errors import BudgetExceededError, CrewmixError, ReplayMissError, UserError
from crewmix.journal.nearest import first_difference
from crewmix.journal.redact import Redactor
from crewmix.journal.rows import RunRow
from crewmix.journal.run import canonical
from crewmix.options import RunOptions
from crewmix.result import RunResult
from crewmix.runs.crews import crew_now, crew_on_record
from crewmix.runs.find import find_run

if TYPE_CHECKING:
    from crewmix.chat.base import PatternSource

_COMPARED = ("status", "stopped_by", "output", "sources", "dissent", "confidence", "merge", "tasks")
"""What of a result must be the same; how long it took and what was told on the way is not."""


@dataclass(frozen=True, slots=True)
class Replay:
    """How a replay ended."""

    run_id: str
    result: RunResult | None
    """What it came to; None when it ended in an error."""
    error: CrewmixError | None
    """How it ended without a result."""
    difference: str
    """Where it first differs from the recorded run; empty = it is the same."""

    @property
    def same(self) -> bool:
        """Whether it came to the same as the recorded run: the same result, or the same error."""
        return not self.difference

    def as_dict(self) -> dict[str, Any]:
        """The replay as JSON-able data."""
        return {
            "run_id": self.run_id,
            "same": self.same,
            "difference": self.difference or None,
            "error": self.error and self.error.as_dict(),
            "result": self.result and self.result.as_dict(),
        }


def replay(
    project: Project,
    run_id: str,
    *,
    as_now: bool = False,
    tools: Sequence[object] = (),
    models: Mapping[str, ModelSource] | None = None,
    pattern: PatternSource | None = None,
    **options: Unpack[RunOptions],
) -> Replay:
    """Work a run again from what was recorded, and hold the outcome against the recorded one.

    Args:
        project: Where the run's journal is.
        run_id: The run's id, the beginning of it, or `last`.
        as_now: Take the crew's files as they are now, to see what an edit would ask anew; else the recorded definition, for which
            no file is needed.
        tools: With `as_now`: the tools that were given in Python, if any.
        models: With `as_now`: the models that were given in Python, if any, or others.
        pattern: The chat pattern that was given in Python, if any.
        **options: See `crewmix.RunOptions`; only `on_event` and `deltas` matter.

    Raises:
        NotFoundError: There is no such run.
        ReplayMissError: Something is asked that was not recorded, or the run was not over; it tells the first difference.
        RunFileError: The recorded definition cannot be read.
    """
    row = find_run(project, run_id)
    if as_now:
        crew = crew_now(project, row, tools=tools, models=models, pattern=pattern)
    else:
        crew = crew_on_record(project, row, pattern)
    try:
        result, error = crew.replay(row, **options), None
    except CrewmixError as failure:
        wrong_now = isinstance(failure, UserError) and failure.message != row.error
        if wrong_now or isinstance(failure, ReplayMissError):
            raise
        result, error = None, failure
    return Replay(row.run_id, result, error, _difference(row, result, error))


def _difference(row: RunRow, result: RunResult | None, error: CrewmixError | None) -> str:
    before, now = _told(row.result), _told(result.as_dict() if result else None)
    if before is None or now is None:
        # Of several calls that no longer fitted side by side, any may have been the first to say so.
        same_end = row.status == "budget" and isinstance(error, BudgetExceededError)
        message = row.error if same_end else error and error.message
        before, now = {"error": row.error, "result": before}, {"error": message, "result": now}
    found = first_difference(before, now)
    return "" if found is None else "{}: recorded {}, now {}".format(*found)


def _told(result: Mapping[str, Any] | None) -> Any:
    """What must be the same, as plain data without secrets; of a task that a budget ended only that it did, see above."""
    if result is None:
        return None
    told = {name: result.get(name) for name in _COMPARED}
    if told["stopped_by"] == "budget":
        told["tasks"] = [{**task, "error": bool(task["error"])} for task in result["tasks"]]
    return json.loads(canonical(Redactor().data(told)))
