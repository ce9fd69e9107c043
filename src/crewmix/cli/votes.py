"""How ballots fell and drafts were marked, in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from crewmix.cli.text import clean, count, indent, one_line
from crewmix.result import Ballot, Merge

NAMES = 12
"""The most names that one line lists."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One answer, and who voted for it. `text` is empty for those who abstained."""

    text: str
    weight: float
    voters: tuple[str, ...]


def choices(ballots: Sequence[Ballot]) -> list[Choice]:
    """The answers that were voted for, the heaviest first; abstentions come last."""
    found: dict[str, list[Ballot]] = {}
    for ballot in ballots:
        found.setdefault(ballot.choice, []).append(ballot)
    all_choices = [Choice(text, sum(b.weight for b in of), tuple(b.voter for b in of)) for text, of in found.items()]
    return sorted(all_choices, key=lambda choice: (not choice.text, -choice.weight))


def vote_line(merge: Merge) -> str:
    """How the vote went, e.g. `3 of 5 say 42, 1 abstains`, with the answer that won a tie first; empty when nobody voted."""
    ballots = merge.ballots
    if not ballots:
        return ""
    cast = [choice for choice in choices(ballots) if choice.text]
    abstained = len(ballots) - sum(len(choice.voters) for choice in cast)
    if not cast:
        return f"all {len(ballots)} abstain"
    tied = sorted(_tied(merge), key=lambda choice: merge.chosen not in choice.voters)
    first = tied[0] if tied else cast[0]
    said = one_line(first.text, 60)
    line = f"{len(first.voters)} of {len(ballots)} {f'put {said} first' if merge.method == 'rank' else f'say {said}'}"
    if _weighted(ballots):
        line += f" with {first.weight:.3g} of {sum(b.weight for b in ballots):.3g} by weight"
    if tied:
        line += f", a tie with {', '.join(one_line(choice.text, 60) for choice in tied[1:NAMES])}"
    if abstained:
        line += f", {abstained} {'abstains' if abstained == 1 else 'abstain'}"
    return line


def merge_lines(merge: Merge, drafts: int, *, confidence: float | None, dissent: Sequence[str]) -> Iterator[str]:
    """How drafts became one answer: votes, marks, what was used, and the minority report."""
    how = "not merged" if merge.method == "none" else f"merged by {merge.method}"
    yield f"{count(drafts, 'draft')} {how}{f', chosen: {clean(merge.chosen)}' if merge.chosen else ''}"
    yield from (f"  {line}" for line in _details(merge, confidence))
    if dissent:
        yield "  minority report:"
        for text in dissent:
            first, *rest = indent(text, "      ") or [""]
            yield from (f"    - {first.strip()}", *rest)


def _details(merge: Merge, confidence: float | None) -> Iterator[str]:
    weighted = _weighted(merge.ballots)
    for choice in choices(merge.ballots):
        if choice.text:
            weight = f", weight {choice.weight:.3g}" if weighted else ""
            yield f"{count(len(choice.voters), 'vote')}{weight} for {one_line(choice.text, 200)}: {names(choice.voters)}"
        else:
            yield f"{count(len(choice.voters), 'abstention')}: {names(choice.voters)}"
    if tied := _tied(merge):
        yield f"a tie: {' and '.join(one_line(choice.text, 60) for choice in tied[:NAMES])}"
    for score in merge.scores:
        by = f", by {clean(score.by)}" if score.by else ""
        yield f"mark {score.value:.3g} for {clean(score.author)} ({count(score.words, 'word')}){by}"
    if merge.critique:
        yield "critique:"
        yield from indent(merge.critique, "  ")
    if merge.uses:
        shares = [f"{clean(author)} {share:.0%}" for author, share in merge.uses]
        yield f"share of the answer's wording that stands in each draft: {names(shares, 100)}"
    if confidence is not None:
        yield f"confidence: {confidence:.0%}"


def names(all_names: Sequence[str], limit: int = NAMES) -> str:
    """Names on one line, the first `limit` of them."""
    more = len(all_names) - limit
    return ", ".join(clean(name) for name in all_names[:limit]) + (f" and {more} more" if more > 0 else "")


def _tied(merge: Merge) -> list[Choice]:
    """The answers that are ahead together; empty when one is ahead alone, and for rankings, where more than the top counts."""
    cast = [choice for choice in choices(merge.ballots) if choice.text and merge.method != "rank"]
    ahead = [choice for choice in cast if abs(choice.weight - cast[0].weight) < 1e-9]
    return ahead if len(ahead) > 1 else []


def _weighted(ballots: Sequence[Ballot]) -> bool:
    return any(ballot.weight != 1 for ballot in ballots)
