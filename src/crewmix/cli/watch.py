"""Runs a crew while someone watches: events to the view, questions to the person, Ctrl-C to the run."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import TYPE_CHECKING

from crewmix.cli.output import stdout, warn
from crewmix.cli.person import Person, is_there
from crewmix.cli.text import clean
from crewmix.cli.views import View, choose_view
from crewmix.errors import CrewmixError, RunCancelledError
from crewmix.journal.events import Event, RunStarted, Warned
from crewmix.journal.redact import Redactor
from crewmix.result import RunResult

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from crewmix.tools.base import Tool, ToolContext
    from crewmix.tools.people import Plan

OK, OUT_OF_BUDGET, INTERRUPTED = 0, 3, 130

Start = Callable[..., RunResult]
"""Does the run and waits for it; gets `on_event`, `deltas`, `ask`, `approve`, `review` and `wait`."""


def watch(start: Start, *, as_json: bool, quiet: bool, yes: bool, wait: bool = False) -> int:
    """Run to the end, showing everything, and return the exit code.

    Args:
        start: Does the run.
        as_json: Show events and result as JSON lines.
        quiet: Show only the answer.
        yes: Consent to every tool call that asks, and to the plan.
        wait: Let the run wait where a person is needed and nobody is there.

    Raises:
        CrewmixError: The run could not go on.
        BrokenPipeError: Nobody reads our output any more; the run was stopped.
    """
    someone = is_there()  # before the live view takes stderr
    view = choose_view(as_json=as_json, quiet=quiet)
    return _Watch(view, _seat(Person(view) if someone else None, yes, wait)).run(start)


class _Watch:
    def __init__(self, view: View, seat: Mapping[str, Any]) -> None:
        self._view = view
        self._run_id = ""
        self._kept = True
        self._interrupts = 0
        self._failure: Exception | None = None
        """What went wrong while showing an event."""
        self._seat = seat

    def run(self, start: Start) -> int:
        try:
            with self._ctrl_c():
                result = start(on_event=self._see, deltas=self._view.deltas, **self._seat)
        except (KeyboardInterrupt, RunCancelledError) as error:
            if self._failure is not None:
                raise self._failure from None
            self._close()
            return self._interrupted(error)
        except CrewmixError as error:
            self._close()
            if self._run_id and self._kept and self._run_id not in str(error):
                warn(f"Run {self._run_id}: `crewmix show {self._run_id} --events` tells what happened.")
            raise
        finally:
            self._close()
        if self._failure is not None:
            raise self._failure
        self._view.finish(RunResult.from_dict(Redactor().data(result.as_dict())))
        return OUT_OF_BUDGET if result.stopped_by == "budget" else OK

    def _close(self) -> None:
        with suppress(OSError):
            self._view.close()

    def _see(self, event: Event) -> None:
        if isinstance(event, RunStarted):
            self._run_id = event.run_id
        if isinstance(event, Warned) and event.code == "not_kept":
            self._kept = False
        if self._failure is not None:
            return
        try:
            self._view.see(event)
        except Exception as error:
            # Showing must not break the run from inside: have the main thread end it in order, then tell.
            self._failure = error
            main = threading.main_thread().ident
            if main is not None:
                signal.pthread_kill(main, signal.SIGINT)

    @contextmanager
    def _ctrl_c(self) -> Generator[None]:
        """The first Ctrl-C stops the run, the second one the process."""
        before = signal.signal(signal.SIGINT, self._on_interrupt)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    def _on_interrupt(self, _signal: int, _frame: FrameType | None) -> None:
        self._interrupts += 1
        if self._interrupts == 1:
            raise KeyboardInterrupt
        if stdout().isatty():
            os.write(1, b"\x1b[?25h")  # the live view hides the cursor
        os._exit(INTERRUPTED)

    def _interrupted(self, error: BaseException) -> int:
        what = f"`crewmix resume {self._run_id}` goes on from here" if self._run_id else "the run had not begun"
        if not self._kept:
            what = "the run was kept in memory only"
        why = clean(error.message) if isinstance(error, RunCancelledError) else "interrupted"
        warn(f"\n{why[0].upper()}{why[1:]}; {what}.")
        return INTERRUPTED


def _seat(person: Person | None, yes: bool, wait: bool) -> dict[str, Any]:
    """Who is asked, as the options of a run."""
    seat: dict[str, Any] = {"wait": True} if wait else {}
    if person is not None:
        seat |= {"ask": person.ask, "approve": person.approve, "review": person.review}
    if yes:
        seat |= {"approve": _consent, "review": _accept}
    return seat


async def _consent(_context: ToolContext, _tool: Tool, _arguments: Mapping[str, Any]) -> bool:
    return True


async def _accept(_plan: Plan) -> bool:
    return True
