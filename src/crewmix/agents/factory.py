"""Who works a role: an agent, a direct model call or a person."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from crewmix.agents.base import Actor
from crewmix.agents.direct import DirectActor
from crewmix.agents.human import HumanActor
from crewmix.agents.kept_turn import KeptTurns, turn_identity
from crewmix.definitions.names import nearest
from crewmix.definitions.spec import Role
from crewmix.errors import NotFoundError
from crewmix.journal.scope import Scope
from crewmix.tools.base import Tool, ToolContext
from crewmix.tools.people import NOBODY, People

if TYPE_CHECKING:
    from crewmix.models.gateway import Gateway


def make_actor(
    role: Role,
    gateway: Gateway,
    tools: Mapping[str, Tool],
    tool_context: Callable[[Scope], ToolContext],
    people: People = NOBODY,
    *,
    replaying: bool = False,
) -> Actor:
    """The actor for a role that no crew works.

    crewAI is imported only when the role needs it, and then in the background: its first turn waits for it.

    Args:
        role: The role.
        gateway: The door to every model.
        tools: The tools of the run by name, among them the role's.
        tool_context: Gives what a tool called at a place of the run may use.
        people: How a person is reached, for a role with `actor: human`.
        replaying: Whether the run is a replay, in which crewAI has nothing to do.

    Raises:
        NotFoundError: The role names a tool that is not among `tools`.
    """
    if role.actor == "human":
        return HumanActor(people)
    if not role.needs_crewai:
        return DirectActor(gateway)
    agent = None
    if not replaying:
        from crewmix.agents.crewai_actor import CrewAIActor

        agent = CrewAIActor(role, gateway, role_tools(role, tools), tool_context)
    return KeptTurns(agent, turn_identity(role, gateway.profile(role.llm), role_tools(role, tools)))


def role_tools(role: Role, tools: Mapping[str, Tool]) -> tuple[Tool, ...]:
    """The tools of a role, in its order.

    Raises:
        NotFoundError: It names one that is not among `tools`.
    """
    missing = [name for name in role.tools if name not in tools]
    if missing:
        hint = nearest(missing[0], tools) or "the run has no tools"
        raise NotFoundError(f"role {role.name} names an unknown tool: {missing[0]}", hint=hint)
    return tuple(tools[name] for name in role.tools)
