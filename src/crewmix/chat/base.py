"""A chat is a transcript and a pattern, a pure function of the transcript."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from crewmix.agents.base import Contribution
from crewmix.errors import BudgetExceededError
from crewmix.journal.scope import Scope


@dataclass(frozen=True, slots=True)
class Message:
    """What one role said, or failed to say, in one round."""

    role: str
    round: int
    contribution: Contribution

    @property
    def text(self) -> str:
        """The words; empty for a failed turn."""
        return self.contribution.text


@dataclass(frozen=True, slots=True)
class Revision:
    """A new draft of a role, to be held against the one that stands."""

    role: str
    standing: Message
    revised: Message


@dataclass(frozen=True, slots=True)
class Ruling:
    """Whether a role's draft of this round takes the place of the one that stood."""

    role: str
    round: int
    better: bool


@dataclass(frozen=True, slots=True)
class Transcript:
    """Everything said so far. Messages of one round stand in the order of `members`, whoever finished first."""

    members: tuple[str, ...]
    """Names of the roles in the chat, in crew order."""
    messages: tuple[Message, ...] = ()
    picks: tuple[tuple[int, str | None], ...] = ()
    """Speakers picked for a round by a model or function: (round, role, or None to end)."""
    rulings: tuple[Ruling, ...] = ()
    """Which revisions were judged, and how."""

    @property
    def round(self) -> int:
        """The number of rounds held so far."""
        return self.messages[-1].round if self.messages else 0

    @property
    def spoken(self) -> tuple[Message, ...]:
        """The messages that brought something."""
        return tuple(m for m in self.messages if m.contribution.ok)

    def last_drafts(self, reviewers: Collection[str]) -> tuple[Message, ...]:
        """The last message of each role that offers answers, in crew order.

        Args:
            reviewers: Roles whose messages are reviews. Where everyone is a reviewer, their messages are the drafts.
        """
        last = {m.role: m for m in self.spoken}
        authors = [name for name in self.members if name not in reviewers] or self.members
        return tuple(last[name] for name in authors if name in last)

    def with_round(self, contributions: tuple[Contribution, ...]) -> Transcript:
        """This transcript and one more round."""
        order = {name: place for place, name in enumerate(self.members)}
        number = self.round + 1
        said = (Message(c.role, number, c) for c in sorted(contributions, key=lambda c: order[c.role]))
        return replace(self, messages=(*self.messages, *said))

    def with_pick(self, role: str | None) -> Transcript:
        """This transcript and who was picked to speak in the next round; None = nobody, the chat ends."""
        return replace(self, picks=(*self.picks, (self.round + 1, role)))

    def with_rulings(self, rulings: tuple[Ruling, ...]) -> Transcript:
        """This transcript and how revisions were judged."""
        return replace(self, rulings=(*self.rulings, *rulings))

    def picked(self) -> tuple[bool, str | None]:
        """Whether someone was picked for the next round, and who."""
        number = self.round + 1
        return next(((True, role) for n, role in reversed(self.picks) if n == number), (False, None))


@dataclass(frozen=True, slots=True)
class Speakers:
    """These roles speak next; several speak in parallel and do not see each other's messages of this round."""

    roles: tuple[str, ...]
    quorum: int = 0
    """How many of them must bring something for the chat to go on."""


@dataclass(frozen=True, slots=True)
class Choose:
    """The next speaker must be picked from these candidates; the pick is added to the transcript."""

    candidates: tuple[str, ...]
    may_end: bool = True
    """Whether nobody may be picked, which ends the chat."""


@dataclass(frozen=True, slots=True)
class Judge:
    """These revisions must be held against the drafts that stand; the rulings are added to the transcript."""

    revisions: tuple[Revision, ...]


@dataclass(frozen=True, slots=True)
class Done:
    """The chat is over."""

    reason: str
    warning: str = ""
    """What a reader of the result must know about it, e.g. that a limit was reached."""


@dataclass(frozen=True, slots=True)
class View:
    """What a member is given when it speaks next."""

    messages: tuple[Message, ...] = ()
    """What was said, shown with the speakers' names."""
    drafts: tuple[Message, ...] = ()
    """Drafts shown numbered and without names, in this order."""
    ask: str = ""
    """What to do in this turn, besides the task."""
    schema: Mapping[str, Any] | None = None
    """JSON Schema of type object that the reply must fit."""
    pass_to: tuple[str, ...] = ()
    """Whom the member may name to go on."""


Step = Speakers | Choose | Judge | Done


class Pattern(Protocol):
    """Who speaks next and what they see: pure functions, so that a chat can be replayed and estimated."""

    def next(self, chat: Transcript) -> Step:
        """What happens after `chat`."""
        ...

    def view(self, chat: Transcript, role: str) -> View:
        """What `role` is given when it speaks next."""
        ...

    def drafts(self, chat: Transcript) -> tuple[Message, ...]:
        """What `chat` offers as answers, in the order of its members; at most one message of each member."""
        ...


class OwnPattern(Protocol):
    """What a pattern of the user's own must have; `view` and `drafts` as in `Pattern` if wanted."""

    def next(self, chat: Transcript) -> object:
        """Who speaks next: a role's name, several names, a step, or None when the chat is over."""
        ...


PatternSource = OwnPattern | Callable[[Transcript], object] | type
"""A pattern given in Python: an object with `next`, a function of the transcript, or a class of such objects."""

Chooser = Callable[[Transcript, Choose, Scope], Awaitable[str | None]]
"""Picks one of the candidates, or None to end the chat. Made by `crewmix.chat.selector.make_chooser`."""

Reviser = Callable[[Revision, Scope], Awaitable[bool]]
"""Says whether a revision is better than the draft that stands. Made by `crewmix.synthesis.judges.compare.make_reviser`."""

Speak = Callable[[View, int, Scope], Awaitable[Contribution]]
"""Takes one turn: what the member is given, the round from 1, and the turn's scope (whose `role` is the speaker)."""


@dataclass(frozen=True, slots=True)
class Member:
    """A seat in a chat, as the engine sees it."""

    speak: Speak
    model: str = ""
    """The model that serves it, for the record."""
    stand_in: Speak | None = None
    """Takes the turn with another model when all tries of `speak` failed."""
    stand_in_model: str = ""


@dataclass(frozen=True, slots=True)
class Talk:
    """A chat that is over."""

    transcript: Transcript
    reason: str
    """Why it ended: the pattern's words, or the budget's."""
    stopped: BudgetExceededError | None = None
    """Set when a budget cut the chat short; the transcript then holds what was said until then."""
