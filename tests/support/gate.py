"""A provider's answers that can be held back."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

from support.provider import Answer, Reply

LONG = 30
"""Seconds a test waits for what should take milliseconds."""


class Gate:
    """Answers requests, but holds back those of these numbers, counted from 1, as long as they are in `holds`.

    Args:
        holds: Numbers of requests.
        answer: The answer to a request's body.
    """

    def __init__(self, *holds: int, answer: Callable[[dict], Answer] = lambda body: Reply("fine")) -> None:
        self.holds = set(holds)
        self.answer = answer
        self.count = 0
        self.reached = threading.Event()
        """Set when the last of them has arrived."""
        self._opened: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    def open(self) -> None:
        """Hold back nothing any more; what is held stays so."""
        self.holds = set()

    def let_go(self) -> None:
        """Answer also what is held."""
        self.open()
        for loop, event in self._opened:
            loop.call_soon_threadsafe(event.set)

    async def __call__(self, body: dict) -> Answer:
        self.count += 1
        if self.count in self.holds:
            opened = asyncio.Event()
            self._opened.append((asyncio.get_running_loop(), opened))
            if self.count == max(self.holds):
                self.reached.set()
            await opened.wait()
        return self.answer(body)
