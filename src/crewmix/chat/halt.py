"""Stopping a chat: everything that goes on in it ends at once, and nothing further starts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from crewmix.errors import BudgetExceededError, WaitingError
from crewmix.journal.scope import Scope
from crewmix.tools.people import wait_for_any

T = TypeVar("T")

CLEANUP_SECONDS = 0.1
"""How long cancelled work may take to end before it is left behind."""


class StoppedError(Exception):
    """The chat was stopped while this work was going on."""


class LateError(Exception):
    """The work took too long."""


class Halt:
    """Whether a chat was stopped, and by which error.

    When a call no longer fits a budget, or a person is waited for, the calls beside it are paid for: they are let finish, and
    the chat is over before anything further starts. Every other error, and the end of the time, stops all work at once.
    """

    def __init__(self) -> None:
        self.error: Exception | None = None
        self._stop: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def stop(self) -> None:
        """End the chat: work that is going on is cancelled, nothing further starts."""
        if not self._stop.done():
            self._stop.set_result(None)

    def let_nothing_start(self) -> None:
        """End the chat if an error ended it while other work was let finish."""
        if self.error is not None:
            self.stop()

    def require_going_on(self) -> None:
        """Pass while the chat goes on.

        Raises:
            StoppedError: It was stopped.
        """
        if self._stop.done():
            raise StoppedError

    async def or_stop(self, work: Awaitable[T]) -> T | None:
        """The work's outcome; None when the chat was stopped meanwhile. What it raises ends the chat; the first counts."""
        try:
            return await work
        except StoppedError:
            return None
        except Exception as error:
            ends_now = not isinstance(error, BudgetExceededError | WaitingError) or _out_of_time(error)
            if self.error is None or (ends_now and not self._stop.done()):
                self.error = error
            if ends_now:
                self.stop()
            return None

    async def unless_stopped(self, work: Awaitable[T], seconds: float | None = None, scope: Scope | None = None) -> T:
        """The work's outcome. It is cancelled when the chat is stopped, its time is over, or the caller is cancelled.

        Args:
            work: What to wait for.
            seconds: How long it may take; None = as long as it takes.
            scope: Where it happens: the time for which people are asked there does not count.

        Raises:
            StoppedError: The chat was stopped.
            LateError: It took too long.
        """
        task = asyncio.ensure_future(work)
        try:
            await wait_for_any({task, self._stop}, seconds, scope)
            if task.done() and not task.cancelled():
                return task.result()
            if self._stop.done():
                raise StoppedError
            if task.cancelled():
                raise RuntimeError("the work was cancelled from within")
            raise LateError
        finally:
            if not task.done():
                task.add_done_callback(lambda left: left.cancelled() or left.exception())
                task.cancel()
                await asyncio.wait({task}, timeout=CLEANUP_SECONDS)


def _out_of_time(error: Exception) -> bool:
    return isinstance(error, BudgetExceededError) and error.limit == "seconds"
