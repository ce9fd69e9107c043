"""The one event loop that runs, models and tools live on.

A process has one *home loop* on a thread of its own. `Crew.run` waits for it, `Crew.arun` awaits it from any other loop,
crewAI's worker threads call into it. So one connection pool, one rate limiter and one budget serve every run of the
process, whatever loop or thread the caller has.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, TypeVar

from crewmix.errors import UsageError

T = TypeVar("T")

STOP_SECONDS = 5.0
"""The longest wait for cancelled work to close its connections and its journal; usually it takes milliseconds."""


class _Home:
    """The loop and its thread, started at first use."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process = 0
        self.started: asyncio.AbstractEventLoop | None = None

    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop.

        Raises:
            UsageError: It was started before this process was forked, so it does not run here.
        """
        if self._process not in (0, os.getpid()):
            raise UsageError(
                "crewmix was at work before this process was forked, and its threads do not exist here",
                hint='fork before the first run, or use multiprocessing.get_context("spawn")',
            )
        with self._lock:
            if self.started is None or self.started.is_closed():
                self._process = os.getpid()
                self.started = asyncio.new_event_loop()
                threading.Thread(target=_run, args=(self.started,), name="crewmix-home", daemon=True).start()
            return self.started


def _run(loop: asyncio.AbstractEventLoop) -> None:
    while not loop.is_closed():
        with suppress(SystemExit, KeyboardInterrupt):  # whoever awaits the task that raised it gets it
            loop.run_forever()


_home = _Home()


def on_home_loop() -> bool:
    """Whether the caller runs on the home loop."""
    try:
        return asyncio.get_running_loop() is _home.started
    except RuntimeError:
        return False


def wait_for(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` on the home loop and wait for its result on this thread. Ctrl-C cancels it and waits until it has stopped.

    Raises:
        UsageError: When called on the home loop itself, where waiting would deadlock.
    """
    if on_home_loop():
        work.close()
        raise UsageError("a blocking call was made on crewmix's own event loop", hint="use the async form, e.g. `arun`")
    future, ended = begin(work)
    try:
        return future.result()
    except KeyboardInterrupt:
        future.cancel()
        ended.wait(STOP_SECONDS)
        raise


async def at_home(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` on the home loop from any loop. Cancelling this cancels it and waits until it has stopped."""
    if on_home_loop():
        return await work
    future, ended = begin(work)
    try:
        return await asyncio.wrap_future(future)
    except asyncio.CancelledError:
        future.cancel()
        await asyncio.to_thread(ended.wait, STOP_SECONDS)
        raise


def begin(work: Coroutine[Any, Any, T]) -> tuple[Future[T], threading.Event]:
    """Start `work` on the home loop from any thread, and come back at once.

    Returns:
        The work's future, which is cancelled at once when asked to, and what is set when the work has really ended.

    Raises:
        UsageError: The home loop belongs to the process that this one was forked from.
    """
    future: Future[T] = Future()
    ended = threading.Event()

    def create() -> None:
        task = loop.create_task(work)
        task.add_done_callback(end)
        future.add_done_callback(lambda _: loop.call_soon_threadsafe(task.cancel) if future.cancelled() else None)

    def end(task: asyncio.Task[T]) -> None:
        ended.set()
        error = None if task.cancelled() else task.exception()
        if task.cancelled():
            future.cancel()
        if not future.set_running_or_notify_cancel():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(task.result())

    try:
        loop = _home.loop()
    except UsageError:
        work.close()
        raise
    loop.call_soon_threadsafe(create)
    return future, ended
