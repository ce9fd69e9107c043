"""How rankings become one order: Borda and Condorcet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Order = Sequence[int]
"""Candidates, the best first; not necessarily all of them."""


@dataclass(frozen=True, slots=True)
class Count:
    """What rankings say of candidates that are numbered from 0."""

    scores: tuple[float, ...]
    """Of each candidate, 0 to 1."""
    winner: int
    tied: tuple[int, ...]
    """Candidates that both rules put level with the winner, itself included; the first of them is the winner."""


def count(orders: Sequence[Order], candidates: int, rule: Literal["borda", "condorcet"]) -> Count:
    """The winner by a rule; of several, the best by the other rule among them; of several still, the first.

    `borda`: the share of all comparisons that a candidate won, which is Borda's count divided by its maximum when every
    ranking holds all candidates. `condorcet`: Copeland's count, the share of the others that it beats more often than they
    beat it, a draw being half a victory; who beats all others is the Condorcet winner.

    Args:
        orders: The rankings, each of two candidates or more.
        candidates: How many there are.
        rule: How to count.
    """
    rules = {"borda": _borda, "condorcet": _copeland}
    other = rules["condorcet" if rule == "borda" else "borda"]
    everyone = tuple(range(candidates))
    wins = _wins(orders)
    scores = rules[rule](wins, everyone)
    best = _best(everyone, scores)
    tied = _best(best, other(wins, best))
    return Count(tuple(scores[n] for n in everyone), tied[0], tied)


def _wins(orders: Sequence[Order]) -> Counter[tuple[int, int]]:
    """How often one candidate stands before another."""
    return Counter((better, worse) for order in orders for n, better in enumerate(order) for worse in order[n + 1 :])


def _borda(wins: Counter[tuple[int, int]], among: Sequence[int]) -> dict[int, float]:
    won = {one: sum(wins[one, other] for other in among) for one in among}
    lost = {one: sum(wins[other, one] for other in among) for one in among}
    return {one: won[one] / max(1, won[one] + lost[one]) for one in among}


def _copeland(wins: Counter[tuple[int, int]], among: Sequence[int]) -> dict[int, float]:
    def duel(one: int, other: int) -> float:
        return 0.5 if wins[one, other] == wins[other, one] else float(wins[one, other] > wins[other, one])

    others = max(1, len(among) - 1)
    return {one: sum(duel(one, other) for other in among if other != one) / others for one in among}


def _best(among: Sequence[int], scores: dict[int, float]) -> tuple[int, ...]:
    top = max(scores[n] for n in among)
    return tuple(n for n in among if scores[n] > top - 1e-9)
