"""What a pattern is made from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from crewmix.definitions.seats import Seat
from crewmix.definitions.spec import ChatSpec, SynthesisSpec


@dataclass(frozen=True, slots=True)
class Setting:
    """A chat as written, and who sits in it."""

    chat: ChatSpec
    seats: tuple[Seat, ...]
    synthesis: SynthesisSpec
    """What an answer is, for patterns that stop when drafts agree."""
    every_way: bool = False
    """For estimates: take every way of a graph, whatever its conditions."""
    root: Path | None = None
    """The project's folder, where code that the crew file names is looked for first."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the seats."""
        return tuple(seat.name for seat in self.seats)

    @property
    def reviewers(self) -> frozenset[str]:
        """Names of the seats whose turns end in a verdict."""
        return frozenset(seat.name for seat in self.seats if seat.role.approves)
