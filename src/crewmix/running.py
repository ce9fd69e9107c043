"""A run that goes on by itself, and a handle on it for any thread."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from crewmix.errors import RunCancelledError, UsageError
from crewmix.loop import begin, on_home_loop

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
        run_id: The run's id.
        work: Does the run, on the home loop.

    Raises:
        UsageError: This process was forked from one in which crewmix was at work.
    """

    def __init__(self, run_id: str, work: Coroutine[Any, Any, RunResult]) -> None:
        self.run_id = run_id
        self._future, self._ended = begin(work)

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
            raise cancelled(self.run_id)
        return self._future.result()


def cancelled(run_id: str) -> RunCancelledError:
    """The error for a run that was cancelled."""
    return RunCancelledError(f"run {run_id} was cancelled", hint=f"`crewmix resume {run_id}` goes on from there")
