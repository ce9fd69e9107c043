"""A crewAI executor that stays on the thread it was called on.

crewAI works a turn as a flow on an event loop of its own and hands each of the flow's 26 steps to another thread and back. With
many turns at once that switching costs more CPU than the turn. Nothing else runs on such a loop, so its steps can as
well run right there: 11 instead of 20 ms CPU a call with 64 turns at once (`make bench ARGS=load`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from crewai import Agent


class _OneThreadLoop(asyncio.SelectorEventLoop):
    """An event loop that does blocking work itself. For a loop that has one thing to do at a time."""

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # pyright: ignore[reportIncompatibleMethodOverride]
        future: asyncio.Future[Any] = self.create_future()
        try:
            future.set_result(func(*args))
        except BaseException as error:
            future.set_exception(error)
        return future


def stay_on_thread(agent: Agent) -> Agent:
    """The agent, with an executor whose steps run on the thread of the turn."""
    agent.create_agent_executor()
    executor: Any = agent.agent_executor

    def kickoff(*args: Any, **kwargs: Any) -> Any:
        with asyncio.Runner(loop_factory=_OneThreadLoop) as runner:
            return runner.run(executor.kickoff_async(*args, **kwargs))

    object.__setattr__(
        executor, "kickoff", kickoff
    )  # `invoke` calls it; pydantic allows no other way to replace a method
    return agent
