"""The draft most similar to the others, for open answers (Li et al., "More Agents Is All You Need", arXiv 2402.05120)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from math import fsum, isclose

from crewmix.definitions.spec import SynthesisSpec
from crewmix.journal.events import Warned
from crewmix.journal.scope import Scope
from crewmix.result import Score
from crewmix.synthesis.base import Answer, Desk, Draft, Question, Stages
from crewmix.synthesis.measures import Measure, similarities

_OUTLIER = 0.5
"""A draft is an outlier when its similarity to the others is less than this part of the chosen one's."""


def _level(place: int, chosen: int, drafts: Sequence[Draft], means: Sequence[float]) -> bool:
    """Whether another draft has as much in common with the others as the chosen one; a copy of it is no rival."""
    return drafts[place].text != drafts[chosen].text and isclose(means[place], means[chosen], abs_tol=1e-9)


class Similarity:
    """Sums up how similar each draft is to every other one; the greatest sum wins, the first of equal ones, and a tie is told.

    A score is the mean similarity to the others, 0 to 1; the winner's is the answer's confidence. Asks no model.

    Args:
        spec: The synthesis as written: `measure`.
        desk: Not used; every method gets it.
    """

    def __init__(self, spec: SynthesisSpec, desk: Desk) -> None:
        self._measure: Measure = spec.measure

    async def merge(self, scope: Scope, question: Question, drafts: tuple[Draft, ...]) -> Answer:
        """The draft that has most in common with the others."""
        rows = await asyncio.to_thread(similarities, [draft.text for draft in drafts], self._measure)
        means = [(fsum(row) - row[place]) / (len(drafts) - 1) for place, row in enumerate(rows)]
        chosen = max(range(len(drafts)), key=lambda place: (means[place], -place))
        level = [place for place in range(len(drafts)) if _level(place, chosen, drafts, means)]
        if level:
            names = " and ".join(drafts[place].author for place in (chosen, *level))
            text = f"{names} are equally like the others; {drafts[chosen].author} was given first"
            scope.emit(Warned(code="tie", message=text))
        far = [place for place, mean in enumerate(means) if mean < _OUTLIER * means[chosen]]
        return Answer(
            text=drafts[chosen].text,
            dissent=tuple(f"unlike the others ({means[place]:.2f}): {drafts[place].author}" for place in far),
            confidence=min(1.0, means[chosen]),
            scores=tuple(
                Score(draft.author, mean, len(draft.text.split()), self._measure)
                for draft, mean in zip(drafts, means, strict=True)
            ),
            chosen=drafts[chosen].author,
            method="similarity",
        )

    def stages(self, question: Question, drafts: tuple[Draft, ...], *, worst: bool) -> Stages:
        """Nothing is asked of a model."""
        return ()
