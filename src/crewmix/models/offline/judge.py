"""A judge's work by counting: which draft is best, how each is marked, what is strong and weak in it.

Deterministic, and blind to the order in which drafts are shown.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from crewmix.models.offline.answer import best
from crewmix.models.offline.contradict import contradict
from crewmix.models.offline.likeness import same
from crewmix.models.offline.measures import Measured, measured
from crewmix.models.offline.questions import parts
from crewmix.models.offline.sentences import Statement
from crewmix.models.types import Brief

_HOW = "counted by rules, not judged by a language model"
_CITING = re.compile(r"correct|true|accura|fact|support|cit|source|evidence|richtig|beleg|quelle|wahr", re.IGNORECASE)
_READING = re.compile(r"clear|clarity|concis|brief|short|read|style|plain|klar|kurz|verständlich|lesbar", re.IGNORECASE)
_LOWEST, _HIGHEST = 1, 10
_MOST_POINTS = 3


def ranking(brief: Brief) -> dict[str, Any]:
    """`brief.drafts` by their labels in `brief.candidates`, best first, and why the first one is."""
    found = measured(brief.question, brief.drafts)
    order = sorted(range(len(found)), key=lambda n: (-round(found[n].worth, 6), found[n].words, brief.drafts[n]))
    labels = brief.candidates
    first, rest = order[0], order[1:]
    reason = f"{labels[first]} {_facts(found[first])}"
    if rest:
        reason += f"; {labels[rest[0]]} {_facts(found[rest[0]])}"
    return {"ranking": [labels[n] for n in order], "reason": f"{reason}. {_HOW[0].upper()}{_HOW[1:]}."}


def _facts(draft: Measured) -> str:
    cited = sum(bool(s.tags) for s in draft.claims)
    speaks = f"speaks to {draft.covered:.0%} of the question, cites {cited} of {len(draft.claims)} statements"
    return f"{speaks}, agrees {draft.agreed:.0%} with the others"


def marks(brief: Brief) -> dict[str, Any]:
    """One draft marked 1 to 10 by each criterion in `brief.criteria`: by its citations, its sentences, or what it covers."""
    draft = measured(brief.question, brief.drafts[:1])[0]
    scores = [{"criterion": text, "score": _mark(text, draft)} for text in brief.criteria]
    return {"scores": scores, "reason": f"It {_facts(draft).rpartition(',')[0]}, {_HOW}."}


def _mark(criterion: str, draft: Measured) -> int:
    if _CITING.search(criterion):
        share = draft.cited * draft.covered
    elif _READING.search(criterion):
        share = draft.plain
    else:
        share = draft.covered
    return _LOWEST + round((_HIGHEST - _LOWEST) * share)


def critique(brief: Brief) -> str:
    """Strengths and weaknesses of each draft, under its number."""
    found = measured(brief.question, brief.drafts)
    points = [best(brief.question, draft.claims, _MOST_POINTS) for draft in found]
    asked = parts(brief.question)
    citing = any(s.tags for draft in found for s in draft.claims)
    sections: list[str] = []
    for number, (draft, own) in enumerate(zip(found, points, strict=True)):
        others = [s for place, theirs in enumerate(points) if place != number for s in theirs]
        answered = [part for part in asked if best(part, draft.claims, 1)]
        strong = _strengths(draft, own, others, answered)
        weak = _weaknesses(draft, own, others, [part for part in asked if part not in answered], citing)
        sections.append(
            f"Draft {number + 1}\nStrengths: {' '.join(strong) or 'none.'}\nWeaknesses: {' '.join(weak) or 'none.'}"
        )
    return "\n\n".join(sections)


def _strengths(
    draft: Measured, own: Sequence[Statement], others: Sequence[Statement], answered: Sequence[str]
) -> list[str]:
    cited = sum(bool(s.tags) for s in draft.claims)
    alone = [s for s in own if others and not any(same(s.text, other.text) for other in others)]
    return [
        *(f"It answers: {part}" for part in answered[:_MOST_POINTS]),
        *([f"{cited} of {len(draft.claims)} statements carry a citation."] if cited else []),
        *(f'It alone says: "{s.text}"' for s in alone),
    ]


def _weaknesses(
    draft: Measured, own: Sequence[Statement], others: Sequence[Statement], missing: Sequence[str], citing: bool
) -> list[str]:
    if not draft.claims:
        return ["It makes no claim."]
    disputed = [
        f'"{mine.text}" is contradicted: "{theirs.text}"'
        for mine in own
        for theirs in others
        if contradict(mine.text, theirs.text)
    ]
    uncited = [s for s in draft.claims if citing and not s.tags]
    return [
        *(f"It does not answer: {part}" for part in missing[:_MOST_POINTS]),
        *list(dict.fromkeys(disputed))[:_MOST_POINTS],
        *(f'No citation: "{s.text}"' for s in uncited[:_MOST_POINTS]),
    ]
