"""An event loop whose time passes only while everybody waits: hours of waiting take no time, and lost wake-ups are found."""

from __future__ import annotations

import asyncio
from typing import Any


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop that jumps to the next timer when nothing else can go on.

    Nothing may come from outside: no threads, no sockets. When all work waits for something that can never happen, it fails
    instead of hanging.
    """

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0

    def time(self) -> float:
        """Seconds since the loop was made."""
        return self._now

    def _run_once(self) -> None:
        own: Any = self
        if not own._ready and not own._stopping:
            due = [timer.when() for timer in own._scheduled if not timer.cancelled()]
            if not due:
                raise AssertionError("everybody waits, and nobody will ever wake them")
            self._now = max(self._now, min(due))
        super()._run_once()
