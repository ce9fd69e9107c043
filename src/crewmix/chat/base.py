"""A chat is a transcript and a pattern, a pure function of the transcript."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

from crewmix.agents.base import Contribution


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
class Transcript:
    """Everything said so far. Messages of one round stand in the order of `members`, whoever finished first."""

    members: tuple[str, ...]
    """Names of the roles in the chat, in crew order."""
    messages: tuple[Message, ...] = ()
    picks: tuple[tuple[int, str | None], ...] = ()
    """Speakers picked for a round by a model or function: (round, role, or None to end)."""

    @property
    def round(self) -> int:
        """The number of rounds held so far."""
        return self.messages[-1].round if self.messages else 0

    @property
    def spoken(self) -> tuple[Message, ...]:
        """The messages that brought something."""
        return tuple(m for m in self.messages if m.contribution.ok)

    def with_round(self, contributions: tuple[Contribution, ...]) -> Transcript:
        """This transcript and one more round."""
        order = {name: place for place, name in enumerate(self.members)}
        number = self.round + 1
        said = (Message(c.role, number, c) for c in sorted(contributions, key=lambda c: order[c.role]))
        return replace(self, messages=(*self.messages, *said))

    def with_pick(self, role: str | None) -> Transcript:
        """This transcript and who was picked to speak in the next round; None = nobody, the chat ends."""
        return replace(self, picks=(*self.picks, (self.round + 1, role)))

    def picked(self) -> tuple[bool, str | None]:
        """Whether someone was picked for the next round, and who."""
        number = self.round + 1
        return next(((True, role) for n, role in reversed(self.picks) if n == number), (False, None))


@dataclass(frozen=True, slots=True)
class Speakers:
    """These roles speak next; several speak in parallel and do not see each other's messages of this round."""

    roles: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Choose:
    """The next speaker must be picked from these candidates; the pick is added to the transcript."""

    candidates: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Done:
    """The chat is over."""

    reason: str


class Pattern(Protocol):
    """Who speaks next and what they see: pure functions, so that a chat can be replayed and estimated."""

    def next(self, chat: Transcript) -> Speakers | Choose | Done:
        """What happens after `chat`."""
        ...

    def view(self, chat: Transcript, role: str) -> tuple[Message, ...]:
        """What `role` may see of `chat` when it speaks next."""
        ...
