"""The ways of watching a run: live on a terminal, plain lines, JSON lines, or just the answer."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager
from typing import ClassVar, Protocol

from crewmix.cli.facts import facts, model_lines
from crewmix.cli.output import is_rich_terminal, say, say_json, stdout, warn
from crewmix.cli.report import report, totals
from crewmix.cli.text import clean, one_line
from crewmix.journal.events import Event
from crewmix.result import RunResult


class View(Protocol):
    """Someone's eyes on a run. `see` is called on the home loop, the rest on the main thread."""

    deltas: ClassVar[bool]
    """Whether it shows text as it arrives."""

    def see(self, event: Event) -> None:
        """Show what happened."""
        ...

    def paused(self) -> AbstractContextManager[None]:
        """While a person is asked something on the terminal."""
        ...

    def close(self) -> None:
        """Leave the terminal as it was; called once, before `finish`."""
        ...

    def finish(self, result: RunResult) -> None:
        """Show the result."""
        ...


class PlainView:
    """Lines, for pipes, files and terminals that cannot redraw."""

    deltas: ClassVar[bool] = False

    def __init__(self) -> None:
        self._held: list[str] | None = None
        """What happened while a person is asked; shown after the answer."""

    def see(self, event: Event) -> None:
        """Write the event's lines."""
        if self._held is None:
            say(facts(event))
        else:
            self._held += facts(event)

    @contextmanager
    def paused(self) -> Generator[None]:
        """Write nothing beside the question."""
        self._held = []
        try:
            yield
        finally:
            held, self._held = self._held, None
            say(held)

    def close(self) -> None:
        """Nothing to leave."""

    def finish(self, result: RunResult) -> None:
        """Write the report."""
        say(report(result))


class JsonView(PlainView):
    """Events as JSON lines, then the result as the last line, `"type": "RunResult"`."""

    deltas: ClassVar[bool] = True

    def see(self, event: Event) -> None:
        """Write the event as one line of JSON."""
        say_json(event.as_dict(), indent=None)

    def finish(self, result: RunResult) -> None:
        """Write the result as one line of JSON."""
        say_json({"type": "RunResult", **result.as_dict()}, indent=None)


class QuietView(PlainView):
    """Only the answer on stdout; what a reader must not miss goes to stderr."""

    def see(self, event: Event) -> None:
        """Nothing."""

    def finish(self, result: RunResult) -> None:
        """Write the answer; models that are none, warnings and a missing part to stderr."""
        warn([line for line in model_lines(result.models) if not line.startswith("model ")])
        warn([f"warning: {one_line(text, 600)}" for text in result.warnings])
        if result.status != "done":
            warn(totals(result))
        say(clean(result.output))


def choose_view(*, as_json: bool, quiet: bool) -> View:
    """The view that was asked for, else the live one where the terminal can show it, else plain lines."""
    if as_json:
        return JsonView()
    if quiet:
        return QuietView()
    if is_rich_terminal(stdout()):
        from crewmix.cli.live import LiveView

        return LiveView()
    return PlainView()
