"""The person at the terminal: consents to tool calls, reviews the plan, answers roles and speaks for some of them."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from crewmix.cli.editing import edit
from crewmix.cli.facts import facts
from crewmix.cli.output import warn
from crewmix.cli.text import call, clean
from crewmix.errors import DefinitionError, UsageError
from crewmix.journal.events import PlanMade

if TYPE_CHECKING:
    from crewmix.cli.views import View
    from crewmix.tools.base import Tool, ToolContext
    from crewmix.tools.people import Consent, Plan, Question


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
        self._wanted: SimpleQueue[None] = SimpleQueue()
        """A token for each line that is to be read; an editor reads the terminal too, so nothing else is."""
        self._reading = False
        self._reader: threading.Thread | None = None
        self._ended = False
        self._always: set[str] = set()
        """Tools that may run for the rest of the run."""

    async def approve(self, context: ToolContext, tool: Tool, arguments: Mapping[str, Any]) -> bool | str | Consent:
        """Consent to a tool call: yes, always in this run, no, or the reason why not."""
        from crewmix.tools.people import Consent

        who = context.scope.role or "The crew"
        async with self._question() as line:
            if tool.name in self._always:  # said while this question waited for its turn
                return True
            warn(f"\n{who} wants to run {call(tool.name, arguments)}, which can {_CAN[tool.risk]}.")
            answer = (await line("Allow it? [y/N, a = always in this run, or say why not] ")).strip()
        match answer.lower():
            case "y" | "yes":
                return True
            case "a" | "always":
                self._always.add(tool.name)
                return Consent.ALWAYS
            case "" | "n" | "no":
                return False
            case _:
                return answer

    async def ask(self, question: Question) -> str:
        """What the person says as a role, empty to skip the turn; or what they answer a role."""
        if question.kind == "turn":
            whose = f"Your turn as {question.role}. End with an empty line; only that skips."
        else:
            whose = f"{question.role or 'The crew'} asks you. End with an empty line."
        said: list[str] = []
        async with self._question() as line:
            warn(["", clean(question.text), "", whose])
            while text := (await line("> ")).rstrip():
                said.append(text)
        return "\n".join(said)

    async def review(self, plan: Plan) -> bool | list[dict[str, Any]]:
        """The plan as it is, edited, or not at all."""
        from crewmix.planning.review import plan_text, read_plan

        text, tasks = plan_text(plan), None
        async with self._question() as line:
            warn(["", *_plan_lines(tuple(task.model_dump() for task in plan.tasks))])
            while answer := await line("Work on it? [y = yes, e = edit it, n = stop here] "):
                match answer.strip().lower():
                    case "y" | "yes":
                        return True if tasks is None else tasks
                    case "n" | "no":
                        return False
                    case "e" | "edit":
                        try:
                            text = await edit(text, "plan.yaml")
                            tasks = read_plan(plan, text, "plan.yaml")["tasks"]
                        except (DefinitionError, UsageError) as error:
                            warn(["", *clean(str(error)).splitlines(), "The plan is as it was; `e` goes on editing."])
                        else:
                            changed = tasks or [task.model_dump() for task in plan.tasks]
                            warn(["", *_plan_lines(tuple(changed))])
                    case _:
                        pass
        return False

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
                    if self._ended:
                        return ""
                    sys.stderr.write(prompt)
                    sys.stderr.flush()
                    if not self._reading:
                        self._reading = True
                        self._wanted.put(None)
                    return await lines.get()

                try:
                    yield line
                finally:
                    self._lines = None

    def _read_forever(self) -> None:
        while not self._ended:
            self._wanted.get()
            line = sys.stdin.readline()
            self._ended, self._reading = not line, False
            if (waiting := self._lines) is not None:
                loop, lines = waiting
                loop.call_soon_threadsafe(lines.put_nowait, line)


def forget_what_was_typed() -> None:
    """Drop what the terminal holds: it was typed before the question, so it cannot be its answer."""
    import termios

    with suppress(termios.error, OSError, ValueError):
        termios.tcflush(sys.stdin.fileno(), termios.TCIFLUSH)


def _plan_lines(tasks: tuple[Mapping[str, Any], ...]) -> list[str]:
    return [f"The {line}" if place == 0 else line for place, line in enumerate(facts(PlanMade(tasks=tasks)))]


_CAN = {"read": "read data", "write": "change files", "exec": "run programs", "net": "reach the network"}
