"""The person at the terminal: is asked for consent to tool calls, and speaks for roles with `actor: human`."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

from crewmix.cli.output import warn
from crewmix.cli.text import call, clean

if TYPE_CHECKING:
    from crewmix.agents.base import Turn
    from crewmix.cli.views import View
    from crewmix.tools.base import Tool, ToolContext


def is_there() -> bool:
    """Whether someone can read our questions and type answers."""
    return sys.stdin.isatty() and sys.stderr.isatty()


class Person:
    """Asks on stderr, reads stdin. One question at a time; what is typed while nothing is asked answers nothing.

    Args:
        view: Holds still while a question is open.
    """

    def __init__(self, view: View) -> None:
        self._view = view
        self._turn = asyncio.Lock()
        self._lines: tuple[asyncio.AbstractEventLoop, asyncio.Queue[str]] | None = None
        """Where lines go while a question is open."""
        self._reader: threading.Thread | None = None
        self._ended = False

    async def approve(self, context: ToolContext, tool: Tool, arguments: Mapping[str, Any]) -> bool | str:
        """Consent to a tool call: True, False, or the reason why not."""
        who = context.scope.role or "The crew"
        async with self._question() as line:
            warn(f"\n{who} wants to run {call(tool.name, arguments)}, which can {_CAN[tool.risk]}.")
            answer = (await line("Allow it? [y/N, or say why not] ")).strip()
        if answer.lower() in {"y", "yes"}:
            return True
        return False if answer.lower() in {"", "n", "no"} else answer

    async def ask(self, question: str, turn: Turn) -> str:
        """What the person says as `turn.role`; empty to skip the turn."""
        said: list[str] = []
        async with self._question() as line:
            warn(["", clean(question), "", f"Your turn as {turn.role.name}. End with an empty line; only that skips."])
            while text := (await line("> ")).rstrip():
                said.append(text)
        return "\n".join(said)

    @asynccontextmanager
    async def _question(self) -> AsyncGenerator[Callable[[str], Awaitable[str]]]:
        """An open question; gives the function that shows a prompt and waits for a line, empty at the input's end."""
        async with self._turn:
            with self._view.paused():
                lines: asyncio.Queue[str] = asyncio.Queue()
                forget_what_was_typed()
                self._lines = (asyncio.get_running_loop(), lines)
                if self._reader is None:
                    # A daemon thread: reading a terminal cannot be cancelled, and must not keep a cancelled run alive.
                    self._reader = threading.Thread(target=self._read_forever, name="crewmix-stdin", daemon=True)
                    self._reader.start()

                async def line(prompt: str) -> str:
                    if self._ended and lines.empty():
                        return ""
                    sys.stderr.write(prompt)
                    sys.stderr.flush()
                    return await lines.get()

                try:
                    yield line
                finally:
                    self._lines = None

    def _read_forever(self) -> None:
        while not self._ended:
            line = sys.stdin.readline()
            self._ended = not line
            if (waiting := self._lines) is not None:
                loop, lines = waiting
                loop.call_soon_threadsafe(lines.put_nowait, line)


def forget_what_was_typed() -> None:
    """Drop what the terminal holds: it was typed before the question, so it cannot be its answer."""
    import termios

    with suppress(termios.error, OSError, ValueError):
        termios.tcflush(sys.stdin.fileno(), termios.TCIFLUSH)


_CAN = {"read": "read data", "write": "change files", "exec": "run programs", "net": "reach the network"}
