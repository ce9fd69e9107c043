"""One process's work on a run, as a test of tools sees it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from crewmix.journal.events import Event
from crewmix.journal.run import Run
from crewmix.tools.base import ToolContext


@dataclass
class Session:
    """One process's work on the run: what its tools get, and what happened."""

    context: ToolContext
    events: list[Event] = field(default_factory=list)

    @property
    def run(self) -> Run:
        return self.context.scope.run

    def of(self, kind: type[Event]) -> list[Event]:
        return [event for event in self.events if isinstance(event, kind)]


Start = Callable[..., Awaitable[Session]]
