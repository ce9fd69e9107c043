"""A run that goes on by itself, and a handle on it for any thread."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from crewmix.errors import RunCancelledError, UsageError
from crewmix.loop import begin, on_home_loop
from crewmix.opening import new_run_id

if TYPE_CHECKING:
    from crewmix.result import RunResult


class Running:
    """A run under way. Made by `Crew.start`; every method may be called from any thread.

    ```python
    running = crew.start("Compare A and B")
    ...
    running.cancel()  # or
    print(running.result(timeout=60).output)
    ```

    A program that ends leaves the run as if it had been killed: `crewmix resume` goes on with it.

    Args:
        start: Makes the run's work from its id; it is done on the home loop.

    Raises:
        UsageError: This process was forked from one in which crewmix was at work.
    """

    def __init__(self, start: Callable[[str], Coroutine[Any, Any, RunResult]]) -> None:
        self.run_id = new_run_id()
        """The run's id, under which the journal knows it as soon as it has begun."""
        self._future, self._ended = begin(start(self.run_id))

    def __repr__(self) -> str:
        state = "under way" if not self.done else "cancelled" if self._future.cancelled() else "over"
        return f"<Running {self.run_id}, {state}>"

    @property
    def done(self) -> bool:
        """Whether the run is over: its journal is written, its connections are closed and others may resume it."""
        return self._ended.is_set()

    def cancel(self) -> None:
        """Stop the run: no further call starts, requests in flight are closed. `result` tells when that is done."""
        self._future.cancel()

    def result(self, timeout: float | None = None) -> RunResult:
        """Wait for the run's end and give its result. The run goes on when the waiting ends early.

        Args:
            timeout: The most seconds to wait; None = as long as it takes.

        Raises:
            TimeoutError: It is not over yet.
            RunCancelledError: It was cancelled; it can be resumed.
            CrewmixError: The run failed, as for `Crew.run`.
            UsageError: When called on crewmix's own event loop, where waiting would deadlock.
        """
        if on_home_loop():
            raise UsageError(
                "a blocking call was made on crewmix's own event loop", hint="wait for the result on another thread"
            )
        if not self._ended.wait(timeout):
            raise TimeoutError(f"run {self.run_id} is still going on after {timeout:g} seconds")
        if self._future.cancelled():
            hint = f"`crewmix resume {self.run_id}` goes on from there"
            raise RunCancelledError(f"run {self.run_id} was cancelled", hint=hint)
        return self._future.result()
