"""Counting ballots: who leads, how ties are broken, and the answer that a vote comes to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import fsum, isclose

from crewmix.definitions.spec import SynthesisSpec
from crewmix.errors import QuorumError
from crewmix.journal.scope import Scope
from crewmix.result import Ballot
from crewmix.synthesis.answers.closed import answers
from crewmix.synthesis.base import Answer, Desk, Draft, Question, Stages
from crewmix.synthesis.readers.aggregate import Aggregate

_SHOWN = 80


@dataclass(frozen=True, slots=True)
class Poll:
    """The ballots of a vote, one for each draft, and each voter's standing: whose answer goes before at a tie."""

    ballots: tuple[Ballot, ...]
    standing: tuple[float, ...]

    @property
    def sums(self) -> dict[str, float]:
        """Choice -> the weight of its ballots, in order of first mention. Abstentions are left out."""
        cast = [ballot for ballot in self.ballots if ballot.choice]
        weights: dict[str, list[float]] = {}
        for ballot in cast:
            weights.setdefault(ballot.choice, []).append(ballot.weight)
        return {choice: fsum(group) for choice, group in weights.items()}

    @property
    def leaders(self) -> tuple[str, ...]:
        """The choices with the greatest weight; several = a tie."""
        sums = self.sums
        most = max(sums.values())
        return tuple(choice for choice, weight in sums.items() if isclose(weight, most, rel_tol=1e-9))

    def voters(self, choices: Sequence[str]) -> list[int]:
        """The places of the drafts that hold one of these choices."""
        return [place for place, ballot in enumerate(self.ballots) if ballot.choice in choices]

    def foremost(self, choices: Sequence[str]) -> int:
        """The place of the draft that stands for these choices: the voter of best standing, then the first."""
        return max(self.voters(choices), key=lambda place: (self.standing[place], -place))

    def share(self, choices: Sequence[str]) -> float:
        """The part of the weight of all ballots, abstentions included, that lies on each of these choices together."""
        total = fsum(ballot.weight for ballot in self.ballots)
        return fsum(self.ballots[place].weight for place in self.voters(choices)) / total if total else 0.0

    def dissent(self, winner: str) -> tuple[str, ...]:
        """The minority report: each outvoted answer and by whom it was given, the weightiest first; then who abstained."""
        sums = self.sums
        outvoted = sorted((choice for choice in sums if choice != winner), key=lambda choice: -sums[choice])
        lines = [f"“{_short(choice)}”: {self._names(choice)}" for choice in outvoted]
        return (*lines, f"no answer: {self._names('')}") if self.voters([""]) else tuple(lines)

    def _names(self, choice: str) -> str:
        return ", ".join(self.ballots[place].voter for place in self.voters([choice]))


def _short(choice: str) -> str:
    return choice if len(choice) <= _SHOWN else f"{choice[: _SHOWN - 1]}…"


async def elect(
    scope: Scope,
    question: Question,
    drafts: tuple[Draft, ...],
    *,
    spec: SynthesisSpec,
    desk: Desk,
    weights: Sequence[float],
    standing: Sequence[float],
) -> Answer:
    """The answer with the greatest weight of ballots, in the words of the draft of best standing among those that give it.

    Its confidence is its share of the weight of all drafts, abstentions included. A single draft's is not known.

    Args:
        scope: Where the answer is made.
        question: What it is for.
        drafts: One ballot each.
        spec: The synthesis as written: `answer`, `choices`, `ties`, `quorum`.
        desk: For `ties: aggregate`.
        weights: What each draft's ballot counts.
        standing: For `ties: record`, and for whose words stand for an answer.

    Raises:
        QuorumError: Too few drafts hold an answer.
        ModelError: The synthesizer, asked to settle a tie, gave no usable answer.
    """
    choices = answers([draft.text for draft in drafts], spec)
    cast = zip(drafts, choices, weights, strict=True)
    poll = Poll(tuple(Ballot(draft.author, choice, weight) for draft, choice, weight in cast), tuple(standing))
    _check_quorum(poll, spec.quorum or 1)
    leaders = poll.leaders
    if len(leaders) > 1 and spec.ties == "aggregate":
        tied = tuple(drafts[place] for place in poll.voters(leaders))
        merged = await Aggregate(spec, desk).merge(scope, question, tied)
        dissent = (*merged.dissent, *poll.dissent(""))
        share = poll.share(leaders[:1])
        return replace(merged, dissent=dissent, confidence=share, ballots=poll.ballots, method=spec.method)
    tie_goes_to = leaders[:1] if spec.ties == "first" else leaders
    chosen = poll.foremost(tie_goes_to)
    winner = poll.ballots[chosen].choice
    return Answer(
        text=drafts[chosen].text,
        dissent=poll.dissent(winner),
        confidence=poll.share([winner]) if len(drafts) > 1 else None,
        ballots=poll.ballots,
        chosen=drafts[chosen].author,
        method=spec.method,
    )


def _check_quorum(poll: Poll, quorum: int) -> None:
    silent = [ballot.voter for ballot in poll.ballots if not ballot.choice]
    found = len(poll.ballots) - len(silent)
    if found >= quorum:
        return
    held = "no draft holds" if not found else f"only {found} of {len(poll.ballots)} drafts hold"
    wanted = f", and {quorum} are needed" if quorum > 1 else ""
    without = f"; without one: {', '.join(silent)}" if silent else ""
    raise QuorumError(
        f"{held} an answer that can be counted{wanted}{without}",
        hint="say what an answer is with `synthesis.answer`, ask for it in the task, or lower `synthesis.quorum`",
    )


def tie_stages(
    spec: SynthesisSpec, desk: Desk, question: Question, drafts: tuple[Draft, ...], *, worst: bool
) -> Stages:
    """What a vote asks of models: nothing, but at worst one call to settle a tie."""
    if worst and spec.ties == "aggregate":
        return Aggregate(spec, desk).stages(question, drafts, worst=worst)
    return ()
