"""Parts of chats for these tests: runs on a real journal, members that speak when told to, free patterns."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from crewmix.agents.base import Contribution, Failure
from crewmix.chat.base import (
    Choose,
    Done,
    Judge,
    Member,
    Message,
    Pattern,
    Revision,
    Ruling,
    Speak,
    Speakers,
    Transcript,
    View,
)
from crewmix.definitions.spec import Role
from crewmix.journal.events import Event
from crewmix.journal.run import Run
from crewmix.journal.scope import Scope
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


def role(name: str, *, approves: bool = False) -> Role:
    """A role of a crew."""
    return Role(name=name, role=name.title(), goal="work", approves=approves)


def roles(*names: str, critics: Sequence[str] = ()) -> tuple[Role, ...]:
    """Roles of a crew, reviewers last."""
    return (*map(role, names), *(role(name, approves=True) for name in critics))


def dead(name: str) -> Contribution:
    """A turn that failed."""
    return Contribution(name, "", failure=Failure("model_unavailable", f"{name} is down"))


@dataclass
class Played:
    """A chat held without an engine."""

    chat: Transcript
    rounds: list[tuple[str, ...]] = field(default_factory=list)
    judged: list[tuple[str, ...]] = field(default_factory=list)
    done: Done | None = None


def play(
    pattern: Pattern,
    members: Sequence[str],
    answer: Callable[[str, int, View], Contribution | str],
    better: Callable[[Revision], bool] = lambda revision: True,
) -> Played:
    """Play a pattern to its end; `answer` gets the role, the round and what the role sees."""
    played = Played(Transcript(tuple(members)))
    while not isinstance(step := pattern.next(played.chat), Done):
        chat = played.chat
        if isinstance(step, Judge):
            played.judged.append(tuple(revision.role for revision in step.revisions))
            rulings = (Ruling(r.role, r.revised.round, better(r)) for r in step.revisions)
            played.chat = chat.with_rulings(tuple(rulings))
            continue
        assert isinstance(step, Speakers)
        played.rounds.append(step.roles)
        said = [(name, answer(name, chat.round + 1, pattern.view(chat, name))) for name in step.roles]
        played.chat = chat.with_round(tuple(Contribution(n, s) if isinstance(s, str) else s for n, s in said))
    played.done = step
    return played


def texts(messages: Sequence[Message]) -> list[str]:
    """What messages say."""
    return [message.text for message in messages]


@dataclass(frozen=True)
class Rounds:
    """These speak in these rounds, each seeing all rounds before."""

    rounds: tuple[tuple[str, ...], ...]
    quorum: int = 0
    warning: str = ""

    def next(self, chat: Transcript) -> Speakers | Choose | Done:
        if chat.round == len(self.rounds):
            return Done("all rounds held", self.warning)
        return Speakers(self.rounds[chat.round], self.quorum)

    def view(self, chat: Transcript, role: str) -> View:
        return View(chat.spoken)

    def drafts(self, chat: Transcript) -> tuple[Message, ...]:
        return chat.last_drafts(())


def echo(texts: Sequence[Message], number: int, scope: Scope) -> Contribution:
    """Says who speaks and whom it saw: shows order and visibility in the transcript."""
    return Contribution(scope.role, f"{scope.role}@{number}<{' '.join(f'{m.role}{m.round}' for m in texts)}>")


def member(say: Callable[[Sequence[Message], int, Scope], Contribution] = echo) -> Member:
    """A member that answers at once."""

    return Member(speaking(say))


def speaking(say: Callable[[Sequence[Message], int, Scope], Contribution] = echo) -> Speak:
    """A way to speak that takes no time; it is given the messages and drafts of its view."""

    async def speak(view: View, number: int, scope: Scope) -> Contribution:
        return say((*view.messages, *view.drafts), number, scope)

    return speak


def raising(error: Exception) -> Callable[[Sequence[Message], int, Scope], Contribution]:
    """Says nothing but raises."""

    def say(view: Sequence[Message], number: int, scope: Scope) -> Contribution:
        raise error

    return say


def failing(error: Exception) -> Member:
    """A member whose turns raise."""
    return member(raising(error))


class Waiting:
    """A member that never answers; it tells when it began and when it was cancelled."""

    def __init__(self) -> None:
        self.began = asyncio.Event()
        self.cancelled = False
        self.member = Member(self._speak)

    async def _speak(self, view: View, number: int, scope: Scope) -> Contribution:
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
        down: Rounds in which its provider is down.
        say: What it answers.
    """

    def __init__(
        self,
        down: Mapping[int, Exception] | None = None,
        say: Callable[[Sequence[Message], int, Scope], Contribution] = echo,
    ) -> None:
        self.asked: list[int] = []
        self.paid: list[int] = []
        self.down = dict(down or {})
        self.member = Member(self.speak)
        self._say = say

    async def speak(self, view: View, number: int, scope: Scope) -> Contribution:
        self.asked.append(number)
        seen = (*view.messages, *view.drafts)

        async def call() -> dict[str, object]:
            if number in self.down:
                raise self.down[number]
            self.paid.append(number)
            said = self._say(seen, number, scope)
            return {"text": said.text, "verdict": said.verdict, "passed_to": said.passed_to}

        fields, _ = await scope.effect("model", {"prompt": [m.text for m in seen], "ask": view.ask}, call)
        return Contribution(scope.role, **fields)
