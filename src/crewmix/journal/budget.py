"""Budgets that cannot be overrun: everything is reserved at its worst before it is spent.

A `Ledger` is one budget: of the run, a task, a role, or shared by several runs. A call reserves its worst case in every ledger
it is charged to, or is not made; afterwards the reservation is replaced by what it really came to. Used from the home loop
only, so a reservation is one uninterrupted step and needs no lock.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
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

    def __sub__(self, other: Amount) -> Amount:
        usd = None if self.usd is None or other.usd is None else self.usd - other.usd
        return Amount(self.calls - other.calls, self.tokens - other.tokens, usd)

    def as_dict(self) -> dict[str, Any]:
        """The amount as JSON-able data."""
        return {"calls": self.calls, "tokens": self.tokens, "usd": None if self.usd is None else str(self.usd)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Amount:
        """The amount that `as_dict` described."""
        return cls(data["calls"], data["tokens"], None if data["usd"] is None else Decimal(data["usd"]))

    @property
    def priced(self) -> Amount:
        """The amount with an unknown price taken for nothing."""
        return self if self.usd is not None else replace(self, usd=ZERO)


@dataclass(frozen=True, slots=True)
class Limits:
    """A budget's size; None = unlimited. `deny_unpriced` refuses calls of unknown price when `usd` is limited."""

    usd: Decimal | None = None
    calls: int | None = None
    tokens: int | None = None
    seconds: float | None = None
    deny_unpriced: bool = True

    def without(self, share: float) -> Limits:
        """What is left when a share, from 0 to 1, is kept for something else."""
        part = Decimal(str(share))
        return replace(
            self,
            usd=None if self.usd is None else self.usd * (1 - part),
            calls=None if self.calls is None else self.calls - round(self.calls * part),
            tokens=None if self.tokens is None else self.tokens - round(self.tokens * part),
            seconds=None if self.seconds is None else self.seconds * (1 - share),
        )


