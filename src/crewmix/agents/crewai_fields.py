"""Replies in fields by a crewAI agent.

They are asked for in words: many servers take either tools or a schema with one request, but not both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from crewmix.agents.base import Failure, Prompt, Turn
from crewmix.models import structured
from crewmix.models.adapters.crewai_calls import ModelCalls, TurnAborted
from crewmix.models.types import ChatMessage


def asking_for_fields(turn: Turn) -> Prompt:
    """The turn's prompt, with the wanted shape of the reply."""
    if turn.schema is None:
        return turn.prompt
    return replace(turn.prompt, system=f"{turn.prompt.system}\n\n{structured.wanted(turn.schema)}")


def fields_of(turn: Turn, schema: Mapping[str, Any], calls: ModelCalls, text: str) -> Mapping[str, Any] | Failure:
    """The fields of an answer; one that does not have them is asked for once more, without tools.

    Args:
        turn: The turn.
        schema: What the reply must fit.
        calls: The turn's calls, of which one may still be made.
        text: The agent's answer.

    Raises:
        CrewmixError: The model failed, or the run must stop.
    """
    data, problem = structured.read(text, schema)
    if problem is None:
        return data
    asked = asking_for_fields(turn)
    chat = (
        ChatMessage("system", asked.system),
        ChatMessage("user", asked.user),
        ChatMessage("assistant", text),
        ChatMessage("user", structured.complaint(problem)),
    )
    request = calls.request("speak", chat, schema=schema)
    brief = replace(request.brief, messages=(*request.brief.messages, (turn.role.name, text)))
    try:
        return calls.run(calls.complete(replace(request, brief=brief))).data
    except TurnAborted as aborted:
        if aborted.error is not None:
            raise aborted.error from None
        return Failure(aborted.code, f"{aborted}; its answer does not have the fields: {problem}")
