"""Planning by rules: a goal becomes tasks as far as its own words take it apart."""

from __future__ import annotations

from typing import Any

from crewmix.definitions.spec_base import slug
from crewmix.models.offline.questions import Piece, pieces
from crewmix.models.offline.words import content_words
from crewmix.models.types import Brief

_EXPECTED = "The statements that answer this, each with its citation."
_NAMING_WORDS = 4
_LONGEST_ID = 40


def plan(brief: Brief) -> dict[str, Any]:
    """A plan in the shape the planner is asked for: `{"tasks": [{id, description, expected_output, roles, needs}]}`."""
    found = _at_most(pieces(brief.goal or brief.question), brief.limit)
    tasks: list[dict[str, Any]] = []
    for number, piece in enumerate(found, 1):
        task: dict[str, Any] = {
            "id": f"t{number}_{slug(' '.join(content_words(piece.text)[:_NAMING_WORDS]))}"[:_LONGEST_ID].rstrip("_"),
            "description": piece.text,
            "expected_output": _EXPECTED,
            "roles": list(brief.candidates),
            "needs": [tasks[-1]["id"]] if piece.follows and tasks else [],
        }
        tasks.append(task)
    return {"tasks": tasks}


def _at_most(found: list[Piece], limit: int) -> list[Piece]:
    """The pieces, the last ones joined where there are more than `limit`."""
    if not limit or len(found) <= limit:
        return found
    rest = found[limit - 1 :]
    return [*found[: limit - 1], Piece(" ".join(piece.text for piece in rest), rest[0].follows)]
