"""Texts that together outgrow a prompt are cut in the middle, the longest first, each with a visible mark."""

from __future__ import annotations

import re
from collections.abc import Sequence

from crewmix.models.tokens import at_most

_TILDES = re.compile(r"~{4,}")


def fitted(texts: Sequence[str], room_tokens: int) -> tuple[tuple[str, ...], int]:
    """The texts, shortened as far as they must be to fit into a prompt together, and how many were cut.

    A cut text keeps its beginning and its end with a mark in between: `[… 3,120 characters left out …]`. Short texts stay
    whole. In a room too small for that a text becomes its mark, or stays if it is no longer than that.

    Args:
        texts: What is to be shown, each between the fences of `crewmix.agents.prompts.quote`.
        room_tokens: How many tokens they may have together, counted as the most that any tokenizer makes of them.
    """
    sizes = [size(text) for text in texts]
    if sum(sizes) <= room_tokens:
        return tuple(texts), 0
    limit = share(sizes, room_tokens)
    kept = tuple(text if had <= limit else _cut(text, limit) for text, had in zip(texts, sizes, strict=True))
    return kept, sum(old != new for old, new in zip(texts, kept, strict=True))


def size(text: str) -> int:
    """The most tokens a text can have between fences, which are longer than every run of `~` in it."""
    return at_most(text) + 2 * max((len(run) for run in _TILDES.findall(text)), default=0)


def share(sizes: Sequence[int], room: int) -> int:
    """The size to which the longest must shrink so that all together fit into the room."""
    left = max(0, room)
    for place, smallest in enumerate(sorted(sizes)):
        others = len(sizes) - place
        if smallest * others > left:
            return left // others
        left -= smallest
    return max(sizes, default=0)


def _cut(text: str, limit: int) -> str:
    """As much of both ends of a text as fits, found by halving."""
    fits, too_much = 0, len(text)
    while too_much - fits > 1:
        middle = (fits + too_much) // 2
        if size(_ends(text, middle)) <= limit:
            fits = middle
        else:
            too_much = middle
    kept = _ends(text, fits)
    return kept if size(kept) < size(text) else text


def _ends(text: str, characters: int) -> str:
    head, tail = text[: (characters + 1) // 2].rstrip(), text[len(text) - characters // 2 :].lstrip()
    left_out = len(text) - len(head) - len(tail)
    return "\n".join(part for part in (head, f"[… {left_out:,} characters left out …]", tail) if part)
