"""A role worked by one model call a turn."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from crewmix.agents.base import Contribution, Turn
from crewmix.agents.outcome import failed, spoke
from crewmix.errors import ModelError
from crewmix.models.types import ChatMessage, ModelRequest

if TYPE_CHECKING:
    from crewmix.models.gateway import Gateway


class DirectActor:
    """For roles that only think: the same prompt as a crewAI agent gets, without crewAI.

    Args:
        gateway: The door to every model.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def speak(self, turn: Turn) -> Contribution:
        """Ask the role's model once, streaming plain text as `TextDelta` events.

        A model that gives no usable answer makes the turn fail; every other error is raised.
        """
        role = turn.role
        request = ModelRequest(
            model=role.llm,
            messages=(ChatMessage("system", turn.prompt.system), ChatMessage("user", turn.prompt.user)),
            temperature=role.temperature,
            max_output_tokens=role.max_output_tokens,
            schema=turn.schema,
            sample=turn.sample,
            brief=replace(turn.brief, purpose="speak", role=role.name),
        )
        on_delta = turn.scope.deltas() if turn.schema is None else None
        try:
            reply = await self._gateway.complete(turn.scope.at("model"), request, on_delta)
        except ModelError as error:
            return failed(turn, error)
        return spoke(turn, reply.text, model=reply.model, data=reply.data)
