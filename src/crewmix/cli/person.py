"""The person at the terminal: is asked for consent to tool calls, and speaks for roles with `actor: human`."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Mapping
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
    """Asks on stderr, reads stdin. One question at a time; what is typed when nothing is asked answers nothing.

    Args:
        view: Holds still while a question is open.
    """

    def __init__(self, view: View) -> None:
        self._view = view
        self._turn = asyncio.Lock()
        self._waiting: tuple[asyncio.AbstractEventLoop, asyncio.Future[str]] | None = None
        self._reader: threading.Thread | None = None
        self._ended = False

    async def approve(self, context: ToolContext, tool: Tool, arguments: Mapping[str, Any]) -> bool | str:
        """Consent to a tool call: True, False, or the reason why not."""
        who = context.scope.role or "The crew"
        async with self._turn:
            with self._view.paused():
                warn(f"\n{who} wants to run {call(tool.name, arguments)}, which can {_CAN[tool.risk]}.")
                answer = (await self._line("Allow it? [y/N, or say why not] ")).strip()
        if answer.lower() in {"y", "yes"}:
            return True
        return False if answer.lower() in {"", "n", "no"} else answer

    async def ask(self, question: str, turn: Turn) -> str:
        """What the person says as `turn.role`; empty to skip the turn."""
        async with self._turn:
            with self._view.paused():
                warn(
                    [
                        "",
                        clean(question),
                        "",
                        f"Your turn as {turn.role.name}. End with an empty line; only that skips.",
                    ]
                )
                lines: list[str] = []
                while line := (await self._line("> ")).rstrip():
                    lines.append(line)
        return "\n".join(lines)

    async def _line(self, prompt: str) -> str:
        if self._ended:
            return ""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[str] = loop.create_future()
        self._waiting = (loop, future)
        sys.stderr.write(prompt)
        sys.stderr.flush()
        if self._reader is None:
            # A daemon thread: reading a terminal cannot be cancelled, and must not keep a cancelled run alive.
            self._reader = threading.Thread(target=self._read_forever, name="crewmix-stdin", daemon=True)
            self._reader.start()
        try:
            return await future
        finally:
            self._waiting = None

    def _read_forever(self) -> None:
        while True:
            line = sys.stdin.readline()
            self._ended = not line
            if (waiting := self._waiting) is not None:
                loop, future = waiting
                loop.call_soon_threadsafe(_answer, future, line)
            if self._ended:
                return


_CAN = {"read": "read data", "write": "change files", "exec": "run programs", "net": "reach the network"}


def _answer(future: asyncio.Future[str], line: str) -> None:
    if not future.done():
        future.set_result(line)
