"""Picking by rules: the next speaker of a chat, and the fields of a judgement."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from crewmix.models.offline.rank import Ranking
from crewmix.models.offline.sentences import statements
from crewmix.models.types import Brief

_REVIEWS = re.compile(r"critic|review|check|judge|test|advocate|edit|kritik|prüf", re.IGNORECASE)
_END = re.compile(r"^end_*$")
_SCORE = re.compile(r"score|rating|confidence|grade|points|quality", re.IGNORECASE)
_PICK = re.compile(r"winner|best|choice|choose|chosen|pick|index|answer|verdict", re.IGNORECASE)
_PASS = re.compile(r"valid|ok|pass|passed|approve|approved|correct|success", re.IGNORECASE)
_UNCHECKED = "Not judged by a language model: the offline model only compares words."


def speaker(brief: Brief) -> tuple[str, str]:
    """(who speaks next or the word that ends the talk, why): everybody once, reviewers after the others, then the end."""
    names = [name for name in brief.candidates if not _END.match(name)]
    end = next((name for name in brief.candidates if _END.match(name)), "")
    said = [name for name, _ in brief.messages]
    silent = [name for name in names if name not in said]
    drafters = [name for name in silent if not _REVIEWS.search(name)]
    if drafters:
        return drafters[0], "has not spoken yet"
    if silent:
        return silent[0], "reviews what was said"
    last_reviews = bool(said) and _REVIEWS.search(said[-1]) is not None
    if end and (said or not names):
        return end, "everybody has spoken" + (" and it was reviewed" if last_reviews else "")
    return min(names, key=lambda name: (said.count(name), names.index(name))), "has spoken least"


def judged(brief: Brief, schema: Mapping[str, Any]) -> dict[str, Any] | None:
    """The fields of `schema` filled by how far the drafts cover the question; None when a required field has no rule."""
    scores = [_covered(brief.question, draft) for draft in brief.drafts]
    best = max(range(len(scores)), key=lambda n: (scores[n], -n), default=0)
    fields: dict[str, Any] = {}
    properties: Mapping[str, Any] = schema.get("properties", {})
    for name, kind in properties.items():
        value = _field(name, kind, scores, best, brief.candidates)
        if value is not None:
            fields[name] = value
        elif name in schema.get("required", ()):
            return None
    return fields or None


def _covered(question: str, draft: str) -> float:
    ranking = Ranking(question, statements(draft))
    return round(ranking.coverage(ranking.scored), 3)


def _field(name: str, kind: Mapping[str, Any], scores: list[float], best: int, candidates: tuple[str, ...]) -> Any:
    form, choices = kind.get("type"), list(kind.get("enum", candidates))
    if form == "boolean" and _PASS.search(name):
        return True
    if form in {"integer", "number"} and _PICK.search(name):
        return best + int(kind.get("minimum", 0) >= 1)
    if form in {"integer", "number"} and _SCORE.search(name) and scores:
        low, high = kind.get("minimum", 0), kind.get("maximum", 1 if form == "number" else 10)
        value = low + (high - low) * scores[best]
        return round(value) if form == "integer" else round(value, 3)
    if form == "string" and _PICK.search(name) and best < len(choices):
        return choices[best]
    return _UNCHECKED if form == "string" and not kind.get("enum") else None
