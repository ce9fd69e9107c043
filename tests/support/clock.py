"""Time that passes only when somebody waits, or when it is told to."""

from __future__ import annotations

import asyncio


class Clock:
    """`now` in seconds; `wait` is what waits for an event or a time, `waits` what was waited for."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.waits: list[float] = []

    async def wait(self, event: asyncio.Event, seconds: float) -> None:
        self.waits.append(seconds)
        await asyncio.sleep(0)
        if not event.is_set():
            self.now += seconds