@dataclass(slots=True, eq=False)
class Ledger:
    """One budget and what was spent and reserved of it.

    Args:
        owner: Whose budget it is, for messages.
        limits: Its size.
        on_mark: Called as (owner, limit, used, allowed, mark) when spending first passes 50 % and 80 % of a limit.
        clock: Seconds that never run backwards.
        key: Identifies the ledger within its run, so that a resumed run finds what it paid for; empty = it is no run's own.
        share: What of each limit, 0 to 1, is kept for the syntheses of its crew. See `Payers`.
        worked: Seconds that earlier processes worked.
    """

    owner: str
    limits: Limits = Limits()
    on_mark: Callable[[str, str, float, float, float], None] | None = None
    clock: Callable[[], float] = time.monotonic
    key: str = ""
    share: float = 0.0
    worked: float = 0.0
    spent: Amount = field(default=Amount(), init=False)
    """What was paid so far; calls of unknown price count as free in `usd`. Replaced as a whole, so any thread may read it."""
    reserved: Amount = field(default=Amount(), init=False)
    """The worst cases of the calls in flight."""
    unpriced_calls: int = field(default=0, init=False)
    _started: float = field(init=False)
    _before_synthesis: Limits = field(init=False)
    _passed: set[tuple[str, float]] = field(default_factory=set[tuple[str, float]], init=False)

    def __post_init__(self) -> None:
        self._started = self.clock()
        self._before_synthesis = self.limits.without(self.share)

    @property
    def calls(self) -> int:
        """Calls made so far."""
        return self.spent.calls

    @property
    def tokens(self) -> int:
        """Tokens paid so far."""
        return self.spent.tokens

    @property
    def usd(self) -> Decimal:
        """US dollars paid so far."""
        return self.spent.usd or ZERO

    @property
    def elapsed(self) -> float:
        """Seconds since the ledger was opened, and those that earlier processes worked."""
        return self.worked + max(0.0, self.clock() - self._started)

    def usable(self, *, kept: bool) -> Limits:
        """Its size; with `kept`, less the share that is kept."""
        return self._before_synthesis if kept else self.limits

    def refusal(self, amount: Amount, *, kept: bool = False, settled: bool = False) -> BudgetExceededError | None:
        """Why `amount` may not be reserved; None = it may.

        Args:
            amount: The worst case.
            kept: Whether the share that is kept is out of reach.
            settled: Whether tokens and money reserved by calls in flight are left out, as if these came to nothing.
        """
        limits, known = self.usable(kept=kept), self.spent if settled else self.spent + self.reserved
        needed = known + amount.priced
        wanted: tuple[tuple[str, float | Decimal | None, float | Decimal | None], ...] = (
            ("calls", limits.calls, self.spent.calls + self.reserved.calls + amount.calls),
            ("tokens", limits.tokens, needed.tokens),
            ("usd", limits.usd, needed.usd),
        )
        for name, allowed, need in wanted:
            if allowed is not None and need is not None and need > allowed:
                return self._exceeded(name, float(need), kept)
        if limits.usd is not None and amount.usd is None and limits.deny_unpriced:
            return self._exceeded("usd", float("inf"), kept=False)
        if limits.seconds is not None and self.elapsed >= limits.seconds:
            return self._exceeded("seconds", self.elapsed, kept)
        return None

    def out_of_time(self, *, kept: bool) -> BudgetExceededError:
        """The error for a call that the end of the seconds cut short."""
        return self._exceeded("seconds", self.elapsed, kept)

    def _exceeded(self, name: str, needed: float, kept: bool) -> BudgetExceededError:
        allowed = float(getattr(self.limits, name))
        share = allowed - float(getattr(self._before_synthesis, name)) if kept else 0.0
        return BudgetExceededError(name, self.owner, allowed=allowed, needed=needed, kept=share)

    def reserve(self, amount: Amount) -> None:
        """Set a worst case aside."""
        self.reserved += amount.priced

    def settle(self, reserved: Amount, actual: Amount) -> None:
        """Replace what was set aside by what it really came to."""
        self.reserved -= reserved.priced
        self.recall(actual)
        self.mark()

    def recall(self, amount: Amount) -> None:
        """Count what was spent, without telling anyone: an earlier process did that."""
        self.spent += amount.priced
        self.unpriced_calls += amount.calls if amount.usd is None else 0

    def mark(self, *, silently: bool = False) -> None:
        """Tell of marks that were passed since the last time; `silently` only takes note of them."""
        used = {"usd": self.usd, "calls": self.calls, "tokens": self.tokens, "seconds": self.elapsed}
        for name, value in used.items():
            allowed = getattr(self.limits, name)
            for mark in MARKS if allowed else ():
                if float(value) < float(allowed) * mark or (name, mark) in self._passed:
                    continue
                self._passed.add((name, mark))
                if self.on_mark is not None and not silently:
                    self.on_mark(self.owner, name, float(value), float(allowed), mark)

    def seconds_to_marks(self) -> tuple[float, ...]:
        """How long it is until marks of the seconds will be passed."""
        allowed = self.limits.seconds or 0.0
        left = (allowed * mark - self.elapsed for mark in MARKS if allowed)
        return tuple(seconds for seconds in left if seconds > 0)


@dataclass(frozen=True, slots=True)
class Payers:
    """The budgets a call is charged to: `ledgers`, and in which of them a share is kept for something else."""

    ledgers: tuple[Ledger, ...]
    kept: tuple[Ledger, ...] = ()

    def keeps(self, ledger: Ledger) -> bool:
        """Whether this call may not use the share that a ledger keeps."""
        return ledger in self.kept

    def refusal(self, amount: Amount, *, settled: bool = False) -> BudgetExceededError | None:
        """Why the first of the ledgers refuses `amount`; None = all take it. See `Ledger.refusal`."""
        for ledger in self.ledgers:
            error = ledger.refusal(amount, kept=self.keeps(ledger), settled=settled)
            if error is not None:
                return error
        return None

    def reserve(self, amount: Amount) -> None:
        """Set a worst case aside in every ledger.

        Raises:
            BudgetExceededError: It does not fit into one of them; then nothing is set aside.
        """
        error = self.refusal(amount)
        if error is not None:
            raise error
        for ledger in self.ledgers:
            ledger.reserve(amount)

    def settle(self, reserved: Amount, actual: Amount) -> None:
        """Replace what was set aside by what it really came to."""
        for ledger in self.ledgers:
            ledger.settle(reserved, actual)
