"""A whole turn kept as one effect, for actors whose turns take many steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from crewmix.agents.base import Actor, Contribution, Turn
from crewmix.definitions.spec import Role
from crewmix.errors import RunError
from crewmix.knowledge.sources import Source
from crewmix.models.profile import Profile
from crewmix.tools.base import Tool


class KeptTurns:
    """Keeps what each turn of another actor brought, besides the effects within it.

    A resumed run takes the turn from the journal in one step, and a replay needs neither the framework nor the tools that
    the turn was taken with. A turn that failed is taken again, as any effect is.

    Args:
        actor: Takes the turns; None in a replay, in which none is taken.
        identity: Everything besides the prompt that decides what a turn brings, as JSON-able data.
    """

    def __init__(self, actor: Actor | None, identity: Mapping[str, Any]) -> None:
        self._actor = actor
        self._identity = identity

    async def speak(self, turn: Turn) -> Contribution:
        """Take the turn, or give what the journal holds of it."""
        actor = self._actor

        async def perform() -> dict[str, Any]:
            if actor is None:
                raise RunError("a replay takes no turns")
            said = await actor.speak(turn)
            if said.failure is not None:
                raise _TurnFailedError(said)
            return {**asdict(said), "data": None if said.data is None else dict(said.data)}

        request = {**self._identity, **asdict(turn.prompt), "schema": turn.schema, "sample": turn.sample}
        try:
            outcome, _ = await turn.scope.at("turn").effect("turn", request, perform)
        except _TurnFailedError as failed:
            return failed.said
        values: dict[str, Any] = {**outcome, "sources": tuple(Source(**source) for source in outcome["sources"])}
        return Contribution(**values)


class _TurnFailedError(RunError):
    """A turn brought nothing: no outcome, but a replay meets the same failure."""

    def __init__(self, said: Contribution) -> None:
        super().__init__(said.failure.message if said.failure else "")
        self.said = said


def turn_identity(role: Role, profile: Profile, tools: Sequence[Tool]) -> dict[str, Any]:
    """Everything but the prompt that decides what a turn of a role brings: its settings, its model and its tools."""
    return {
        "settings": role.model_dump(
            mode="json", include={"temperature", "max_output_tokens", "max_iter", "guardrails"}
        ),
        "approves": role.approves,
        "model": profile.model,
        "base_url": profile.base_url,
        "params": dict(profile.params),
        "limits": [profile.temperature, profile.output_cap, profile.context_window, profile.tools],
        "tools": [asdict(tool.spec) for tool in tools],
    }
