"""A text in fewer words: its most telling sentences, unchanged and in their own order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from crewmix.models.offline.likeness import overlap
from crewmix.models.offline.sentences import Statement, statements
from crewmix.models.offline.summary import centrality
from crewmix.models.offline.words import stems, words
from crewmix.models.types import Brief

_USUAL_WORDS = 150
_ALIKE = 0.5
_MOST = 400
"""Statements that are weighed; of longer texts the first ones."""


def shortened(brief: Brief) -> str:
    """The first of `brief.drafts` in at most `brief.limit` words (150 if 0); a text that is short enough stays as it is."""
    text, limit = brief.drafts[0].strip(), brief.limit or _USUAL_WORDS
    if _length(text) <= limit:
        return text
    found = statements(text)[:_MOST]
    chosen = sorted(_chosen(brief.question, found, limit))
    return "\n".join(f"- {found[n]}" for n in chosen) if chosen else _beginning(text, limit)


def _chosen(question: str, found: list[Statement], limit: int) -> Iterator[int]:
    """Places of the sentences that say most of the question and of the text, as far as there is room, none twice."""
    wanted = frozenset(stems(question))
    common = Counter(stem for s in found for stem in set(stems(s.text)))

    def worth(place: int) -> float:
        about = len(wanted.intersection(stems(found[place].text)))
        return centrality(found[place], common) * (1 + about)

    taken: list[str] = []
    for place in sorted(range(len(found)), key=lambda n: (-worth(n), n)):
        size = _length(str(found[place]))
        if size <= limit and not any(overlap(found[place].text, other) >= _ALIKE for other in taken):
            taken.append(found[place].text)
            limit -= size
            yield place


def _length(text: str) -> int:
    return max(len(words(text)), len(text.split()))


def _beginning(text: str, limit: int) -> str:
    """The first words of a text that has no sentence short enough."""
    kept = text.split()[:limit]
    while kept and _length(" ".join(kept)) > limit:
        kept = kept[:-1]
    return f"{' '.join(kept) or text[:limit]} …"
