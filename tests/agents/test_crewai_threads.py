"""Crews at work side by side, and stopping them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from crewmix.agents.crewai_actor import CrewAIActor
from crewmix.definitions.spec import Role
from crewmix.models.types import Brief, ModelReply, ModelRequest
from crewmix.tools.base import Tool, ToolContext
from support.turns import FunctionGateway, Stage, asks

ROLE = Role(name="worker", role="Worker", goal="Work.", tools=("wait",))


class Ended:
    """Tells when the worker thread of a turn is through."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from crewmix.models.adapters.crewai_silence import load_crewai

        load_crewai()
        from crewmix.agents import crewai_turn

        self.event = threading.Event()
        real: Callable[..., Any] = crewai_turn.take_turn

        def watched(*args: Any) -> Any:
            try:
                return real(*args)
            finally:
                self.event.set()

        monkeypatch.setattr(crewai_turn, "take_turn", watched)

    async def wait(self) -> bool:
        return await asyncio.to_thread(self.event.wait, 10)


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> Ended:
    return Ended(monkeypatch)


async def test_cancelling_during_a_model_call_ends_the_thread_and_no_further_call_is_made(stage: Stage, ended: Ended):
    asked, gone = asyncio.Event(), asyncio.Event()

    async def model(_: ModelRequest) -> ModelReply:
        asked.set()
        try:
            await asyncio.Event().wait()
        finally:
            gone.set()
        raise AssertionError

    gateway = FunctionGateway(model)
    turn = asyncio.create_task(CrewAIActor(ROLE, gateway, (), stage.context).speak(stage.turn(ROLE)))
    await asked.wait()

    turn.cancel()

    with pytest.raises(asyncio.CancelledError):
        await turn
    await asyncio.wait_for(gone.wait(), 10)
    assert await ended.wait()
    assert len(gateway.requests) == 1


async def test_cancelling_during_parallel_tools_cancels_them_all(stage: Stage, ended: Ended):
    started, cancelled = asyncio.Queue[int](), asyncio.Queue[int]()

    async def wait(arguments: Any, _: ToolContext) -> str:
        started.put_nowait(arguments["n"])
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.put_nowait(arguments["n"])
        return ""

    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    gateway = FunctionGateway(lambda _: asks(("wait", '{"n": 1}'), ("wait", '{"n": 2}')))
    actor = CrewAIActor(ROLE, gateway, (Tool("wait", "Waits.", schema, wait),), stage.context)
    turn = asyncio.create_task(actor.speak(stage.turn(ROLE)))
    assert {await started.get(), await started.get()} == {1, 2}

    turn.cancel()

    with pytest.raises(asyncio.CancelledError):
        await turn
    assert {await asyncio.wait_for(cancelled.get(), 10), await asyncio.wait_for(cancelled.get(), 10)} == {1, 2}
    assert await ended.wait()
    assert len(gateway.requests) == 1


async def test_after_a_cancelled_turn_the_role_speaks_again(stage: Stage, ended: Ended):
    asked = asyncio.Event()

    async def model(_: ModelRequest) -> ModelReply:
        if asked.is_set():
            return ModelReply("here I am")
        asked.set()
        await asyncio.Event().wait()
        raise AssertionError

    actor = CrewAIActor(ROLE, FunctionGateway(model), (), stage.context)
    turn = asyncio.create_task(actor.speak(stage.turn(ROLE)))
    await asked.wait()
    turn.cancel()
    await asyncio.wait([turn])

    said = await actor.speak(stage.turn(ROLE, round=2))

    assert said.text == "here I am"
    assert await ended.wait()


async def test_turns_of_one_role_overlap_and_keep_their_own_prompts_and_tools(stage: Stage):
    count = 12
    barrier = asyncio.Barrier(count)

    async def model(request: ModelRequest) -> ModelReply:
        await barrier.wait()  # all turns are in their first call at once
        return ModelReply(f"for {request.brief.round}: {request.messages[1].content}")

    actor = CrewAIActor(ROLE, FunctionGateway(model), (), stage.context)
    turns = [stage.turn(ROLE, Brief(question=f"question {n}", round=n), round=n) for n in range(count)]

    said = await asyncio.gather(*(actor.speak(turn) for turn in turns))

    assert [c.text for c in said] == [f"for {n}: {turns[n].prompt.user}" for n in range(count)]


async def test_the_loop_stays_free_while_crewai_works(stage: Stage):
    threads: set[str] = set()

    def model(_: ModelRequest) -> str:
        threads.add(threading.current_thread().name)
        return "ok"

    await CrewAIActor(ROLE, FunctionGateway(model), (), stage.context).speak(stage.turn(ROLE))

    assert threads == {threading.current_thread().name}  # model calls run on the run's own loop


async def test_seats_of_one_role_speak_at_the_same_time_each_as_itself(stage: Stage):
    count = 8
    barrier = asyncio.Barrier(count)

    async def model(request: ModelRequest) -> ModelReply:
        await barrier.wait()  # all seats are in their call at once
        return ModelReply(f"{request.brief.role} with sample {request.sample} at {request.temperature}")

    seats = [ROLE.model_copy(update={"name": f"worker#{n}", "temperature": n / 10}) for n in range(count)]
    gateway = FunctionGateway(model)
    actors = [CrewAIActor(seat, gateway, (), stage.context) for seat in seats]

    said = await asyncio.gather(
        *(actors[n].speak(stage.turn(seat, Brief(question="Work."), sample=n)) for n, seat in enumerate(seats))
    )

    assert [(c.role, c.text) for c in said] == [
        (f"worker#{n}", f"worker#{n} with sample {n} at {n / 10}") for n in range(count)
    ]
