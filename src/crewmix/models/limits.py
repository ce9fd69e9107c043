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

from crewmix.models.deadline import until
from crewmix.models.profile import Profile

WINDOW = 60.0


@dataclass(slots=True)
class Entry:
    """One admitted request. `tokens` is an estimate until the provider has said how many it were."""

    time: float
    tokens: int
    sent: bool = True
    """Whether it went out; if not when its slot is given back, it takes up nothing."""


class Limiter:
    """A sliding window over the last minute, and a semaphore; first come, first served.

    A single request larger than `tpm` is let through when nothing else is in the window.

    Args:
        concurrency: The most requests at the same time.
        rpm: The most requests in any 60 seconds.
        tpm: The most tokens in any 60 seconds.
        clock: Seconds, monotonic. Should it be put back nevertheless, the window is put back with it.
        wait: Waits for an event, but no longer than so many seconds.
    """

    def __init__(
        self,
        concurrency: int,
        rpm: int | None = None,
        tpm: int | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[asyncio.Event, float], Awaitable[None]] = until,
    ) -> None:
        self._slots = asyncio.Semaphore(concurrency)
        self._turn = asyncio.Lock()
        self._rpm, self._tpm = rpm, tpm
        self._clock, self._wait = clock, wait
        self._seen = clock()
        self._recent: deque[Entry] = deque()
        self._freed = asyncio.Event()

    @asynccontextmanager
    async def slot(self, tokens: int) -> AsyncGenerator[Entry]:
        """Wait until a request of about `tokens` tokens may go out, and hold its place while it does.

        What the caller writes into the entry counts from then on, e.g. the real number of tokens.
        """
        async with self._slots:
            async with self._turn:
                while (seconds := self._until_free(tokens)) > 0:
                    await self._wait(self._freed, seconds)
                    self._freed.clear()
                entry = Entry(self._seen, tokens)
                if self._rpm or self._tpm:
                    self._recent.append(entry)
            try:
                yield entry
            finally:
                if not entry.sent:
                    self._recent = deque(other for other in self._recent if other is not entry)
                self._freed.set()  # the estimate was corrected, or nothing was sent

    def _until_free(self, tokens: int) -> float:
        """Seconds until the oldest request leaves the window, if that must be waited for; else 0."""
        self._read_clock()
        recent = self._recent = deque(entry for entry in self._recent if self._is_recent(entry))
        full = bool(self._rpm and len(recent) >= self._rpm)
        heavy = bool(self._tpm and recent and sum(e.tokens for e in recent) + tokens > self._tpm)
        return recent[0].time + WINDOW - self._seen if full or heavy else 0.0

    def _is_recent(self, entry: Entry) -> bool:
        return entry.time > self._seen - WINDOW

    def _read_clock(self) -> None:
        now = self._clock()
        for entry in self._recent if now < self._seen else ():
            entry.time -= self._seen - now
        self._seen = now


_shared: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[tuple[object, ...], Limiter]] = WeakKeyDictionary()


def limiter(profile: Profile) -> Limiter:
    """The limiter of a profile on the running loop."""
    known = _shared.setdefault(asyncio.get_running_loop(), {})
    limits = (profile.concurrency, profile.rpm, profile.tpm)
    key = (profile.base_url, profile.provider_model, profile.api_key, id(profile.driver), *limits)
    if key not in known:
        known[key] = Limiter(*limits)
    return known[key]
