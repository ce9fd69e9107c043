"""How a run is to be worked: what `Crew.run` and its kin take besides the goal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypedDict

if TYPE_CHECKING:
    from crewmix.definitions.spec import BudgetSpec
    from crewmix.journal.events import Event
    from crewmix.journal.shared import Budget
    from crewmix.tools.people import Approver, Asker, Reviewer


class RunOptions(TypedDict, total=False):
    """The options of a run; all may be left out."""

    inputs: Mapping[str, str] | None
    """Values for the crew's inputs."""
    budget: BudgetSpec | Mapping[str, Any] | Budget | None
    """Limits for this run, over the crew's own: `{"usd": 0.5}`; or a `crewmix.Budget` that several runs share, besides these."""
    on_event: Callable[[Event], None] | None
    """Called with every event, on crewmix's own thread; it must not block."""
    deltas: bool
    """Whether `on_event` also gets each `TextDelta`, so that models must stream."""
    ask: Asker | None
    """How roles reach a person: those with `actor: human`, and those that have a question."""
    approve: Approver | None
    """Asked before a tool with side effects runs, unless a rule of the crew decides."""
    review: Reviewer | None
    """Asked about the plan before its tasks begin, where the crew says `review: plan`."""
    wait: bool
    """Whether the run ends as `waiting`, with a `WaitingError`, where a person is needed and nobody can be asked. A run
    that waits goes on waiting when it is resumed, unless this is False."""


def checked(options: RunOptions, method: str) -> RunOptions:
    """The options, all of which are known.

    Raises:
        TypeError: One is not.
    """
    unknown = sorted(set(options) - set(RunOptions.__annotations__))
    if unknown:
        raise TypeError(f"Crew.{method}() got an unexpected keyword argument {unknown[0]!r}")
    return options
