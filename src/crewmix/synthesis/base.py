"""The door to every way of making one answer from several drafts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from crewmix.journal.run import Scope
from crewmix.knowledge.sources import Source


@dataclass(frozen=True, slots=True)
class Draft:
    """What one role offers as an answer."""

    author: str
    """The role's name, or the task's id when task answers are merged."""
    text: str
    sources: tuple[Source, ...] = ()
    """What its author's tools found."""
    model: str = ""


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
    """The sources its text cites."""
    dissent: tuple[str, ...] = ()
    """Points on which drafts disagree, or that the answer leaves out."""
    confidence: float | None = None
    """Agreement of the ballots, 0 to 1, for methods that vote."""
    ballots: tuple[tuple[str, str], ...] = ()
    """Who voted for what, for methods that vote."""
    method: str = ""


class Synthesis(Protocol):
    """A way of merging drafts."""

    async def merge(self, scope: Scope, question: Question, drafts: tuple[Draft, ...]) -> Answer:
        """One answer from at least two drafts.

        Raises:
            ModelError: The model that merges gave no usable answer.
        """
        ...
