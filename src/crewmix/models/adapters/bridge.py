"""The way from a worker thread to the run's event loop and back, which can be cut."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import CancelledError, Future
from typing import Any, TypeVar

from crewmix.errors import CrewmixError, ModelError, RunCancelledError

T = TypeVar("T")


class Bridge:
    """Runs coroutines on a loop for threads that wait for them, until it is cut.

    Once cut, what is in flight is cancelled and nothing new starts, so that a framework whose threads cannot be stopped ends
    its work by itself.

    Args:
        loop: Where the coroutines run; the threads that call `run` must not be that loop's.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.error: CrewmixError | None = None
        """Why it was cut."""
        self._lock = threading.Lock()
        self._in_flight: set[Future[Any]] = set()

    def start(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Start `work` on the loop.

        Raises:
            CrewmixError: The bridge was cut; the error it was cut with.
        """
        with self._lock:
            if self.error is not None:
                work.close()
                raise self.error
            future = asyncio.run_coroutine_threadsafe(work, self.loop)
            self._in_flight.add(future)
        future.add_done_callback(self._in_flight.discard)
        return future

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run `work` on the loop and wait for it on this thread.

        What stops a whole run (every `CrewmixError` but a `ModelError`) and being cancelled also cut the bridge.

        Raises:
            CrewmixError: What `work` raised, or what the bridge was cut with.
        """
        try:
            return self.start(work).result()
        except CancelledError:
            self.cut(RunCancelledError("the turn was cancelled"))
        except CrewmixError as error:
            if isinstance(error, ModelError):
                raise
            self.cut(error)
        raise self.error or RunCancelledError("the turn was cancelled")

    def cut(self, error: CrewmixError) -> None:
        """Cancel what is in flight and let nothing new start. The first error stays."""
        with self._lock:
            self.error = self.error or error
            in_flight = list(self._in_flight)
        for future in in_flight:
            future.cancel()
