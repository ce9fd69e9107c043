"""The order in which drafts are shown: decided by their texts, so that it is the same in every run and no role's advantage."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence


def shuffled(texts: Sequence[str], salt: str = "") -> tuple[int, ...]:
    """Places of the texts in an order that depends on nothing but the texts.

    Args:
        texts: What will be shown.
        salt: Gives another order of the same texts.
    """
    digests = [hashlib.sha256(text.encode("utf-8", "replace")).hexdigest() for text in texts]
    seed = salt + "".join(sorted(digests))
    return tuple(sorted(range(len(texts)), key=lambda n: hashlib.sha256((seed + digests[n]).encode()).digest()))


def orders(texts: Sequence[str], count: int) -> tuple[tuple[int, ...], ...]:
    """Several orders of the same texts, every second one the reverse of the one before.

    So over an even number of orders every text stands before each other one exactly half of the time, and a reader who
    prefers what comes first prefers nothing in sum.
    """
    return tuple(_order(texts, number) for number in range(count))


def _order(texts: Sequence[str], number: int) -> tuple[int, ...]:
    order = shuffled(texts, str(number // 2))
    return order[::-1] if number % 2 else order
