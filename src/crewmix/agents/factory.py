"""Who works each role of a crew: an agent, a direct model call or a person."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from crewmix.agents.base import Actor
from crewmix.agents.direct import DirectActor
from crewmix.agents.human import Asker, HumanActor
from crewmix.definitions.spec import Role
from crewmix.journal.run import Scope
from crewmix.tools.base import Tool, ToolContext

if TYPE_CHECKING:
    from crewmix.models.gateway import Gateway


def make_actors(
    roles: Iterable[Role],
    gateway: Gateway,
    tools: Mapping[str, Tool],
    tool_context: Callable[[Scope], ToolContext],
    ask: Asker | None = None,
) -> dict[str, Actor]:
    """An actor for every role of a run, by the role's name.

    crewAI is imported only when a role needs it, and then in the background: its first turn waits for it.

    Args:
        roles: The run's roles.
        gateway: The door to every model.
        tools: Every tool the roles name, by that name.
        tool_context: Gives what a tool called at a place of the run may use.
        ask: How a person is reached, for roles with `actor: human`.

    Raises:
        NotFoundError: A role names a tool that is not among `tools`.
    """
    actors: dict[str, Actor] = {}
    for role in roles:
        if role.actor == "human":
            actors[role.name] = HumanActor(ask)
        elif role.needs_crewai:
            from crewmix.agents.crewai_actor import CrewAIActor

            actors[role.name] = CrewAIActor(role, gateway, role_tools(role, tools), tool_context)
        else:
            actors[role.name] = DirectActor(gateway)
    return actors


def role_tools(role: Role, tools: Mapping[str, Tool]) -> tuple[Tool, ...]:
    """The tools of a role, in its order.

    Raises:
        NotFoundError: It names one that is not among `tools`.
    """
    from crewmix.errors import NotFoundError

    missing = [name for name in role.tools if name not in tools]
    if missing:
        known = ", ".join(sorted(tools)) or "none"
        raise NotFoundError(f"role {role.name} names an unknown tool: {missing[0]}", hint=f"known tools: {known}")
    return tuple(tools[name] for name in role.tools)
