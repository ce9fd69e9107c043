"""What a text says on the whole: its most central sentences (LexRank's degree centrality, Erkan and Radev 2004)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from crewmix.models.offline.passages import shouted
from crewmix.models.offline.rank import question_terms, same
from crewmix.models.offline.sentences import Statement
from crewmix.models.offline.words import stem, stems, words

_WANTED = re.compile(
    r"\b(summar\w+|overview|gist|abstract|key points?|main points?|what (?:is|are) (?!said\b)(?:\w+\s+){1,4}about|"
    r"zusammenfass\w*|fasse?\b.*zusammen|überblick|kernpunkte|worum geht)\b",
    re.IGNORECASE,
)
_LONG = 40


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
    ranked = sorted(range(len(among)), key=lambda n: (-_centrality(among[n], common), n))
    chosen: list[int] = []
    for number in ranked:
        if len(chosen) < limit and not any(same(among[number].text, among[n].text) for n in chosen):
            chosen.append(number)
    return [among[n] for n in sorted(chosen)]


def _names(statement: Statement) -> str:
    return f"{statement.label} {statement.heading} {' '.join(statement.tags)}"


def _stems(text: str) -> set[str]:
    return {stem(word) for word in words(text)}


def _centrality(statement: Statement, common: Counter[str]) -> float:
    """How many other statements share its words, for its length."""
    found = set(stems(statement.text))
    shared = sum(common[word] - 1 for word in found)
    return shared / (len(found) + _LONG / 4) * (0.5 if shouted(statement.text) else 1.0)
