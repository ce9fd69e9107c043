"""A role worked by a crewAI agent, on a thread of our own pool."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from crewmix.agents.base import Contribution, Failure, Turn
from crewmix.agents.outcome import failed, spoke
from crewmix.definitions.spec import Role
from crewmix.errors import ModelError, RunCancelledError
from crewmix.journal.scope import Scope
from crewmix.models.adapters.bridge import Bridge
from crewmix.models.adapters.crewai_silence import load_crewai, preload
from crewmix.tools.base import Tool, ToolContext

if TYPE_CHECKING:
    from crewmix.agents.crewai_turn import RoleAgents, Spent
    from crewmix.models.gateway import Gateway

THREADS = 48
"""The most crewAI turns of the process at the same time; further ones wait."""


_under_way: set[Bridge] = set()


def _end_turns() -> None:
    """End the turns under way when the main thread ends, since Python waits for their threads before the process ends."""
    for bridge in list(_under_way):
        bridge.cut(RunCancelledError("the process ends"))


# `atexit` would be too late, it comes after that wait. What is registered last runs first, so this runs before the pool's own.
threading._register_atexit(_end_turns)  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]


@functools.cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(THREADS, thread_name_prefix="crewmix-turn")


class CrewAIActor:
    """For roles with tools or guardrails: each turn is one `Task.execute_sync` of a crewAI agent.

    Args:
        role: The role.
        gateway: The door to every model.
        tools: The role's tools.
        tool_context: Gives what a tool called at a place of the run may use.
    """

    def __init__(
        self, role: Role, gateway: Gateway, tools: tuple[Tool, ...], tool_context: Callable[[Scope], ToolContext]
    ) -> None:
        self._settings = (role, gateway, tools, tool_context)
        self._agents: RoleAgents | None = None
        preload()

    async def speak(self, turn: Turn) -> Contribution:
        """Let the agent work the turn's prompt.

        A model, tool loop or guardrail that fails makes the turn fail. What stops the run is raised. When this is cancelled,
        calls in flight are cancelled, no further one starts, and the thread ends by itself.
        """
        loop = asyncio.get_running_loop()
        bridge = Bridge(loop)
        context = contextvars.copy_context()
        _under_way.add(bridge)
        try:
            spent = await loop.run_in_executor(_pool(), lambda: context.run(self._work, turn, bridge))
        except asyncio.CancelledError:
            bridge.cut(RunCancelledError("the turn was cancelled"))
            raise
        except ModelError as error:
            return failed(turn, error)
        finally:
            _under_way.discard(bridge)
        if isinstance(spent, Failure):
            return failed(turn, spent)
        model = spent.reply.model if spent.reply else ""
        return spoke(turn, spent.text, model=model, sources=spent.sources, data=spent.data)

    def _work(self, turn: Turn, bridge: Bridge) -> Spent | Failure:
        load_crewai()
        if bridge.error is not None:
            raise bridge.error
        from crewmix.agents.crewai_turn import RoleAgents, take_turn

        if self._agents is None:
            self._agents = RoleAgents(*self._settings)
        return take_turn(turn, bridge, self._agents)
