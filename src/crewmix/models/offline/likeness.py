"""When two statements say the same, and what makes alike ones differ."""

from __future__ import annotations

import re
from functools import lru_cache

from crewmix.models.offline.sentences import Statement
from crewmix.models.offline.words import stems, words

_SAME = 0.8
_REMEMBERED = 4096
"""Every statement is held against every other one, so what is known of each is kept."""
_NEGATIONS = frozenset("not no never none cannot without nicht kein keine keinen nie ohne".split())


def documents(statement: Statement) -> frozenset[str]:
    """Names of the documents that a statement cites."""
    return frozenset(tag[1:-1].rpartition(":")[0] for tag in statement.tags)


def overlap(one: str, other: str) -> float:
    """Jaccard likeness of two texts over stems of content words."""
    a, b = _bag(one), _bag(other)
    return len(a & b) / len(a | b) if a | b else 0.0


@lru_cache(maxsize=_REMEMBERED)
def _bag(text: str) -> frozenset[str]:
    return frozenset(stems(text))


@lru_cache(maxsize=_REMEMBERED)
def facts(text: str) -> tuple[frozenset[str], bool]:
    """What makes two alike sentences differ in substance: their numbers, and whether they deny."""
    return frozenset(re.findall(r"\d+(?:[.,]\d+)*", re.sub(r"\S+://\S+", "", text))), not _NEGATIONS.isdisjoint(
        words(text)
    )


def same(one: str, other: str) -> bool:
    """Whether two statements say the same."""
    return facts(one) == facts(other) and overlap(one, other) >= _SAME
