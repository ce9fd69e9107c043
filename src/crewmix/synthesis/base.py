"""The door to every way of making one answer from several drafts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from crewmix.definitions.spec import Role
from crewmix.journal.scope import Scope
from crewmix.knowledge.sources import Source
from crewmix.result import Ballot, Score

if TYPE_CHECKING:
    from pathlib import Path

    from crewmix.models.gateway import Gateway


@dataclass(frozen=True, slots=True)
class Draft:
    """What one member of a chat offers as an answer."""

    author: str
    """The seat's name, e.g. `solver#2`, or the task's id when task answers are merged."""
    text: str
    sources: tuple[Source, ...] = ()
    """What its author's tools found."""
    model: str = ""
    role: str = ""
    """The crew role of the author."""
    llm: str = ""
    """The author's model, as the crew calls it."""


@dataclass(frozen=True, slots=True)
class Question:
    """What the answer is for."""

    goal: str
    task: str
    """The task's description; equal to the goal when the goal is the only task."""
    expected_output: str
    reviews: tuple[Draft, ...] = ()
    """What reviewers said of the drafts."""
    parts: tuple[str, ...] = ()
    """What each draft answers when they answer different parts of the goal; empty = they answer the same question."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer made of drafts."""

    text: str
    sources: tuple[Source, ...] = ()
    """The sources its text cites; filled in by the caller where a method leaves them out."""
    dissent: tuple[str, ...] = ()
    """The minority report: points on which drafts disagree, or answers that were outvoted and by whom they were given."""
    confidence: float | None = None
    """Agreement of the ballots, 0 to 1, for methods that vote."""
    ballots: tuple[Ballot, ...] = ()
    """One for each draft, for methods that vote."""
    scores: tuple[Score, ...] = ()
    """One for each draft, for methods that mark; in the order of the drafts."""
    chosen: str = ""
    """The author of the draft that became the answer, for methods that choose one."""
    critique: str = ""
    """What was said of the drafts before they were combined, for methods that criticise first."""
    method: str = ""
    """Empty when there was only one draft and nothing to do."""


@dataclass(frozen=True, slots=True)
class PlannedCall:
    """A model call that merging will make, for the estimate."""

    role: Role
    llm: str
    input_tokens: int
    output_tokens: int | None = None
    """None = as long as the role's answers are."""


Stages = tuple[tuple[PlannedCall, ...], ...]
"""Calls in stages: those of one stage go out together, stages follow each other."""


@dataclass(frozen=True, slots=True)
class Desk:
    """What a synthesis works with."""

    gateway: Gateway
    synthesizer: Role
    judge: Role
    root: Path
    """The project's folder, for files that a crew names."""


class Synthesis(Protocol):
    """A way of merging drafts."""

    async def merge(self, scope: Scope, question: Question, drafts: tuple[Draft, ...]) -> Answer:
        """One answer from at least one draft.

        Raises:
            ModelError: The model that merges gave no usable answer.
            QuorumError: Too few drafts hold an answer.
        """
        ...

    def stages(self, question: Question, drafts: tuple[Draft, ...], *, worst: bool) -> Stages:
        """The calls that `merge` would make of such drafts: expected, or at worst."""
        ...
