"""Calls, tokens and money added up, by the stage of the run that makes them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from crewmix.models.profile import Profile
from crewmix.models.types import Usage

PriceOf = Callable[[Profile, Usage], Decimal | None]
"""What a call costs in US dollars; None = unknown."""


@dataclass(frozen=True, slots=True)
class Load:
    """Calls and what they take. `usd` None = the price of a model is unknown."""

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    usd: Decimal | None = Decimal(0)

    def __add__(self, other: Load) -> Load:
        usd = None if self.usd is None or other.usd is None else self.usd + other.usd
        calls = self.calls + other.calls
        return Load(calls, self.input_tokens + other.input_tokens, self.output_tokens + other.output_tokens, usd)


@dataclass(frozen=True, slots=True)
class Stage:
    """A part of a run, and the calls it makes: a layer, the votes, a node, the synthesis."""

    task: str
    """The task's id; empty where the tasks are not known yet, or for the whole run."""
    name: str
    calls: int
    input_tokens: int
    output_tokens: int


class Meter:
    """Adds up the calls of a run in one case.

    Args:
        price: What a call costs.
        worst: Whether this is the worst case.
    """

    def __init__(self, price: PriceOf, *, worst: bool) -> None:
        self.worst = worst
        self.price = price
        self._loads: dict[tuple[str, str], Load] = {}

    def one(self, profile: Profile, input_tokens: int, output_tokens: int) -> Load:
        """What one call takes; nothing is counted yet."""
        usage = Usage(input_tokens, output_tokens)
        return Load(1, input_tokens, output_tokens, self.price(profile, usage))

    def count(self, task: str, stage: str, load: Load) -> None:
        """Count calls of a stage."""
        self._loads[task, stage] = self._loads.get((task, stage), Load()) + load

    @property
    def total(self) -> Load:
        """Everything counted so far."""
        return sum(self._loads.values(), Load())

    @property
    def stages(self) -> tuple[Stage, ...]:
        """What was counted, in the order in which the stages first made a call."""
        return tuple(
            Stage(task, name, load.calls, load.input_tokens, load.output_tokens)
            for (task, name), load in self._loads.items()
            if load.calls
        )
