"""Drafts held against the question and each other, by counting: the base of the offline model's rankings and marks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from crewmix.models.offline.rank import Ranking
from crewmix.models.offline.sentences import Statement, statements
from crewmix.models.offline.texts import is_meta
from crewmix.models.offline.words import stems, words

_WEIGHTS = (0.5, 0.2, 0.3)
"""What coverage, citations and agreement count for."""
_EASY, _HARD = 20, 45
"""Words a sentence may have, and with how many it is hard to read."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What can be counted of a draft; shares are 0 to 1."""

    claims: tuple[Statement, ...]
    """Its statements, without what only says that nothing was found."""
    covered: float
    """How much of the question it speaks to; rare words weigh more."""
    cited: float
    """The share of its claims that carry a citation."""
    agreed: float
    """How alike it is to the other drafts on average; 0 when it is the only one."""
    plain: float
    """How easy its sentences are to read, by their length."""
    words: int

    @property
    def worth(self) -> float:
        """Coverage, citations and agreement in one figure."""
        return sum(w * part for w, part in zip(_WEIGHTS, (self.covered, self.cited, self.agreed), strict=True))


def measured(question: str, drafts: Sequence[str]) -> list[Measured]:
    """The measures of each draft, in the order given."""
    claims = [tuple(s for s in statements(draft) if not is_meta(s.text)) for draft in drafts]
    bags = [frozenset(stem for s in found for stem in stems(s.text)) for found in claims]
    return [
        Measured(
            claims=found,
            covered=_covered(question, found),
            cited=sum(bool(s.tags) for s in found) / len(found) if found else 0.0,
            agreed=_mean([_alike(bag, other) for place, other in enumerate(bags) if place != number]),
            plain=_plain(found),
            words=len(words(draft)),
        )
        for number, (draft, found, bag) in enumerate(zip(drafts, claims, bags, strict=True))
    ]


def _covered(question: str, claims: Sequence[Statement]) -> float:
    ranking = Ranking(question, claims)
    return ranking.coverage(ranking.scored)


def _alike(one: frozenset[str], other: frozenset[str]) -> float:
    return len(one & other) / len(one | other) if one | other else 0.0


def _plain(claims: Sequence[Statement]) -> float:
    length = _mean([len(words(s.text)) for s in claims])
    return min(1.0, max(0.0, (_HARD - length) / (_HARD - _EASY))) if claims else 0.0


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
