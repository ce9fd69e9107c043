"""How a turn ends: a contribution that says something, or one that says why it does not."""

from __future__ import annotations

from crewmix.agents.base import Contribution, Failure, Turn
from crewmix.agents.prompts import parse_verdict
from crewmix.errors import CrewmixError
from crewmix.knowledge.sources import Source


def spoke(turn: Turn, text: str, *, model: str = "", sources: tuple[Source, ...] = ()) -> Contribution:
    """What a role said, its verdict taken out of the text. A reviewer without a verdict wants a revision.

    Args:
        turn: The turn.
        text: What was said.
        model: The model that said it.
        sources: What its tools found.
    """
    if not turn.role.approves:
        return Contribution(turn.role.name, text.strip(), sources=sources, model=model)
    without, verdict = parse_verdict(text)
    return Contribution(turn.role.name, without or text.strip(), verdict or "revise", sources, model)


def failed(turn: Turn, error: CrewmixError | Failure) -> Contribution:
    """A turn that brought nothing, and why."""
    failure = error if isinstance(error, Failure) else Failure(error.code, str(error))
    return Contribution(turn.role.name, "", failure=failure)
