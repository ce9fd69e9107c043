"""From a question to a safe full-text query, and from its hits to a selection without repetitions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from crewmix.knowledge.sources import Source
from crewmix.models.offline.words import american, content_words, spaced, words

MAX_TERMS = 32
"""Words of a query that count; more slow the search and add nothing."""
_SHORTEST_PREFIX = 4


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage that a search found."""

    source: Source
    score: float
    """BM25, higher is better; comparable within one search only."""
    text: str
    heading: str
    """The heading it stands under; empty where the document has none."""
    same: tuple[Source, ...] = ()
    """Other places that hold exactly this text, e.g. the same licence in several packages."""


def normal(text: str) -> str:
    """What the full-text index holds of `text`: one spelling, and scripts without spaces cut into pairs."""
    return american(spaced(text))


def phrases(query: str) -> list[str]:
    """The words of `query` worth searching for and its pairs of neighbours, quoted for FTS5; empty when it has none."""
    terms = [american(word) for word in (content_words(query) or words(query))[:MAX_TERMS]]
    return [f'"{term}"' for term in [*terms, *(f"{a} {b}" for a, b in pairwise(terms))]]


def prefixes(query: str) -> list[str]:
    """As `phrases`, for words that begin with a word of `query`: compounds and unknown endings."""
    return [f"{term}*" for term in phrases(query) if " " not in term and len(term) >= _SHORTEST_PREFIX + 2]


def diversified(hits: Sequence[Hit], limit: int) -> tuple[Hit, ...]:
    """The best hits that do not say the same: maximal marginal relevance (Carbonell and Goldstein 1998).

    A hit loses up to half its score by its likeness to one already chosen, and a tenth for each from the same document.
    """
    bags = [frozenset(words(hit.text)) for hit in hits]
    worth = [hit.score for hit in hits]
    left = list(range(len(hits)))
    chosen: list[Hit] = []
    while left and len(chosen) < limit:
        best = max(left, key=lambda i: (worth[i], -i))
        left.remove(best)
        chosen.append(hits[best])
        for i in left:
            likeness = len(bags[i] & bags[best]) / (len(bags[i] | bags[best]) or 1)
            same = 0.9 if hits[i].source.document == hits[best].source.document else 1.0
            worth[i] = min(worth[i], hits[i].score * (1 - likeness / 2)) * same
    return tuple(chosen)
