"""Which statements answer a question: BM25 over sentences, related words included, and no repetitions."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from crewmix.models.offline.passages import shouted
from crewmix.models.offline.related import RELATED
from crewmix.models.offline.sentences import Statement
from crewmix.models.offline.words import content_words, names, stem, stems, words

_FEW_TERMS = 2
_RELATED_WORTH = 0.8
_NAMED_WORTH = 0.6
_PAIR_WORTH = 0.3
_USUAL_LENGTH = 18
_EVIDENCE = 0.4
_SAME = 0.8
_RELEVANT = 0.4
_FOCUSED = 0.5
_SAME_DOCUMENT = 0.5
_OTHER_FACTS = 0.3
_KIND = re.compile(r"\b(?:of|von|dieser) (?:(?:the|these|those|all|our|den|diesen) )?(\w+)", re.IGNORECASE)
_ASKS_WHICH = re.compile(r"^\W*(?:which|what|welche\w*) (?:of|von|dieser)\b", re.IGNORECASE)
_EXCEPTED = re.compile(r"\((?:other than|except|excluding|without|außer|ausgenommen|ohne)\b[^)]*\)", re.IGNORECASE)
_NEGATIONS = frozenset("not no never none cannot without nicht kein keine keinen nie ohne".split())
_ABOUT_TEXTS = frozenset(
    map(
        stem,
        "document documents documentation text texts file files source sources say says mention mentioned describe explain "
        "summarise summarize summary list find tell compare comparison describe outline following given question answer "
        "dokument dokumente dokumenten text texte steht zusammenfassen zusammenfassung nenne erkläre beschreibe vergleiche "
        "frage antwort said steht regard regarding hinsichtlich bezüglich "
        "main important key point points detail details short brief briefly".split(),
    )
)


def question_terms(question: str) -> list[str]:
    """The stems a good answer should contain.

    Words about texts as such ("summarise the documents") and the kind of thing that is asked for ("which of these
    licences …") do not count.
    """
    found = list(dict.fromkeys(stem(word) for word in content_words(question)))
    kind = _KIND.search(question) if _ASKS_WHICH.match(question) else None
    left_out = _ABOUT_TEXTS | ({stem(kind.group(1).lower())} if kind else set[str]())
    return [term for term in found if term not in left_out] or found


@dataclass(frozen=True, slots=True)
class Scored:
    """A statement and how well it answers."""

    statement: Statement
    score: float
    terms: frozenset[str]
    """Terms of the question it speaks to."""
    named: frozenset[str]
    """Terms of the question that its document's name already says."""
    focus: float
    """How much of the rest of the question it speaks to, 0 to 1, without the things the question names."""


class Ranking:
    """Statements weighed against a question.

    A statement that speaks of none of the things the question names ("Boeing 747") does not count, nor does one that only
    shares the commoner half of its words.

    Args:
        question: What is asked.
        pool: The statements to choose from.
    """

    def __init__(self, question: str, pool: Sequence[Statement]) -> None:
        self.terms = question_terms(question)
        self._names = {stem(word) for name in names(question) for word in words(name)} & set(self.terms)
        self._pairs = {(stem(a), stem(b)) for a, b in pairwise(content_words(question))}
        self._bags = [[stem(word) for word in words(_EXCEPTED.sub("", statement.text))] for statement in pool]
        self._weights = {term: self._weight(term) for term in self.terms}
        scored = [self._scored(statement, bag) for statement, bag in zip(pool, self._bags, strict=True)]
        needed = 1 if len(self.terms) <= _FEW_TERMS else 2
        fit = [s for s in scored if len(s.terms) >= needed and (not self._names or self._names & s.terms)]
        best: dict[frozenset[str], float] = {}
        for found in fit:
            best[found.named] = max(best.get(found.named, 0.0), found.focus)
        self.scored = sorted((s for s in fit if s.focus >= _FOCUSED * best[s.named]), key=lambda s: -s.score)

    def _related(self, term: str) -> frozenset[str]:
        return RELATED.get(term, frozenset[str]()).difference(self.terms)

    def _weight(self, term: str) -> float:
        among = sum(term in bag or not self._related(term).isdisjoint(bag) for bag in self._bags)
        return math.log(1 + (len(self._bags) - among + 0.5) / (among + 0.5)) + 0.1

    def _scored(self, statement: Statement, bag: Sequence[str]) -> Scored:
        about = f"{statement.label} {statement.heading} {' '.join(statement.tags)}"
        named = frozenset(map(stem, words(about))).intersection(self.terms)
        said = {term: self._said(term, frozenset(bag)) for term in self.terms}
        asked = [term for term in self.terms if term not in named | self._names]
        own = sum(self._weights[term] * said[term] for term in asked)
        focus = own / sum(self._weights[term] for term in asked) if asked else 1.0
        worth = {term: max(said[term], _NAMED_WORTH * (term in named)) for term in self.terms}
        score = sum(self._weights[term] * worth[term] for term in self.terms)
        score *= 0.5 + 0.5 * score / sum(self._weights.values())
        score += sum(_PAIR_WORTH * self._weights.get(b, 0.0) for a, b in pairwise(bag) if (a, b) in self._pairs)
        score /= 0.75 + 0.25 * max(len(bag), _USUAL_LENGTH // 2) / _USUAL_LENGTH
        terms = (
            frozenset(term for term in self.terms if worth[term]) if any(said.values()) and focus else frozenset[str]()
        )
        quiet = 0.7 if shouted(statement.text) else 1.0
        return Scored(statement, score * quiet, terms, named, focus)

    def _said(self, term: str, present: frozenset[str]) -> float:
        if term in present:
            return 1.0
        return 0.0 if self._related(term).isdisjoint(present) else _RELATED_WORTH

    def coverage(self, chosen: Iterable[Scored]) -> float:
        """The share of the question that the chosen statements speak to, 0 to 1; rare words weigh more."""
        spoken_to = frozenset[str]().union(*(s.terms for s in chosen))
        total = sum(self._weights.values())
        return sum(self._weights[term] for term in spoken_to) / total if total else 0.0

    def best(self, limit: int, *, spread: bool = False) -> list[Scored]:
        """At most `limit` statements, best first; empty when nothing answers the question.

        A statement loses by its likeness to those already chosen (maximal marginal relevance); the same statement from
        several places becomes one with all their tags.

        Args:
            limit: The most statements.
            spread: Whether further statements of a document already quoted should stand back behind those of others.
        """
        left = unrepeated(self.scored)
        chosen: list[Scored] = []
        while left and len(chosen) < limit:
            best = max(left, key=lambda s: _marginal(s, chosen, spread))
            left.remove(best)
            if _marginal(best, chosen, False) >= _RELEVANT * self.scored[0].score:
                chosen.append(best)
        return chosen if self.coverage(chosen) >= _EVIDENCE else []


def _marginal(scored: Scored, chosen: Sequence[Scored], spread: bool) -> float:
    """What a statement is worth beside those already chosen."""
    repeated = max((_repetition(scored.statement.text, other.statement.text) for other in chosen), default=0.0)
    known = spread and any(documents(scored.statement) & documents(other.statement) for other in chosen)
    return scored.score * (1 - repeated) * (_SAME_DOCUMENT if known else 1.0)


def documents(statement: Statement) -> frozenset[str]:
    """Names of the documents that a statement cites."""
    return frozenset(tag[1:-1].rpartition(":")[0] for tag in statement.tags)


def _repetition(one: str, other: str) -> float:
    """How much of a statement another one has said; what differs in substance is no repetition, however alike."""
    return overlap(one, other) * (1.0 if facts(one) == facts(other) else _OTHER_FACTS)


def overlap(one: str, other: str) -> float:
    """Jaccard likeness of two texts over stems of content words."""
    a, b = frozenset(stems(one)), frozenset(stems(other))
    return len(a & b) / len(a | b) if a | b else 0.0


def facts(text: str) -> tuple[frozenset[str], bool]:
    """What makes two alike sentences differ in substance: their numbers, and whether they deny."""
    return frozenset(re.findall(r"\d+(?:[.,]\d+)*", text)), not _NEGATIONS.isdisjoint(words(text))


def same(one: str, other: str) -> bool:
    """Whether two statements say the same."""
    return facts(one) == facts(other) and overlap(one, other) >= _SAME


def unrepeated(found: Sequence[Scored]) -> list[Scored]:
    """The statements without repetitions, each with the tags of all its repetitions."""
    kept: list[Scored] = []
    for scored in found:
        for place, other in enumerate(kept):
            if same(scored.statement.text, other.statement.text):
                tags = tuple(dict.fromkeys((*other.statement.tags, *scored.statement.tags)))
                kept[place] = replace(other, statement=replace(other.statement, tags=tags))
                break
        else:
            kept.append(scored)
    return kept
