"""How similar two texts are, 0 to 1: sentence BLEU, or the cosine of their TF-IDF vectors.

Both work on words; scripts that put no spaces between words are taken character by character.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Literal

Measure = Literal["bleu", "tfidf"]
Matrix = tuple[tuple[float, ...], ...]
Grams = tuple[dict[tuple[str, ...], int], ...]

_DENSE = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_TOKEN = re.compile(rf"[{_DENSE}]|[^\W{_DENSE}]+|[^\w\s]")
_IS_DENSE = re.compile(rf"[{_DENSE}]")
_ORDERS = (1, 2, 3, 4)


def tokens(text: str) -> list[str]:
    """Words, single characters of scripts without spaces, and punctuation marks, in lower case."""
    return _TOKEN.findall(text.lower())


def similarities(texts: Sequence[str], measure: Measure) -> Matrix:
    """How similar each text is to each other one; row = the text that is held against the others.

    Args:
        texts: Any texts; one without words is similar to none.
        measure: `bleu`: row = hypothesis, column = reference. `tfidf`: weighted by how rare a word is in all `texts`.
    """
    if measure == "tfidf":
        return _cosines(texts)
    grams = [_grams(text) for text in texts]
    rows = [[0.0] * len(texts) for _ in texts]
    for i, first in enumerate(grams):
        rows[i][i] = 1.0 if any(first) else 0.0
        for j in range(i):
            shared = _shared(first, grams[j])
            rows[i][j] = _bleu(shared, first, grams[j])
            rows[j][i] = _bleu(shared, grams[j], first)
    return tuple(tuple(row) for row in rows)


@lru_cache(maxsize=65536)
def similar(a: str, b: str, measure: Measure = "bleu") -> float:
    """How similar two texts are by themselves: the mean of both directions; equal texts are 1."""
    if a == b:
        return 1.0 if tokens(a) else 0.0
    rows = similarities((a, b), measure)
    return (rows[0][1] + rows[1][0]) / 2


@lru_cache(maxsize=512)
def _grams(text: str) -> Grams:
    """How often each run of 1, 2, 3 and 4 tokens occurs."""
    words = tokens(text)
    return tuple(dict(Counter(zip(*(words[n:] for n in range(order)), strict=False))) for order in _ORDERS)


def _shared(a: Grams, b: Grams) -> list[int]:
    """How many runs of each length two texts share, each as often as it occurs in both."""
    return [sum(min(x[gram], y[gram]) for gram in x.keys() & y.keys()) for x, y in zip(a, b, strict=True)]


def _bleu(shared: Sequence[int], hypothesis: Grams, reference: Grams) -> float:
    """Sentence BLEU; runs longer than one token are smoothed by one (Lin and Och 2004, "ORANGE", COLING)."""
    if not shared[0]:
        return 0.0
    logs: list[float] = []
    for order, (hits, grams) in enumerate(zip(shared, hypothesis, strict=True)):
        total = sum(grams.values())
        if total:
            logs.append(math.log((hits + (order > 0)) / (total + (order > 0))))
    here, there = sum(hypothesis[0].values()), sum(reference[0].values())
    brevity = min(0.0, 1 - there / here)
    return math.exp(sum(logs) / len(logs) + brevity)


def _terms(text: str) -> Counter[str]:
    """Words, and pairs of neighbours in scripts without spaces."""
    words = [token for token in tokens(text) if token[0].isalnum() or _IS_DENSE.match(token)]
    pairs = [a + b for a, b in pairwise(words) if _IS_DENSE.match(a) and _IS_DENSE.match(b)]
    return Counter([*words, *pairs])


def _cosines(texts: Sequence[str]) -> Matrix:
    counts = [_terms(text) for text in texts]
    holding = Counter(term for count in counts for term in count)
    rarity = {term: math.log((1 + len(texts)) / (1 + n)) + 1 for term, n in holding.items()}
    vectors: list[dict[str, float]] = []
    for count in counts:
        vector = {term: n * rarity[term] for term, n in count.items()}
        length = math.sqrt(sum(value * value for value in vector.values())) or 1.0
        vectors.append({term: value / length for term, value in vector.items()})
    rows = [[0.0] * len(texts) for _ in texts]
    for i, first in enumerate(vectors):
        rows[i][i] = 1.0 if first else 0.0
        for j in range(i):
            second = vectors[j]
            cosine = sum(first[term] * second[term] for term in first.keys() & second.keys())
            rows[i][j] = rows[j][i] = min(1.0, cosine)
    return tuple(tuple(row) for row in rows)
