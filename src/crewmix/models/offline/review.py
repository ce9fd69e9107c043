"""A reviewer's turn: coverage of the question, citations, contradictions and repetitions, then a verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from crewmix.models.offline.answer import best
from crewmix.models.offline.contradict import disputes
from crewmix.models.offline.likeness import documents, same
from crewmix.models.offline.questions import parts
from crewmix.models.offline.sentences import Statement, statements
from crewmix.models.offline.texts import is_meta
from crewmix.models.types import Brief

_MOST_POINTS = 5


@dataclass(frozen=True, slots=True)
class _Seen:
    """What there is to review."""

    claims: list[Statement]
    declines: list[str]
    missing: list[str]
    uncited: list[Statement]


def review(brief: Brief) -> str:
    """The review of the newest drafts, most serious point first, ending in `Verdict: approve` or `Verdict: revise`.

    The second review by the same role always approves: what was asked for once and did not come cannot be had, and it
    says so.
    """
    seen = _look(brief)
    again = any(name == brief.role for name, _ in brief.messages)
    points = _points(seen, again)
    good = again or not (seen.missing or seen.uncited) or (not seen.claims and bool(seen.declines))
    return "\n".join([*points, "", f"Verdict: {'approve' if good else 'revise'}"])


def _look(brief: Brief) -> _Seen:
    newest = {name: text for name, text in brief.messages if name != brief.role}
    said = [s for text in (*newest.values(), *brief.drafts) for s in statements(text)]
    claims = [s for s in said if not is_meta(s.text)]
    missing = [part for part in parts(brief.question) if not best(part, claims, 1)]
    return _Seen(claims, [s.text for s in said if is_meta(s.text)], missing, [s for s in claims if not s.tags])


def _points(seen: _Seen, again: bool) -> list[str]:
    if not seen.claims:
        return [
            "The drafts make no claim: " + " ".join(dict.fromkeys(seen.declines))
            if seen.declines
            else "There is no draft."
        ]
    points = [_missing(part, again) for part in seen.missing]
    points += [f'No citation: "{s.text}"' for s in seen.uncited]
    points += [f"Contradiction: {line}" for line in disputes(unrepeated_claims(seen.claims))]
    if not points:
        cited = frozenset[str]().union(*map(documents, seen.claims))
        points = [
            f"Every part of the question is answered, and every claim is cited ({_count(len(cited), 'document')})."
        ]
    return [f"- {point}" for point in points[:_MOST_POINTS]] if len(points) > 1 else points


def _missing(part: str, again: bool) -> str:
    return f"It cannot be had from the documents: {part}" if again else f"Nothing said answers this: {part}"


def unrepeated_claims(claims: Sequence[Statement]) -> list[Statement]:
    """Claims without those that repeat an earlier one."""
    kept: list[Statement] = []
    for claim in claims:
        if not any(same(claim.text, other.text) for other in kept):
            kept.append(claim)
    return kept


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
