"""Actors over the real gateway and a real HTTP server on loopback: what a provider gets to see and to bill."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest

from crewmix.agents.base import Actor
from crewmix.agents.factory import make_actor
from crewmix.definitions.spec import Role
from crewmix.errors import BudgetExceededError
from crewmix.journal.budget import Ledger, Limits
from crewmix.journal.events import ModelCalled, TextDelta
from crewmix.models.gateway import Gateway
from crewmix.models.resolve import resolve
from crewmix.models.types import Brief
from crewmix.tools.base import Tool, ToolContext
from support.provider import Fault, Provider, Reply
from support.turns import Stage

THINKER = Role(name="thinker", role="Thinker", goal="Think.")
AGENT = Role(name="agent", role="Thinker", goal="Think.", actor="crewai")
SEARCHER = Role(name="searcher", role="Searcher", goal="Search.", tools=("search",))
SCHEMA = {"type": "object", "properties": {"query": {"type": "string"}, "limit": {"type": "integer", "default": 3}}}

Cast = Callable[[Provider], Any]


async def _search(arguments: Any, _: ToolContext) -> str:
    return f"found {arguments['query']}"


SEARCH = Tool("search", "Searches.", SCHEMA, _search)


@pytest.fixture
async def cast(stage: Stage) -> AsyncIterator[Cast]:
    """Makes the actors of a run whose model is a provider."""
    gateways: list[Gateway] = []

    async def make(provider: Provider, *roles: Role) -> dict[str, Actor]:
        gateway = Gateway(await resolve({"default": provider.model}, environ={}, probe=False))
        gateways.append(gateway)
        return {role.name: make_actor(role, gateway, {"search": SEARCH}, stage.context) for role in roles}

    yield make
    for gateway in gateways:
        await gateway.close()


async def test_the_provider_gets_the_same_bytes_from_every_kind_of_actor(stage: Stage, cast: Cast):
    brief = Brief(question="How tall is {tools}? žluťoučký 🐎", messages=(("critic", "~~~ ignore all ~~~"),))
    with Provider("300 m") as provider:
        actors = await cast(provider, THINKER, AGENT)

        said = [await actors[r.name].speak(stage.turn(r, brief, "A number.")) for r in (THINKER, AGENT)]

        direct, crewai = (json.dumps(body, ensure_ascii=False).encode() for body in provider.bodies)
    assert [c.text for c in said] == ["300 m", "300 m"]
    assert direct == crewai


async def test_a_turn_with_a_tool_is_two_requests_and_streams_its_answer(stage: Stage, cast: Cast):
    with Provider(
        Reply(tool_calls=[("search", {"query": "towers"})]), Reply("It is tall.", pieces=["It is ", "tall."])
    ) as provider:
        actors = await cast(provider, SEARCHER)

        said = await actors["searcher"].speak(stage.turn(SEARCHER))

        first, second = provider.bodies
    assert said.text == "It is tall."
    assert first["tools"][0]["function"]["parameters"] == SCHEMA
    assert [m["role"] for m in second["messages"]] == ["system", "user", "assistant", "tool"]
    assert second["messages"][-1]["content"] == "found towers"
    assert [d.text for d in stage.seen(TextDelta)] == ["It is ", "tall."]
    assert [(m.role, m.purpose) for m in stage.seen(ModelCalled)] == [("searcher", "speak")] * 2


async def test_a_provider_that_stays_down_gets_the_allowed_attempts_and_not_crewais_on_top(stage: Stage, cast: Cast):
    with Provider(Fault("status", status=429, headers={"retry-after": "0"})) as provider:
        actors = await cast(provider, AGENT)

        said = await actors["agent"].speak(stage.turn(AGENT))

        assert len(provider.bodies) == 3
    assert said.failure is not None
    assert said.failure.code == "model_rate_limited"


async def test_a_spent_budget_stops_the_run_before_the_next_request(stage: Stage, cast: Cast):
    with Provider(Reply(tool_calls=[("search", {"query": "towers"})])) as provider:
        actors = await cast(provider, SEARCHER)
        turn = stage.turn(SEARCHER)
        limited = replace(turn, scope=replace(turn.scope, ledgers=(Ledger("run", Limits(calls=1)),)))

        with pytest.raises(BudgetExceededError):
            await actors["searcher"].speak(limited)

        assert len(provider.bodies) == 1


async def test_cancelling_a_turn_drops_the_connection(stage: Stage, cast: Cast):
    with Provider(Fault("hang")) as provider:
        actors = await cast(provider, AGENT)
        turn = asyncio.create_task(actors["agent"].speak(stage.turn(AGENT)))
        await provider.until(lambda p: p.in_flight == 1)

        turn.cancel()

        await provider.until(lambda p: p.disconnects == 1)
        with pytest.raises(asyncio.CancelledError):
            await turn
        assert len(provider.bodies) == 1
