"""Vote weights learnt from questions whose answers are known."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence

from crewmix.definitions.record import Count, Record, log_odds
from crewmix.errors import UsageError

Ballots = Sequence[Mapping[str, str]]
Weights = dict[str, float]

_FOLDS = 5
_MOST_WAYS = 50.0


def learn_record(ballots: Ballots, gold: Sequence[str]) -> Record:
    """The members' record, with the vote weights that served best on questions they were not made from.

    Three ways of weighing are held against each other by five-fold cross-validation on the questions given: by the log-odds of
    being right; the best member alone, the others only where it gives no answer; and one vote each, with ties to the better
    member. So a member that dominates is not outvoted, and equals are not told apart by chance. The same input gives the same
    record.

    Args:
        ballots: For each question, member -> its answer in normal form, like `choice` of a result's ballots; empty or missing =
            it abstained.
        gold: The right answer of each question, in normal form.

    Raises:
        UsageError: There are no ballots, or not as many as right answers.
    """
    if len(ballots) != len(gold):
        raise UsageError(f"{len(ballots)} sets of ballots, but {len(gold)} right answers")
    names = sorted({name for ballot in ballots for name in ballot})
    if not names:
        raise UsageError("there are no ballots to learn from")
    score: Counter[str] = Counter(dict.fromkeys(_schemes(ballots, gold, names), 0))
    order = random.Random(0).sample(range(len(gold)), len(gold))
    for fold in range(_FOLDS if len(gold) > 1 else 0):
        held = set(order[fold::_FOLDS])
        seen = [place for place in order if place not in held]
        schemes = _schemes([ballots[p] for p in seen], [gold[p] for p in seen], names)
        for name, weights in schemes.items():
            score[name] += sum(_elected(ballots[place], weights) == gold[place] for place in held)
    best = max(score, key=lambda name: score[name])
    right, asked = _counts(ballots, gold)
    return Record(
        members={name: Count(right=right[name], asked=asked[name]) for name in names},
        weights={name: round(weight, 6) for name, weight in _schemes(ballots, gold, names)[best].items()},
    )


def _schemes(ballots: Ballots, gold: Sequence[str], names: Sequence[str]) -> dict[str, Weights]:
    """Ways of weighing; of equally good ones the earlier is taken."""
    right, asked = _counts(ballots, gold)
    ways = _wrong_ways(ballots, gold)
    odds = {name: log_odds(right[name], asked[name], ways) for name in names}
    leader = max(names, key=lambda name: right[name])
    total = sum(odds.values()) or 1.0
    rest = total - odds[leader] or 1.0
    return {
        "leader": {name: 0.99 * odds[name] / rest for name in names} | {leader: 1.0},
        "odds": odds,
        "equal": {name: 1 + 0.5 * odds[name] / total for name in names},
    }


def _counts(ballots: Ballots, gold: Sequence[str]) -> tuple[Counter[str], Counter[str]]:
    """How many answers of each member were right, and how many it gave."""
    given = [
        (name, choice == truth) for b, truth in zip(ballots, gold, strict=True) for name, choice in b.items() if choice
    ]
    return Counter(name for name, hit in given if hit), Counter(name for name, _ in given)


def _wrong_ways(ballots: Ballots, gold: Sequence[str]) -> float:
    """Over how many answers mistakes spread: the inverse of how often two mistakes at one question are the same."""
    same = pairs = 0
    for ballot, truth in zip(ballots, gold, strict=True):
        wrong = Counter(choice for choice in ballot.values() if choice and choice != truth)
        pairs += wrong.total() * (wrong.total() - 1) // 2
        same += sum(n * (n - 1) // 2 for n in wrong.values())
    return min(_MOST_WAYS, (pairs + 1) / (same + 1))


def _elected(ballot: Mapping[str, str], weights: Weights) -> str:
    sums: dict[str, float] = {}
    for name, choice in ballot.items():
        if choice:
            sums[choice] = sums.get(choice, 0.0) + weights[name]
    return max(sums, key=lambda choice: sums[choice], default="")
