"""Keeps to a provider's limits: requests at once, requests a minute, tokens a minute.

One limiter serves every run of the process that calls the same model with the same key and limits.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from crewmix.models.profile import Profile

WINDOW = 60.0


@dataclass(slots=True)
class Entry:
    """One admitted request. `tokens` is an estimate until the provider has said how many it were."""

    time: float
    tokens: int


class Limiter:
    """A sliding window over the last minute, and a semaphore; first come, first served.

    A single request larger than `tpm` is let through when nothing else is in the window.

    Args:
        concurrency: The most requests at the same time.
        rpm: The most requests in any 60 seconds.
        tpm: The most tokens in any 60 seconds.
        clock: Seconds, monotonic.
        sleep: Waits for some seconds.
    """

    def __init__(
        self,
        concurrency: int,
        rpm: int | None = None,
        tpm: int | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._slots = asyncio.Semaphore(concurrency)
        self._turn = asyncio.Lock()
        self._rpm, self._tpm = rpm, tpm
        self._clock, self._sleep = clock, sleep
        self._recent: deque[Entry] = deque()

    @asynccontextmanager
    async def slot(self, tokens: int) -> AsyncGenerator[Entry]:
        """Wait until a request of about `tokens` tokens may go out, and hold its place while it does."""
        async with self._slots:
            async with self._turn:
                while (wait := self._wait(tokens)) > 0:
                    await self._sleep(wait)
                entry = Entry(self._clock(), tokens)
                if self._rpm or self._tpm:
                    self._recent.append(entry)
            yield entry

    def _wait(self, tokens: int) -> float:
        now, recent = self._clock(), self._recent
        while recent and recent[0].time <= now - WINDOW:
            recent.popleft()
        full = bool(self._rpm and len(recent) >= self._rpm)
        heavy = bool(self._tpm and recent and sum(e.tokens for e in recent) + tokens > self._tpm)
        return recent[0].time + WINDOW - now if full or heavy else 0.0


_shared: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[tuple[object, ...], Limiter]] = WeakKeyDictionary()


def limiter(profile: Profile) -> Limiter:
    """The limiter of a profile on the running loop."""
    known = _shared.setdefault(asyncio.get_running_loop(), {})
    limits = (profile.concurrency, profile.rpm, profile.tpm)
    key = (profile.base_url, profile.provider_model, profile.api_key, id(profile.driver), *limits)
    if key not in known:
        known[key] = Limiter(*limits)
    return known[key]
