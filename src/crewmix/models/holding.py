"""Holding a call's worst case in every budget it is charged to, and the time that budgets leave."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

from crewmix.errors import BudgetExceededError
from crewmix.journal.budget import Amount, Ledger, Reservation


@dataclass(slots=True)
class Booking:
    """What a held reservation will be settled with; nothing until a request goes out."""

    amount: Amount = field(default_factory=Amount)


_waiting: WeakKeyDictionary[asyncio.AbstractEventLoop, set[asyncio.Future[None]]] = WeakKeyDictionary()


@asynccontextmanager
async def held(ledgers: Sequence[Ledger], worst: Amount) -> AsyncGenerator[Booking]:
    """Hold `worst` in every ledger, and afterwards book what the `Booking` says instead.

    Where it does not fit only because calls in flight hold their worst cases too, it waits until some of that comes free.

    Raises:
        BudgetExceededError: It does not fit.
    """
    loop = asyncio.get_running_loop()
    while (reservation := _reserve(ledgers, worst)) is None:
        settled = loop.create_future()
        _waiting.setdefault(loop, set()).add(settled)
        await settled
    booking = Booking()
    try:
        yield booking
    finally:
        reservation.settle(booking.amount)
        for future in _waiting.pop(loop, ()):
            if not future.done():
                future.set_result(None)


def _reserve(ledgers: Sequence[Ledger], worst: Amount) -> Reservation | None:
    """The reservation, or None when waiting for calls in flight can help."""
    try:
        return Reservation(ledgers, worst)
    except BudgetExceededError as error:
        full = next(ledger for ledger in ledgers if ledger.owner == error.owner)
        have, want, allowed = {
            "tokens": (full.tokens, worst.tokens, full.limits.tokens),
            "usd": (full.usd, worst.usd, full.limits.usd),
        }.get(error.limit, (0, None, None))
        if want is None or allowed is None or have + want > allowed:
            raise
        return None


@asynccontextmanager
async def time_left(ledgers: Sequence[Ledger]) -> AsyncGenerator[None]:
    """Stop what happens within when the first of the ledgers runs out of seconds.

    Raises:
        BudgetExceededError: That happened.
    """
    timed = [
        (ledger.limits.seconds - ledger.elapsed, ledger) for ledger in ledgers if ledger.limits.seconds is not None
    ]
    if not timed:
        yield
        return
    left, tightest = min(timed, key=lambda pair: pair[0])
    timeout = asyncio.timeout(max(0.0, left))
    try:
        async with timeout:
            yield
    except TimeoutError:
        if not timeout.expired():
            raise
        allowed = tightest.limits.seconds or 0.0
        raise BudgetExceededError("seconds", tightest.owner, allowed=allowed, needed=tightest.elapsed) from None
