"""Holding a call's worst case in every budget it is charged to, and the time that budgets leave.

A call whose longest answer does not fit any more is held with a lower output limit, so that the rest of a budget is used.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

from crewmix.errors import BudgetExceededError
from crewmix.journal.budget import Amount, Ledger, Payers


@dataclass(frozen=True, slots=True)
class Size:
    """How large a call can be.

    `worst` gives the most it can come to with so many output tokens; `output` are wanted, `least` must be possible.
    """

    worst: Callable[[int], Amount]
    output: int
    least: int


@dataclass(slots=True)
class Booking:
    """What is held: for how many output tokens, and why these are fewer than wanted, if they are.

    `amount` is what it will be settled with; nothing until a request goes out.
    """

    output: int
    short: BudgetExceededError | None = None
    amount: Amount = field(default_factory=Amount)


_SETTLED_LOWER = ("tokens", "usd")
"""Limits of which a call that is settled gives some back."""
_waiting: WeakKeyDictionary[asyncio.AbstractEventLoop, list[asyncio.Future[None]]] = WeakKeyDictionary()


@asynccontextmanager
async def held(payers: Payers, size: Size) -> AsyncGenerator[Booking]:
    """Hold a call's worst case in every ledger, and afterwards book what the `Booking` says instead.

    Where it does not fit only because calls in flight hold their worst cases too, it waits until some of that comes free.

    Raises:
        BudgetExceededError: It does not fit, with the fewest output tokens either.
    """
    loop = asyncio.get_running_loop()
    while True:
        booking = _fitted(payers, size)
        worst = size.worst(booking.output)
        error = payers.refusal(worst)
        if error is None:
            break
        if error.limit not in _SETTLED_LOWER:
            raise error
        settled = loop.create_future()
        _waiting.setdefault(loop, []).append(settled)
        await settled
    payers.reserve(worst)
    try:
        yield booking
    finally:
        payers.settle(worst, booking.amount)
        for future in _waiting.pop(loop, ()):
            if not future.done():
                future.set_result(None)


def _fitted(payers: Payers, size: Size) -> Booking:
    """The longest answer that fits when all calls in flight come to nothing."""

    def refusal(output: int) -> BudgetExceededError | None:
        return payers.refusal(size.worst(output), settled=True)

    short = refusal(size.output)
    if short is None:
        return Booking(size.output)
    if refusal(size.least) is not None:
        raise short
    fits, too_long = size.least, size.output
    while too_long - fits > 1:
        middle = (fits + too_long) // 2
        fits, too_long = (fits, middle) if refusal(middle) else (middle, too_long)
    return Booking(fits, short)


@asynccontextmanager
async def time_left(payers: Payers) -> AsyncGenerator[None]:
    """Stop what happens within when the first of the ledgers runs out of seconds; meanwhile tell of their marks.

    Raises:
        BudgetExceededError: That happened.
    """
    timed = [
        (seconds - ledger.elapsed, ledger)
        for ledger in payers.ledgers
        if (seconds := ledger.usable(kept=payers.keeps(ledger)).seconds) is not None
    ]
    if not timed:
        yield
        return
    left, tightest = min(timed, key=lambda pair: pair[0])
    timeout = asyncio.timeout(max(0.0, left))
    try:
        with _marks([ledger for _, ledger in timed]):
            async with timeout:
                yield
    except TimeoutError:
        if not timeout.expired():
            raise
        raise tightest.out_of_time(kept=payers.keeps(tightest)) from None


@contextmanager
def _marks(ledgers: Sequence[Ledger]) -> Generator[None]:
    """Let the ledgers tell when the time passes a mark."""
    loop = asyncio.get_running_loop()
    timers = [loop.call_later(wait, ledger.mark) for ledger in ledgers for wait in ledger.seconds_to_marks()]
    try:
        yield
    finally:
        for timer in timers:
            timer.cancel()
