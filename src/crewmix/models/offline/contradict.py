"""Where statements contradict each other: the same subject with other numbers, or affirmed and denied."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import combinations

from crewmix.models.offline.likeness import facts
from crewmix.models.offline.sentences import Statement
from crewmix.models.offline.words import stems

_LIKE = 0.6
_MOST = 5
_REFERENCE = re.compile(
    r"(?:sections?|clauses?|paragraphs?|articles?|versions?|§|v|abschnitt|artikel|absatz|©|copyright.*?)\s*\d+(?:[.,]\d+)*",
    re.IGNORECASE,
)


def contradictions(found: Sequence[Statement]) -> list[tuple[Statement, Statement]]:
    """Pairs of statements that cannot both hold of one thing, at most five."""
    pairs = ((a, b) for a, b in combinations(found, 2) if contradict(a.text, b.text))
    return [pair for pair, _ in zip(pairs, range(_MOST), strict=False)]


def disputes(found: Sequence[Statement]) -> list[str]:
    """Each contradiction as one line that quotes both sides."""
    return [" but ".join(sorted(map(_quoted, pair))) for pair in contradictions(found)]


def _quoted(statement: Statement) -> str:
    return " ".join([f'"{statement.text.rstrip(".")}"', *statement.tags])


def contradict(one: str, other: str) -> bool:
    """Whether two sentences cannot both hold of one thing."""
    if not _one_subject(one, other):
        return False
    numbers, denies = facts(_REFERENCE.sub("", one))
    other_numbers, other_denies = facts(_REFERENCE.sub("", other))
    differ = bool(numbers and other_numbers and not numbers & other_numbers)
    return differ or denies != other_denies


def _one_subject(one: str, other: str) -> bool:
    a, b = (frozenset(s for s in stems(text) if not s[0].isdigit()) for text in (one, other))
    return len(a | b) > 0 and len(a & b) / len(a | b) >= _LIKE
