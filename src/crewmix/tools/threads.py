"""Blocking work beside the event loop, in threads that can be abandoned."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def in_thread(name: str, work: Callable[[], T]) -> T:
    """Run blocking `work` in a daemon thread of its own and wait for its outcome.

    A thread cannot be stopped: when the waiting task is cancelled the thread goes on and its outcome is dropped. That is why
    this is no `ThreadPoolExecutor`: threads that hang would use up the pool, and keep the process from ending.

    Args:
        name: The thread's name.
        work: What to do. It sees the caller's context variables.
    """
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[tuple[T | None, BaseException | None]] = loop.create_future()
    context = contextvars.copy_context()

    def deliver(value: T | None, error: BaseException | None) -> None:
        if not outcome.done():
            outcome.set_result((value, error))

    def run() -> None:
        value, error = None, None
        try:
            value = context.run(work)
        except BaseException as raised:
            error = raised
        with contextlib.suppress(RuntimeError):  # the loop is closed, so nobody waits any more
            loop.call_soon_threadsafe(deliver, value, error)

    threading.Thread(target=run, name=name, daemon=True).start()
    value, error = await outcome
    if error is not None:
        raise error
    return value  # pyright: ignore[reportReturnType]
