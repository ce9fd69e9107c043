"""Which statements answer a question: BM25 over sentences, related words included, and no repetitions."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from crewmix.models.offline.likeness import documents, facts, overlap, same
from crewmix.models.offline.passages import shouted
from crewmix.models.offline.related import RELATED
from crewmix.models.offline.sentences import Statement
from crewmix.models.offline.words import content_words, names, stem, words

_FEW_TERMS = 2
_RELATED_WORTH = 0.8
_NAMED_WORTH = 0.6
_PAIR_WORTH = 0.3
_USUAL_LENGTH = 18
_FLOOR = 1.0
_FEW_TEXTS = 8
_EVIDENCE = 0.4
_RELEVANT = 0.4
_FOCUSED = 0.7
_HEAD_ALONE = 0.5
_SAME_DOCUMENT = 0.5
_OTHER_FACTS = 0.3
_KIND = re.compile(r"\b(?:of|von|dieser) (?:(?:the|these|those|all|our|den|diesen) )?(\w+)", re.IGNORECASE)
_ASKS_WHICH = re.compile(r"^\W*(?:which|what|welche\w*) (?:of|von|dieser)\b", re.IGNORECASE)
_EXCEPTED = re.compile(r"\((?:other than|except|excluding|without|außer|ausgenommen|ohne)\b[^)]*\)", re.IGNORECASE)
_ASKS_WHAT_IS = re.compile(
    r"^\W*(?:what|who|was|wer)\s+(?:is|are|was|were|ist|sind|war|waren|does .* mean|bedeutet)\b", re.IGNORECASE
)
_DEFINES = re.compile(r"\b(?:is|are|was|were|means|ist|sind|war|waren|bedeutet|bezeichnet)\b", re.IGNORECASE)
_ASIDE = re.compile(
    r"\W*(?:if|unless|notwithstanding|for example|however|except|although|it is not|also|moreover|finally|"
    r"wenn|falls|sofern|zum beispiel|z\. ?b\.|jedoch|außer|obwohl|auch|außerdem)\b",
    re.IGNORECASE,
)
_FIRST_WORDS = 3
_FIRST_CHARACTERS = 60
_DEFINITION = 1.5
_DEFINITION_OF = re.compile(r"[\"“„][^\"“”]+[\"”“].{0,60}\b(?:means?|bedeutet|bezeichnet)\b")
_UNASKED_DEFINITION = 0.5
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
        self._compounds = _compounds(question, self.terms)
        self._defines = _ASKS_WHAT_IS.match(question) is not None
        self._names = {stem(word) for name in names(question) for word in words(name)} & set(self.terms)
        self._pairs = {(stem(a), stem(b)) for a, b in pairwise(content_words(question))}
        self._bags = [[stem(word) for word in words(_EXCEPTED.sub("", statement.text))] for statement in pool]
        by_document: dict[frozenset[str], set[str]] = {}
        for statement, bag in zip(pool, self._bags, strict=True):
            by_document.setdefault(documents(statement), set()).update(bag)
        self._texts = list(by_document.values())
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
        """How telling a term is: rare among the statements, and rarer still among the documents."""
        return _FLOOR + self._rarity(term, self._bags) + self._rarity(term, self._texts)

    def _rarity(self, term: str, texts: Sequence[Collection[str]]) -> float:
        among = sum(term in text or not self._related(term).isdisjoint(text) for text in texts)
        if len(texts) < _FEW_TEXTS:  # that none of so few texts has a word does not make it telling
            among = max(among, 1)
        return math.log(1 + (len(texts) - among + 0.5) / (among + 0.5))

    def _scored(self, statement: Statement, bag: Sequence[str]) -> Scored:
        about = f"{statement.label} {statement.heading} {' '.join(statement.tags)}"
        named = frozenset(map(stem, words(about))).intersection(self.terms)
        said = self._said(frozenset(bag), named)
        asked = [term for term in self.terms if term not in self._names and (said[term] or term not in named)]
        own = sum(self._weights[term] * said[term] for term in asked)
        focus = own / sum(self._weights[term] for term in asked) if asked else 1.0
        worth = {term: max(said[term], _NAMED_WORTH * (term in named)) for term in self.terms}
        score = sum(self._weights[term] * worth[term] for term in self.terms)
        score *= score / (sum(self._weights.values()) or 1.0)
        score += sum(_PAIR_WORTH * self._weights.get(b, 0.0) for a, b in pairwise(bag) if (a, b) in self._pairs)
        score /= 0.9 + 0.1 * min(max(len(bag) / _USUAL_LENGTH, 0.5), 2.0)
        terms = (
            frozenset(term for term in self.terms if worth[term]) if any(said.values()) and focus else frozenset[str]()
        )
        if (
            self._defines
            and set(bag[:_FIRST_WORDS]) & set(self.terms)
            and _DEFINES.search(statement.text[:_FIRST_CHARACTERS])
        ):
            score *= _DEFINITION
        elif _DEFINITION_OF.match(statement.text):
            score *= _UNASKED_DEFINITION
        return Scored(statement, score * _plainness(statement.text), terms, named, focus)

    def _said(self, present: frozenset[str], named: frozenset[str]) -> dict[str, float]:
        """What each term is worth in a statement: said itself, by a related word that stands for no other term, or not.

        In "patent rights" the rights alone count for half.
        """
        worth = {term: float(term in present) for term in self.terms}
        free = set(present)
        for term in self.terms:
            related = self._related(term) & free
            if not worth[term] and related:
                free -= related
                worth[term] = _RELATED_WORTH
        alone = {head for modifier, head in self._compounds if not worth[modifier] and modifier not in named}
        return {term: value * (_HEAD_ALONE if term in alone else 1.0) for term, value in worth.items()}

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
            if _marginal(best, chosen, spread) >= _RELEVANT * self.scored[0].score:
                chosen.append(best)
        return chosen if self.coverage(chosen) >= _EVIDENCE else []


def _compounds(question: str, terms: Sequence[str]) -> set[tuple[str, str]]:
    """Pairs of terms that stand directly behind each other in the question."""
    found = [stem(word) for word in words(question)]
    return {(a, b) for a, b in pairwise(found) if a in terms and b in terms and a != b}


def _plainness(text: str) -> float:
    """Plain assertions answer a question better than conditions, exceptions, denials and shouting."""
    return (0.7 if shouted(text) else 1.0) * (0.7 if _ASIDE.match(text) else 0.9 if facts(text)[1] else 1.0)


def _marginal(scored: Scored, chosen: Sequence[Scored], spread: bool) -> float:
    """What a statement is worth beside those already chosen; with `spread`, beside those of the same document."""
    own = documents(scored.statement)
    beside = [c.statement.text for c in chosen if not spread or own & documents(c.statement)]
    repeated = max((_repetition(scored.statement.text, text) for text in beside), default=0.0)
    return scored.score * (1 - repeated) * (_SAME_DOCUMENT if spread and beside else 1.0)


def _repetition(one: str, other: str) -> float:
    """How much of a statement another one has said; what differs in substance is no repetition, however alike."""
    return overlap(one, other) * (1.0 if facts(one) == facts(other) else _OTHER_FACTS)


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
