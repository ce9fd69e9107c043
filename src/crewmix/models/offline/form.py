"""An answer poured into the fields of a JSON Schema, as far as rules can: sentences, numbers, the nearest allowed word."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from crewmix.models.offline.questions import parts
from crewmix.models.offline.rank import Ranking
from crewmix.models.offline.sentences import TAG, Statement, statements
from crewmix.models.offline.texts import is_meta
from crewmix.models.offline.words import stems, words

_NUMBER = re.compile(r"(?<![\w.,])-?\d+(?:,\d{3})*(?:\.\d+)?(?![\w])")
_QUESTIONS = re.compile(
    r"question|part|step|task|topic|aspect|point|item|frage|teil|schritt|thema|punkt", re.IGNORECASE
)
_SHARE = re.compile(r"score|rating|confidence|grade|quality|note|bewertung", re.IGNORECASE)
_TEN = 10


def filled_form(question: str, text: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of `schema` with what `text`, an answer to `question`, holds for them.

    A list of questions, parts or steps is what `question` asks, other lists are the statements of `text`. A number is the first
    one of `text`, for a score how much of `question` it covers. A boolean is whether `text` answers at all.

    Args:
        question: What was asked.
        text: The answer, or the review with its verdict.
        schema: JSON Schema of type object.
    """
    claims = [s for s in statements(text) if not is_meta(s.text)]
    properties: Mapping[str, Mapping[str, Any]] = schema.get("properties", {})
    return {name: _field(name, kind, question, text, claims) for name, kind in properties.items()}


def _field(name: str, kind: Mapping[str, Any], question: str, text: str, claims: Sequence[Statement]) -> Any:
    if "enum" in kind:
        return _nearest([*kind["enum"]], text)
    match kind.get("type"):
        case "array":
            return _items(name, kind.get("items", {}), question, claims)
        case "number" | "integer" as form:
            value = _number(name, question, text, claims, kind)
            return round(value) if form == "integer" or value == int(value) else value
        case "boolean":
            return bool(claims)
        case "object":
            return filled_form(question, text, kind)
        case _:
            return _about(name, text, claims)


def _nearest(choices: Sequence[Any], text: str) -> Any:
    """The choice that `text` names most often, the last one named of several; else the first."""
    said = words(text)

    def named(place: int) -> tuple[int, int, int]:
        wanted = words(str(choices[place]))
        if not wanted:
            return 0, -1, -place
        places = [n for n in range(len(said)) if said[n : n + len(wanted)] == wanted]
        return len(places), places[-1] if places else -1, -place

    return choices[max(range(len(choices)), key=named)]


def _items(name: str, kind: Mapping[str, Any], question: str, claims: Sequence[Statement]) -> list[Any]:
    if kind.get("type", "string") != "string":
        return []
    asked = parts(question)
    if _QUESTIONS.search(name) and (len(asked) > 1 or not claims):
        return asked
    return [str(s) for s in claims]


def _number(name: str, question: str, text: str, claims: Sequence[Statement], kind: Mapping[str, Any]) -> float:
    low, high = kind.get("minimum"), kind.get("maximum")
    if _SHARE.search(name):
        low, high = low or 0, _TEN if high is None else high
        ranking = Ranking(question, claims)
        return round(low + (high - low) * ranking.coverage(ranking.scored), 2)
    found = [float(n.replace(",", "")) for n in _NUMBER.findall(TAG.sub("", text))]
    fit = [n for n in found if (low is None or n >= low) and (high is None or n <= high)]
    return fit[0] if fit else float(low or 0)


def _about(name: str, text: str, claims: Sequence[Statement]) -> str:
    """The statements that speak of what the field is called, else the whole text."""
    wanted = frozenset(stems(name.replace("_", " ")))
    found = [str(s) for s in claims if wanted.intersection(stems(s.text))]
    return " ".join(found) or text
