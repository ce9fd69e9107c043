"""A run as a stream of events."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from crewmix.errors import RunCancelledError, UsageError
from crewmix.journal.events import Event, TextDelta

if TYPE_CHECKING:
    from crewmix.result import RunResult

MERGE_ABOVE = 256
"""When more events than this wait for a slow reader, pieces of text are joined."""


class RunStream:
    """A run's events as they happen. It starts when it is iterated.

    ```python
    async with crew.stream("Compare A and B") as stream:
        async for event in stream:
            ...
    print(stream.result.output)
    ```

    Leaving the `async with` block early cancels the run and waits until it has stopped. Without the block, the run is
    cancelled when Python closes the abandoned loop, which is soon after.
    """

    def __init__(self, start: Callable[[Callable[[Event], None]], Awaitable[RunResult]]) -> None:
        self._start = start
        self._result: RunResult | None = None
        self._work: asyncio.Future[RunResult] | None = None
        self._closing = False
        self._cancelled = False
        self._loop: asyncio.AbstractEventLoop | None = None

    async def __aenter__(self) -> RunStream:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Cancel the run if it still goes on, and wait until it has stopped."""
        if self._work is None or self._work.done():
            return
        self._stop()
        await asyncio.wait({self._work})

    def cancel(self) -> None:
        """Cancel the run, from any thread. Whoever reads the stream gets its last events and then a `RunCancelledError`."""
        self._cancelled = True
        if self._loop is not None:
            with suppress(RuntimeError):  # the reader's loop is closed, and the run is over with it
                self._loop.call_soon_threadsafe(self._stop)

    def _stop(self) -> None:
        if self._work is not None and not self._closing:  # a second cancel would interrupt the run's closing
            self._closing = True
            self._work.cancel()

    @property
    def result(self) -> RunResult:
        """The run's result.

        Raises:
            UsageError: The stream was not read to its end.
        """
        if self._result is None:
            raise UsageError("the run has no result yet", hint="read the stream to its end first")
        return self._result

    async def __aiter__(self) -> AsyncIterator[Event]:
        """Every event of the run; then what the run raised, if anything."""
        loop = self._loop = asyncio.get_running_loop()
        if self._cancelled:
            raise _cancelled()
        waiting: deque[Event] = deque()
        news = asyncio.Event()

        def take(event: Event) -> None:
            last = waiting[-1] if len(waiting) > MERGE_ABOVE else None
            if isinstance(event, TextDelta) and isinstance(last, TextDelta) and last.scope == event.scope:
                waiting[-1] = replace(last, text=last.text + event.text)
            else:
                waiting.append(event)
            news.set()

        def hear(event: Event) -> None:
            loop.call_soon_threadsafe(take, event)

        work = self._work = asyncio.ensure_future(self._start(hear))
        work.add_done_callback(lambda _: news.set())
        try:
            while True:
                while waiting:
                    yield waiting.popleft()
                if work.done():
                    break
                news.clear()
                await news.wait()
            if work.cancelled() and self._cancelled:
                raise _cancelled()
            self._result = work.result()
        finally:
            await self.aclose()


def _cancelled() -> RunCancelledError:
    return RunCancelledError("the run was cancelled", hint="`crewmix resume last` goes on from there")
