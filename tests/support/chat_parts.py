"""Parts of chats for these tests: runs on a real journal, members that speak when told to, free patterns."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from crewmix.agents.base import Contribution
from crewmix.chat.base import Choose, Done, Member, Message, Speakers, Transcript
from crewmix.journal.events import Event
from crewmix.journal.run import Run, Scope
from crewmix.journal.store import SqliteStore


@dataclass
class Here:
    """A run that is going on."""

    run: Run
    events: list[Event] = field(default_factory=list)

    @property
    def scope(self) -> Scope:
        return Scope(self.run).at("task.1", task="1").at("chat")

    def said(self, kind: type[Event]) -> list[Event]:
        return [event for event in self.events if isinstance(event, kind)]


@asynccontextmanager
async def running(path: Path | None = None) -> AsyncGenerator[Here]:
    """A run on the journal at `path`; the second time it is the same run, resumed."""
    store = SqliteStore(path)
    try:
        if store.runs():
            run = Run("r1", store, epoch=await store.claim("r1"))
        else:
            await store.create_run("r1", "crew", "goal", {})
            run = Run("r1", store)
        here = Here(run)
        run.listen(here.events.append)
        yield here
    finally:
        store.close()


@dataclass(frozen=True)
class Rounds:
    """These speak in these rounds, each seeing all rounds before."""

    rounds: tuple[tuple[str, ...], ...]
    quorum: int = 0

    def next(self, chat: Transcript) -> Speakers | Choose | Done:
        if chat.round == len(self.rounds):
            return Done("all rounds held")
        return Speakers(self.rounds[chat.round], self.quorum)

    def view(self, chat: Transcript, role: str) -> tuple[Message, ...]:
        return chat.spoken


def echo(texts: Sequence[Message], number: int, scope: Scope) -> Contribution:
    """Says who speaks and whom it saw: shows order and visibility in the transcript."""
    return Contribution(scope.role, f"{scope.role}@{number}<{' '.join(f'{m.role}{m.round}' for m in texts)}>")


def member(say: Callable[[Sequence[Message], int, Scope], Contribution] = echo, *, approves: bool = False) -> Member:
    """A member that answers at once."""

    async def speak(view: tuple[Message, ...], number: int, scope: Scope) -> Contribution:
        return say(view, number, scope)

    return Member(speak, approves=approves)


def failing(error: Exception) -> Member:
    """A member whose turns raise."""

    def say(view: Sequence[Message], number: int, scope: Scope) -> Contribution:
        raise error

    return member(say)


class Waiting:
    """A member that never answers; it tells when it began and when it was cancelled."""

    def __init__(self) -> None:
        self.began = asyncio.Event()
        self.cancelled = False
        self.member = Member(self._speak)

    async def _speak(self, view: tuple[Message, ...], number: int, scope: Scope) -> Contribution:
        self.began.set()
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        raise AssertionError


class Paid:
    """A member whose answers are effects, like model calls; counts how often it was asked and paid.

    Args:
        answers: What it says, by round.
        down: Rounds in which its provider is down.
    """

    def __init__(self, down: Mapping[int, Exception] | None = None) -> None:
        self.asked: list[int] = []
        self.paid: list[int] = []
        self.down = dict(down or {})
        self.member = Member(self._speak)

    async def _speak(self, view: tuple[Message, ...], number: int, scope: Scope) -> Contribution:
        self.asked.append(number)

        async def call() -> str:
            if number in self.down:
                raise self.down[number]
            self.paid.append(number)
            return echo(view, number, scope).text

        text, _ = await scope.effect("model", {"prompt": [m.text for m in view]}, call)
        return Contribution(scope.role, text)
