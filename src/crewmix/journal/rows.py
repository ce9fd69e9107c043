"""What the journal holds, row by row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from crewmix.journal.budget import Amount

IMPORTED = "imported"
"""In the definition of a run that came from a file: the consents it holds were not given here."""


@dataclass(frozen=True, slots=True)
class EffectKey:
    """What identifies an effect within a run."""

    scope: str
    kind: str
    key: str
    occurrence: int


@dataclass(frozen=True, slots=True)
class Spent:
    """What an effect was booked with, and in which ledgers (`Ledger.key`).

    While a call is in flight this is its worst case, so that a crash leaves no call unknown to the budgets of the resumed run.
    """

    amount: Amount
    by: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """As JSON-able data."""
        return {**self.amount.as_dict(), "by": list(self.by)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Spent:
        """What `as_dict` described."""
        return cls(Amount.from_dict(data), tuple(data["by"]))


@dataclass(frozen=True, slots=True)
class Recording:
    """What the journal holds of one effect.

    `response` is its outcome as JSON text, None while there is none; `failure` is how the last try ended, if it failed. `task`
    and `role` say for whom it was. An effect of epoch 0 was inherited from another run, which paid for it.
    """

    key: EffectKey
    epoch: int
    task: str
    role: str
    response: str | None
    failure: str | None
    spent: Spent | None
    started: float
    finished: float | None

    @property
    def inherited(self) -> bool:
        """Whether another run paid for it."""
        return self.epoch == 0


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run as the store knows it. `definition` and `result` are JSON-able data."""

    run_id: str
    crew: str
    goal: str
    definition: dict[str, Any]
    status: str
    epoch: int
    created: float
    updated: float
    result: dict[str, Any] | None
    error: str | None
