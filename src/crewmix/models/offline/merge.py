"""Drafts merged into one answer: each statement once, with all its citations; contradictions named at the end."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from crewmix.models.offline.answer import best
from crewmix.models.offline.contradict import disputes
from crewmix.models.offline.likeness import same
from crewmix.models.offline.questions import asked
from crewmix.models.offline.rank import Ranking
from crewmix.models.offline.sentences import Statement, has_code, statements
from crewmix.models.offline.texts import all_declined, declined, is_meta, no_evidence, wants_creation, written
from crewmix.models.types import Brief

_STATEMENTS = 8
_STATEMENTS_A_PART = 5
_DISSENT = re.compile(r"^\W*disagreements?\W*$", re.IGNORECASE | re.MULTILINE)


def merge(brief: Brief) -> str:
    """One answer from `brief.drafts`. With `brief.context`, (task, question) pairs, each draft answers its own question."""
    if any(has_code(draft) for draft in brief.drafts):
        return _fullest(brief)
    bodies, old_disputes = _without_dissent(brief.drafts)
    if brief.context:
        answer, used = _by_part([question for _, question in brief.context], bodies)
    else:
        answer, used = _together(brief.question, bodies)
    lines = list(dict.fromkeys([*old_disputes, *disputes(used)]))
    return f"{answer}\n\nDisagreements:\n" + "\n".join(f"- {line}" for line in lines) if lines else answer


def _together(question: str, drafts: Sequence[str]) -> tuple[str, list[Statement]]:
    pool = _claims(drafts)
    ranked = best(question, pool, _STATEMENTS)
    rest = [s for s in pool if not any(same(s.text, other.text) for other in ranked)]
    chosen = [*ranked, *rest][:_STATEMENTS]
    if not chosen:
        nobody_could = wants_creation(question) or all_declined(drafts)
        return (declined if nobody_could else no_evidence)(question), []
    return written(chosen), chosen


def _by_part(questions: Sequence[str], drafts: Sequence[str]) -> tuple[str, list[Statement]]:
    """A paragraph or list for each question; a statement that answers several stands under the first only."""
    sections: list[str] = []
    used: list[Statement] = []
    for question, draft in zip(questions, drafts, strict=False):
        fresh = [s for s in _claims([draft]) if not any(same(s.text, other.text) for other in used)]
        chosen = fresh[:_STATEMENTS_A_PART]
        used += chosen
        sections.append(f"**{asked(question)}**\n{written(chosen)}" if chosen else _nothing(question, draft))
    return "\n\n".join(sections), used


def _nothing(question: str, draft: str) -> str:
    repeated = any(not is_meta(s.text) for s in statements(draft))
    if repeated:
        return f"**{asked(question)}**\nThe statements above answer this too."
    return (declined if all_declined([draft]) else no_evidence)(question)


def _claims(drafts: Sequence[str]) -> list[Statement]:
    """The statements of the drafts, each once with the tags of all its repetitions; cited ones only where any is."""
    kept: list[Statement] = []
    for claim in (s for draft in drafts for s in statements(draft) if not is_meta(s.text)):
        place = next((n for n, other in enumerate(kept) if same(claim.text, other.text)), None)
        if place is None:
            kept.append(claim)
        else:
            kept[place] = replace(kept[place], tags=tuple(dict.fromkeys((*kept[place].tags, *claim.tags))))
    return [claim for claim in kept if claim.tags] or kept


def _without_dissent(drafts: Sequence[str]) -> tuple[list[str], list[str]]:
    bodies: list[str] = []
    lines: list[str] = []
    for draft in drafts:
        body, *dissent = _DISSENT.split(draft)
        bodies.append(body)
        lines += [line.strip(" -*•") for part in dissent for line in part.splitlines() if line.strip(" -*•")]
    return bodies, lines


def _fullest(brief: Brief) -> str:
    """The draft that speaks to most of the question, whole: code cannot be merged sentence by sentence."""

    def worth(draft: str) -> tuple[float, int]:
        ranking = Ranking(brief.question, statements(draft))
        return ranking.coverage(ranking.scored), len(draft)

    return max(brief.drafts, key=worth)
