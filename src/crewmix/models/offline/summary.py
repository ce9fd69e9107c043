"""What a text says on the whole: its most central sentences (LexRank's degree centrality, Erkan and Radev 2004)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from crewmix.models.offline.likeness import overlap
from crewmix.models.offline.passages import shouted
from crewmix.models.offline.rank import question_terms
from crewmix.models.offline.sentences import Statement
from crewmix.models.offline.words import stem, stems, words

_WANTED = re.compile(
    r"\b(summar\w+|overview|gist|abstract|key points?|main points?|what (?:is|are) (?!said\b)(?:\w+\s+){1,4}about|"
    r"zusammenfass\w*|fasse?\b.*zusammen|überblick|kernpunkte|worum geht)\b",
    re.IGNORECASE,
)
_LONG = 40
_ALIKE = 0.5
_EARLY = 100


def wants_summary(question: str) -> bool:
    """Whether a text as a whole is asked for and not one fact."""
    return _WANTED.search(question) is not None


def central(question: str, pool: Sequence[Statement], limit: int) -> list[Statement]:
    """The most central statements of the texts that `question` names, or of all, in their own order."""
    terms = set(question_terms(question))
    about = [s for s in pool if terms & _stems(f"{_names(s)} {s.text}")]
    named = [s for s in about if terms <= _stems(_names(s))]
    among = named or about or (list(pool) if not terms else [])
    common = Counter(word for s in among for word in set(stems(s.text)))
    ranked = sorted(range(len(among)), key=lambda n: (-centrality(among[n], common), n))
    chosen: list[int] = []
    for number in ranked:
        if len(chosen) < limit and not any(overlap(among[number].text, among[n].text) >= _ALIKE for n in chosen):
            chosen.append(number)
    return [among[n] for n in sorted(chosen)]


def _names(statement: Statement) -> str:
    return f"{statement.label} {statement.heading} {' '.join(statement.tags)}"


def _stems(text: str) -> set[str]:
    return {stem(word) for word in words(text)}


def centrality(statement: Statement, common: Counter[str]) -> float:
    """How many other statements share its words, for its length; what stands early in a document weighs more."""
    found = set(stems(statement.text))
    shared = sum(common[word] - 1 for word in found)
    prose = 0.3 if "://" in statement.text else 0.5 if statement.item or shouted(statement.text) else 1.0
    return shared / (len(found) + _LONG / 4) * prose / (1 + _place(statement) / _EARLY)


def _place(statement: Statement) -> int:
    """The first line or page the statement cites."""
    place = re.search(r":p?(\d+)(?:-\d+)?\]$", statement.tags[0]) if statement.tags else None
    return int(place.group(1)) if place else 0
