"""The people around a run: who is asked what."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crewmix.agents.human import Asker
    from crewmix.definitions.spec import Task
    from crewmix.tools.base import Approver

Reviewer = Callable[["Sequence[Task]"], Awaitable[Any]]
"""Gets a plan; gives True for yes, the tasks to work instead, or False or a text that says why not."""


@dataclass(frozen=True, slots=True)
class People:
    """How the people around a run are reached; None = nobody can be asked.

    `wait`: where somebody is needed and nobody can be asked, the run ends as `waiting`.
    """

    ask: Asker | None = None
    approve: Approver | None = None
    review: Reviewer | None = None
    wait: bool = False
