"""The door to everyone who can speak: `Actor`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from crewmix.definitions.spec import Role
from crewmix.journal.scope import Scope
from crewmix.knowledge.sources import Source
from crewmix.models.types import Brief

Verdict = Literal["approve", "revise"]


@dataclass(frozen=True, slots=True)
class Prompt:
    """A role's prompt for one turn: who it is, and what it is asked. The same text for every kind of actor."""

    system: str
    user: str


@dataclass(frozen=True, slots=True)
class Turn:
    """One role speaking once."""

    scope: Scope
    """The turn's place in the run, e.g. `task.2/chat/round.1/researcher`."""
    role: Role
    prompt: Prompt
    brief: Brief
    """What the prompt was made from."""
    round: int
    """From 1."""
    sample: int = 0
    """Tells wanted repetitions of the same turn apart; goes into every model request."""
    schema: Mapping[str, Any] | None = None
    """JSON Schema of type object that the reply must fit; None = plain text."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a turn brought nothing."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Contribution:
    """What a turn brought."""

    role: str
    text: str
    verdict: Verdict | None = None
    sources: tuple[Source, ...] = field(default=())
    """What its tools found; not necessarily cited."""
    model: str = ""
    llm: str = ""
    """Its model, as the crew calls it."""
    failure: Failure | None = None
    data: Mapping[str, Any] | None = None
    """The fields of a structured reply."""
    passed_to: str | None = None
    """Whom the role names to go on, in a `handoff`."""

    @property
    def ok(self) -> bool:
        """Whether the turn brought a message."""
        return self.failure is None


class Actor(Protocol):
    """A role at work: a direct model call, a crewAI agent, a person."""

    async def speak(self, turn: Turn) -> Contribution:
        """Take the turn.

        A model or tool that fails becomes a contribution with a `failure`. What stops the whole run is raised:
        `BudgetExceededError`, `RunCancelledError`, `FencedError`, `StorageError`.
        """
        ...
