"""How much of an answer's wording stands in each draft."""

from __future__ import annotations

import re
from collections.abc import Sequence

from crewmix.synthesis.base import Draft

_GRAM = 3
_TOKEN = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]|\w+"
)
"""A word; in scripts without spaces (Thai, Lao, Burmese, Khmer, Japanese, Chinese) a character."""


def uses(answer: str, drafts: Sequence[Draft]) -> tuple[tuple[str, float], ...]:
    """For each draft its author and the share of the answer's runs of three words that stand in it, 0 to 1.

    The shares overlap where drafts do, and what the writer put into own words counts for nobody. Characters take the place of
    words in scripts without spaces.

    Args:
        answer: What was made of the drafts.
        drafts: What it was made of.
    """
    words = _words(answer)
    length = min(_GRAM, len(words))
    grams = _grams(words, length)
    return tuple((draft.author, _share(grams, set(_grams(_words(draft.text), length)))) for draft in drafts)


def _words(text: str) -> list[str]:
    return _TOKEN.findall(text.casefold())


def _grams(words: Sequence[str], length: int) -> list[tuple[str, ...]]:
    return [tuple(words[n : n + length]) for n in range(len(words) - length + 1)] if length else []


def _share(grams: Sequence[tuple[str, ...]], known: set[tuple[str, ...]]) -> float:
    return round(sum(gram in known for gram in grams) / len(grams), 3) if grams else 0.0
