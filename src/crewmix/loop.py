"""The one event loop that runs, models and tools live on.

A process has one *home loop* on a thread of its own. `Crew.run` waits for it, `Crew.arun` awaits it from any other loop,
crewAI's worker threads call into it. So one connection pool, one rate limiter and one budget serve every run of the
process, whatever loop or thread the caller has.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from crewmix.errors import UsageError

T = TypeVar("T")


class _Home:
    """The loop and its thread, started at first use."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    def loop(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None or self._loop.is_closed():
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=self._loop.run_forever, name="crewmix-home", daemon=True).start()
            return self._loop


_home = _Home()


def home_loop() -> asyncio.AbstractEventLoop:
    """The process's home loop, running on its own daemon thread."""
    return _home.loop()


def on_home_loop() -> bool:
    """Whether the caller runs on the home loop."""
    try:
        return asyncio.get_running_loop() is _home.loop()
    except RuntimeError:
        return False


def submit(work: Coroutine[Any, Any, T]) -> Future[T]:
    """Start `work` on the home loop from any thread; cancelling the future cancels the work."""
    return asyncio.run_coroutine_threadsafe(work, _home.loop())


def wait_for(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` on the home loop and wait for its result on this thread.

    Raises:
        UsageError: When called on the home loop itself, where waiting would deadlock.
    """
    if on_home_loop():
        work.close()
        raise UsageError("a blocking call was made on crewmix's own event loop", hint="use the async form, e.g. `arun`")
    return submit(work).result()
