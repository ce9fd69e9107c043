"""How a turn ends: a contribution that says something, or one that says why it does not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crewmix.agents.base import Contribution, Failure, Turn, Verdict
from crewmix.agents.prompts import parse_pass, parse_verdict
from crewmix.agents.replies import as_words
from crewmix.errors import CrewmixError
from crewmix.knowledge.sources import Source
from crewmix.models import structured


def spoke(
    turn: Turn,
    text: str,
    *,
    model: str = "",
    sources: tuple[Source, ...] = (),
    data: Mapping[str, Any] | None = None,
) -> Contribution:
    """What a role said: its verdict and whom it passes to taken out of the text, its fields shown as words.

    A reviewer without a verdict wants a revision. A turn whose reply does not fit the turn's schema has failed.

    Args:
        turn: The turn.
        text: What was said.
        model: The model that said it.
        sources: What its tools found.
        data: The fields of the reply, where they are known to fit the schema; None = they are read from the text.
    """
    if turn.schema is not None:
        return _spoke_in_fields(turn, text, turn.schema, model, sources, data)
    said, verdict, passed_to = text.strip(), None, None
    if turn.role.approves:
        without, found = parse_verdict(said)
        said, verdict = without or said, found or "revise"
    if turn.brief.candidates:
        without, passed_to = parse_pass(said, turn.brief.candidates)
        said = without or said
    return Contribution(turn.role.name, said, verdict, sources, model, passed_to=passed_to)


def _spoke_in_fields(
    turn: Turn,
    text: str,
    schema: Mapping[str, Any],
    model: str,
    sources: tuple[Source, ...],
    data: Mapping[str, Any] | None,
) -> Contribution:
    if data is None:
        data, problem = structured.read(text, schema)
        if data is None or problem is not None:
            return failed(turn, Failure("bad_fields", f"{turn.role.name}'s reply does not have the fields: {problem}"))
    verdict: Verdict | None = None
    shown = {name: data[name] for name in schema["properties"] if name in data}
    if turn.role.approves:
        verdict = "approve" if data.get("verdict") == "approve" else "revise"
        shown = {name: value for name, value in shown.items() if name != "verdict"} or shown
    return Contribution(turn.role.name, as_words(shown), verdict, sources, model, data=data)


def failed(turn: Turn, error: CrewmixError | Failure) -> Contribution:
    """A turn that brought nothing, and why."""
    failure = error if isinstance(error, Failure) else Failure(error.code, str(error))
    return Contribution(turn.role.name, "", failure=failure)
