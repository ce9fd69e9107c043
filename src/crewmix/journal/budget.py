"""Budgets that cannot be overrun: everything is reserved at its worst before it is spent.

A `Ledger` is one budget: of the run, a task or a role. A call reserves its worst case in every ledger it is charged to, or
is not made; afterwards the reservation is replaced by what it really came to. Used from the home loop only, so a
reservation is one uninterrupted step and needs no lock.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from crewmix.errors import BudgetExceededError

ZERO = Decimal(0)
MARKS = (0.5, 0.8)


@dataclass(frozen=True, slots=True)
class Amount:
    """What something costs. `usd` None = price unknown."""

    calls: int = 0
    tokens: int = 0
    usd: Decimal | None = ZERO

    def __add__(self, other: Amount) -> Amount:
        usd = None if self.usd is None or other.usd is None else self.usd + other.usd
        return Amount(self.calls + other.calls, self.tokens + other.tokens, usd)

    def as_dict(self) -> dict[str, Any]:
        """The amount as JSON-able data."""
        return {"calls": self.calls, "tokens": self.tokens, "usd": None if self.usd is None else str(self.usd)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Amount:
        """The amount that `as_dict` described."""
        return cls(data["calls"], data["tokens"], None if data["usd"] is None else Decimal(data["usd"]))


@dataclass(frozen=True, slots=True)
class Limits:
    """A budget's size; None = unlimited. `deny_unpriced` refuses calls of unknown price when `usd` is limited."""

    usd: Decimal | None = None
    calls: int | None = None
    tokens: int | None = None
    seconds: float | None = None
    deny_unpriced: bool = True


@dataclass(slots=True)
class Ledger:
    """One budget and what was spent and reserved of it.

    `on_mark` is called as (owner, limit, used, allowed, mark) when spending first passes 50 % and 80 % of a limit. `key`
    identifies the ledger within its run, so that a resumed run finds what it paid for; empty = it is no run's own.
    """

    owner: str
    limits: Limits = Limits()
    on_mark: Callable[[str, str, float, float, float], None] | None = None
    clock: Callable[[], float] = time.monotonic
    key: str = ""
    calls: int = 0
    tokens: int = 0
    usd: Decimal = ZERO
    unpriced_calls: int = 0
    reserved_calls: int = 0
    reserved_tokens: int = 0
    reserved_usd: Decimal = ZERO
    started: float = field(default=0.0)
    _passed: set[tuple[str, float]] = field(default_factory=set[tuple[str, float]])

    def __post_init__(self) -> None:
        self.started = self.clock()

    @property
    def elapsed(self) -> float:
        """Seconds since the ledger was opened."""
        return self.clock() - self.started

    def check(self, amount: Amount) -> None:
        """Refuse what could overshoot.

        Raises:
            BudgetExceededError: Naming the limit that `amount` could pass.
        """
        limits = self.limits
        wanted: tuple[tuple[str, float | Decimal | None, float | Decimal], ...] = (
            ("calls", limits.calls, self.calls + self.reserved_calls + amount.calls),
            ("tokens", limits.tokens, self.tokens + self.reserved_tokens + amount.tokens),
            ("usd", limits.usd, self.usd + self.reserved_usd + (amount.usd or ZERO)),
        )
        for name, allowed, needed in wanted:
            if allowed is not None and needed > allowed:
                raise BudgetExceededError(name, self.owner, allowed=float(allowed), needed=float(needed))
        if limits.usd is not None and amount.usd is None and limits.deny_unpriced:
            raise BudgetExceededError("usd", self.owner, allowed=float(limits.usd), needed=float("inf"))
        if limits.seconds is not None and self.elapsed >= limits.seconds:
            raise BudgetExceededError("seconds", self.owner, allowed=limits.seconds, needed=self.elapsed)

    def hold(self, amount: Amount, sign: int = 1) -> None:
        """Add to what is reserved, or take from it with `sign` -1."""
        self.reserved_calls += sign * amount.calls
        self.reserved_tokens += sign * amount.tokens
        self.reserved_usd += sign * (amount.usd or ZERO)

    def spend(self, amount: Amount) -> None:
        """Book what something really came to."""
        self.calls += amount.calls
        self.tokens += amount.tokens
        self.usd += amount.usd or ZERO
        self.unpriced_calls += amount.calls if amount.usd is None else 0
        self._mark()

    def _mark(self) -> None:
        for name in ("usd", "calls", "tokens"):
            allowed = getattr(self.limits, name)
            if not allowed or self.on_mark is None:
                continue
            used = getattr(self, name)
            for mark in MARKS:
                if used >= float(allowed) * mark and (name, mark) not in self._passed:
                    self._passed.add((name, mark))
                    self.on_mark(self.owner, name, float(used), float(allowed), mark)


class Reservation:
    """A worst case held in several ledgers until it is settled.

    Args:
        ledgers: The budgets charged, outermost first.
        amount: The worst case.

    Raises:
        BudgetExceededError: It does not fit into one of them; then nothing is held.
    """

    def __init__(self, ledgers: Sequence[Ledger], amount: Amount) -> None:
        for ledger in ledgers:
            ledger.check(amount)
        for ledger in ledgers:
            ledger.hold(amount)
        self._ledgers = tuple(ledgers)
        self._held = amount

    def settle(self, actual: Amount) -> None:
        """Replace what is held by what it really came to. Settling twice has no effect."""
        held, self._held = self._held, Amount()
        if held == Amount():
            return
        for ledger in self._ledgers:
            ledger.hold(held, -1)
            ledger.spend(actual)
