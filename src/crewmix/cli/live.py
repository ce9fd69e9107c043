"""The live view: what happened scrolls by as plain lines, where the run stands is redrawn below them."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from typing import ClassVar

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from crewmix.cli.board import Board, Speaker, TaskState
from crewmix.cli.facts import NO_MODEL, facts
from crewmix.cli.output import say, stdout
from crewmix.cli.report import report
from crewmix.cli.text import clean, count, duration, money, one_line
from crewmix.journal.events import Event, TextDelta
from crewmix.result import RunResult

_MARKS = {"working": ("▸", "cyan"), "done": ("✓", "green"), "partial": ("◐", "yellow"), "failed": ("✗", "red")}
_LOUD = {
    "FAILED": "bold red",
    "warning": "yellow",
    "retry": "yellow",
    "fallback": "yellow",
    "waiting": "magenta",
    "replaced": "yellow",
    "budget": "yellow",
    "consent": "magenta",
}


class LiveView:
    """The view on a terminal that can redraw.

    Args:
        console: Where to draw; None = stdout.
    """

    deltas: ClassVar[bool] = True

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(file=stdout(), highlight=False, markup=False, emoji=False)
        self._board = Board()
        self._lock = threading.Lock()
        self._held: list[Text] | None = None
        """What happened while a person is asked; shown after the answer."""
        self._started = time.monotonic()
        self._live = Live(
            console=self._console, get_renderable=self.draw, refresh_per_second=8, transient=True, redirect_stdout=False
        )
        self._live.start()

    def see(self, event: Event) -> None:
        """Write the event's lines above the state, and update the state."""
        with self._lock:
            self._board.see(event)
        if isinstance(event, TextDelta):
            return
        for line in facts(event):
            style = "bold yellow" if line == NO_MODEL else _LOUD.get(line.partition(":")[0], "")
            self._print(Text(line, style=style))

    @contextmanager
    def paused(self) -> Generator[None]:
        """Stop redrawing and writing while a person is asked."""
        self._live.stop()
        self._held = []
        try:
            yield
        finally:
            held, self._held = self._held, None
            self._live.start()
            for line in held:
                self._print(line)

    def _print(self, line: Text) -> None:
        if self._held is None:
            self._console.print(line)
        else:
            self._held.append(line)

    def close(self) -> None:
        """Remove the state from the screen and show the cursor again."""
        self._live.stop()

    def finish(self, result: RunResult) -> None:
        """Write the report."""
        say(report(result))

    def draw(self) -> RenderableType:
        """The state of the run, in no more lines than the terminal has."""
        with self._lock:
            tasks, speakers = list(self._board.tasks.values()), list(self._board.speakers.values())
            last = _totals(self._board, time.monotonic() - self._started)
        room = max(self._console.height - 3, 1)
        talk = _talk(speakers, self._console.width - 4, max(room - len(tasks), room // 2))
        return Group(*_plan(tasks, room - len(talk)), *talk, last)


def _plan(tasks: list[TaskState], room: int) -> list[Text]:
    """The tasks in at most `room` lines: those under way before those that are over and those that wait."""
    lines = [_task_line(task) for task in tasks]
    if len(lines) <= room:
        return lines
    lines = [_task_line(task) for task in tasks if task.status == "working"]
    rest = Counter(task.status for task in tasks if task.status != "working")
    hidden = len(lines) - (room - 1)
    if hidden > 0:
        rest["working"] = hidden
    summary = ", ".join(f"{number} {status}" for status, number in rest.items())
    return [*lines[: max(room - 1, 0)], Text(f" · {summary}", style="dim")]


def _task_line(task: TaskState) -> Text:
    if task.status == "waiting":
        return Text(f" · {task.id}  {'after ' + ', '.join(task.needs) if task.needs else 'waiting'}", style="dim")
    mark, style = _MARKS.get(task.status, ("·", ""))
    return Text(f" {mark} {task.id}  {one_line(task.description)}", style=style, no_wrap=True, overflow="ellipsis")


def _talk(speakers: list[Speaker], width: int, room: int) -> list[Text]:
    """Who speaks, in at most `room` lines: with the end of what they say below, or beside their names when they are many."""
    lines = [line for speaker in speakers for line in (_head(speaker), *_said(speaker, width))]
    if len(lines) <= room:
        return lines
    lines = [_head(speaker, beside=True) for speaker in speakers]
    if len(lines) <= room:
        return lines
    shown = lines[: max(room - 1, 0)]
    return [*shown, Text(f" … {len(lines) - len(shown)} more speak", style="dim", no_wrap=True, overflow="ellipsis")]


def _head(speaker: Speaker, *, beside: bool = False) -> Text:
    head = Text(no_wrap=True, overflow="ellipsis").append(f" {speaker.role}", style="bold")
    if speaker.task:
        head.append(f" on {speaker.task}", style="dim")
    if speaker.tool:
        head.append(f"  {speaker.tool}", style="magenta")
    if beside and speaker.text:
        head.append(f"  …{' '.join(clean(speaker.text).split())[-40:]}", style="dim")
    return head


def _said(speaker: Speaker, width: int) -> list[Text]:
    said = " ".join(clean(speaker.text).split())[-2 * max(width, 20) :]
    return [Text(f"   {part}", style="dim") for part in _fold(said, max(width, 20))]


def _fold(text: str, width: int) -> list[str]:
    return [text[start : start + width] for start in range(0, len(text), width)]


def _totals(board: Board, seconds: float) -> Text:
    priced = board.calls - board.unpriced
    cost = money(board.cost if priced or not board.calls else None)
    if board.unpriced and priced:
        cost += f" and {count(board.unpriced, 'call')} of unknown price"
    parts = [f"cost {cost}", count(board.calls, "call"), count(board.tokens, "token"), duration(seconds)]
    if board.recalled:
        parts.append(f"{board.recalled} from the journal")
    return Text(f" {' · '.join(parts)} · Ctrl-C stops", style="dim", no_wrap=True, overflow="ellipsis")
