"""Models that stand in for one another: which errors they mend, what is said and paid, and what a resumed run does."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from crewmix.definitions.spec import ModelSpec
from crewmix.errors import (
    AuthError,
    BudgetExceededError,
    ContentFilteredError,
    ContextTooLongError,
    ModelError,
)
from crewmix.journal.budget import Ledger, Limits
from crewmix.journal.events import ModelCalled, ModelFellBack, ModelRetried, Warned
from crewmix.journal.run import Run
from crewmix.journal.scope import Scope
from crewmix.journal.store import SqliteStore
from crewmix.models.breaker import FAILURES
from crewmix.models.types import ToolSpec
from support.model_world import World, no_waiting, world
from support.provider import Fault, Provider, Reply

DOWN = Fault("status", 503)
LONG = Fault("status", 400, {"error": {"message": "too long", "code": "context_length_exceeded"}})
REFUSED = Fault("status", 400, {"error": {"message": "policy", "code": "content_filter"}})
SEARCH = ToolSpec("search", "Find.", {"type": "object", "properties": {}})
PLAN = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


def backed(first: Provider, *others: Provider, **spec: Any) -> Any:
    """A world whose `default` has the other providers as its fallbacks `b`, `c` …"""
    names = "bcd"[: len(others)]
    settings = spec.pop("others", {})
    store, ledgers = spec.pop("store", None), spec.pop("ledgers", ())
    epoch = spec.pop("epoch", 1)
    models = {n: ModelSpec(model=p.model, **settings.get(n, {})) for n, p in zip(names, others, strict=True)}
    return world(first.model, *ledgers, store=store, epoch=epoch, others=models, fallback=tuple(names), **spec)


def fallen(here: World) -> list[tuple[str, str]]:
    return [(event.model, event.to) for event in here.seen(ModelFellBack)]


@pytest.mark.parametrize(
    ("fault", "requests"),
    [
        (DOWN, 3),
        (Fault("status", 429, headers={"retry-after": "1"}), 3),
        (Fault("status", 429, headers={"retry-after": "3600"}), 1),
        (Fault("refuse"), 3),
        (Fault("malformed"), 3),
        (Reply(""), 3),
        (Fault("status", 401), 1),
        (Fault("status", 402), 1),
        (Fault("status", 404), 1),
        (Fault("status", 400, "does not support tools"), 1),
        (Fault("status", 422), 1),
        (Reply("", finish_reason="length"), 1),
    ],
    ids=lambda value: str(value)[:60],
)
async def test_another_model_answers(fault, requests, monkeypatch):
    no_waiting(monkeypatch)
    with Provider(fault) as first, Provider("from the second", models=["backup"]) as second:
        async with backed(first, second) as here:
            reply = await here.ask(tools=(SEARCH,))
            assert (reply.text, reply.model) == ("from the second", second.model)
            assert (len(first.bodies), len(second.bodies)) == (requests, 1)
            assert fallen(here) == [(first.model, second.model)]
            assert [event.model for event in here.seen(ModelCalled)] == [second.model]
            warned = [w.message for w in here.seen(Warned) if w.code == "fallback"]
            assert len(warned) == 1
            assert first.model in warned[0]
            assert second.model in warned[0]
            await here.ask("more", tools=(SEARCH,), at="again")
            assert [w.code for w in here.seen(Warned)].count("fallback") == 1
            assert len(here.seen(ModelFellBack)) == 2


async def test_no_other_model_is_asked_when_the_first_answers_or_money_is_short():
    with Provider() as first, Provider() as second:
        async with backed(first, second) as here:
            assert (await here.ask()).text == "ok: hello"
            assert not fallen(here)
        async with backed(first, second, ledgers=[Ledger("run", Limits(calls=0))]) as here:
            with pytest.raises(BudgetExceededError):
                await here.ask()
    assert not second.bodies


async def test_a_refusal_by_a_filter_is_not_carried_to_others():
    with Provider(REFUSED) as first, Provider() as second:
        async with backed(first, second) as here:
            with pytest.raises(ContentFilteredError):
                await here.ask()
            assert not second.bodies


async def test_a_prompt_too_long_goes_to_models_with_larger_windows_only():
    with Provider(LONG) as first, Provider() as small, Provider("read it all") as large:
        sizes = {"b": {"context_window": 8_000}, "c": {"context_window": 64_000}}
        async with backed(first, small, large, context_window=16_000, others=sizes) as here:
            assert (await here.ask()).text == "read it all"
            assert not small.bodies
        async with backed(first, small, context_window=16_000, others={"b": {"context_window": 8_000}}) as here:
            with pytest.raises(ContextTooLongError):
                await here.ask()


async def test_models_that_cannot_call_tools_do_not_stand_in_for_calls_with_tools():
    with Provider(Fault("status", 401)) as first, Provider() as plain, Provider("with tools") as able:
        async with backed(first, plain, able, others={"b": {"tools": False}}) as here:
            assert (await here.ask(tools=(SEARCH,))).text == "with tools"
            assert not plain.bodies
            assert (await here.ask()).model == plain.model


async def test_a_model_marked_as_unable_to_call_tools_is_replaced_without_asking_it():
    with Provider() as first, Provider("with tools") as able:
        async with backed(first, able, tools=False) as here:
            assert (await here.ask(tools=(SEARCH,))).text == "with tools"
            assert not first.bodies


async def test_fallbacks_of_fallbacks_come_before_what_follows_and_each_is_asked_once():
    def named(name: str, **fields: Any) -> ModelSpec:
        return ModelSpec(model=f"openai_compatible/{name}@{down.url}", **fields)

    with Provider(Fault("status", 401)) as down, Provider("the last one") as last:
        others = {
            "b": named("b", fallback=("d", "default")),
            "c": ModelSpec(model=last.model),
            "d": named("d"),
        }
        async with world(down.model, others=others, fallback=("b", "c")) as here:
            assert (await here.ask()).text == "the last one"
        assert [body["model"] for body in down.bodies] == ["test-model", "b", "d"]


async def test_when_all_fail_the_last_error_is_raised_and_every_step_is_told(monkeypatch):
    no_waiting(monkeypatch)
    with Provider(DOWN) as first, Provider(Fault("status", 401)) as second:
        async with backed(first, second) as here:
            with pytest.raises(AuthError) as caught:
                await here.ask()
            assert second.model in caught.value.message
            assert len(here.seen(ModelRetried)) == 2
            assert fallen(here) == [(first.model, second.model)]


async def test_a_wrong_shape_is_mended_by_another_model(monkeypatch):
    no_waiting(monkeypatch)
    with Provider("no JSON at all") as first, Provider('{"n": 3}') as second:
        async with backed(first, second) as here:
            reply = await here.ask(schema=PLAN)
            assert (reply.data, reply.model) == ({"n": 3}, second.model)
            assert len(first.bodies) == 2


async def test_the_price_is_that_of_the_model_that_answered():
    ledger = Ledger("run", Limits(usd=Decimal(1)))
    usage = {"prompt_tokens": 1000, "completion_tokens": 1000}
    with Provider(Fault("status", 401)) as first, Provider(Reply("fine", usage=usage)) as second:
        prices = {"b": {"price": (Decimal(1), Decimal(2))}}
        async with backed(first, second, price=(Decimal(10), Decimal(90)), others=prices, ledgers=[ledger]) as here:
            reply = await here.ask(max_output_tokens=2000)
    assert reply.cost == ledger.usd == Decimal("0.003")
    assert ledger.calls == 2


async def test_text_of_the_model_that_was_given_up_is_void(monkeypatch):
    no_waiting(monkeypatch)
    heard: list[str] = []
    with Provider(Fault("cut_stream")) as first, Provider("whole") as second:
        async with backed(first, second, attempts=1) as here:
            here.run.listen(lambda event: heard.append("VOID") if isinstance(event, ModelFellBack) else None)
            await here.ask(on_delta=heard.append)
    assert heard == ["half ", "of ", "VOID", "whole"]


async def test_an_open_circuit_sends_calls_to_the_fallback_at_once(monkeypatch):
    no_waiting(monkeypatch)
    with Provider(DOWN) as first, Provider() as second:
        async with backed(first, second) as here:
            for number in range(20):
                assert (await here.ask(at=str(number))).model == second.model
    assert len(first.bodies) == FAILURES
    assert len(second.bodies) == 20


# -- resuming --------------------------------------------------------------------------------------------------------------


@pytest.fixture
async def store():
    store = SqliteStore(None)
    yield store
    store.close()


async def test_a_resumed_run_takes_the_fallbacks_answer_and_asks_nobody(store):
    with Provider(Fault("status", 401)) as first, Provider("paid once") as second:
        async with backed(first, second, store=store) as here:
            await here.ask()
        first.script("the first is back")
        await store.claim("run")
        async with backed(first, second, store=store, epoch=2) as here:
            reply = await here.ask()
            assert (reply.text, reply.model) == ("paid once", second.model)
            assert fallen(here) == [(first.model, second.model)]
            assert "fallback" in [w.code for w in here.seen(Warned)]
            assert (await here.ask("something new", at="new")).text == "the first is back"
    assert len(second.bodies) == 1


async def test_equal_calls_at_one_place_each_get_their_own_answer_again(store):
    """The first fell back, the second did not: a resumed run must not mix them up."""
    with Provider(Fault("status", 401), "from the first") as first, Provider("from the second") as second:
        async with backed(first, second, store=store) as here:
            before = [(await here.ask()).text for _ in range(2)]
        await store.claim("run")
        async with backed(first, second, store=store, epoch=2) as here:
            assert [(await here.ask()).text for _ in range(2)] == before == ["from the second", "from the first"]
    assert (len(first.bodies), len(second.bodies)) == (2, 1)


async def test_cut_off_within_the_fallbacks_call_a_resumed_run_asks_the_fallback_again(store):
    with Provider(Fault("status", 401)) as first, Provider(Fault("hang"), "answered") as second:
        async with backed(first, second, store=store) as here:
            call = asyncio.create_task(here.ask())
            await second.until(lambda provider: provider.in_flight == 1)
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)
            assert call.cancelled()
        await store.claim("run")
        async with backed(first, second, store=store, epoch=2) as here:
            assert (await here.ask()).text == "answered"
    assert (len(first.bodies), len(second.bodies)) == (1, 2)


async def test_where_all_had_failed_a_resumed_run_begins_with_the_first_again(store):
    with Provider(Fault("status", 401)) as first, Provider(Fault("status", 401)) as second:
        async with backed(first, second, store=store) as here:
            with pytest.raises(AuthError):
                await here.ask()
        first.script("back again")
        await store.claim("run")
        async with backed(first, second, store=store, epoch=2) as here:
            assert (await here.ask()).text == "back again"
        await store.claim("run")
        async with backed(first, second, store=store, epoch=3) as here:
            assert (await here.ask()).text == "back again"
    assert (len(first.bodies), len(second.bodies)) == (2, 1)


async def test_a_replay_goes_the_same_way_without_asking_anybody(store, monkeypatch):
    no_waiting(monkeypatch)
    with Provider(DOWN) as first, Provider("kept") as second, Provider(Fault("status", 401)) as third:
        async with backed(first, second, store=store) as here:
            await here.ask()
        await store.claim("run")
        async with backed(first, third, store=store, epoch=2) as here:
            with pytest.raises(AuthError) as failed:
                await here.ask("something else", at="elsewhere")
        await store.flush()
        asked = len(first.bodies), len(second.bodies), len(third.bodies)

        def missing(key: Any, request: Any) -> ModelError:
            raise AssertionError(key)

        for others, text, at in ((second, "hello", "model"), (third, "something else", "elsewhere")):
            async with backed(first, others, store=store, epoch=3) as here:
                run = Run("run", store, 3, recordings=store.recordings("run"), missing=missing)
                here.scope = Scope(run, role="researcher")
                if others is second:
                    assert (await here.ask(text, at=at)).text == "kept"
                else:
                    with pytest.raises(AuthError) as again:
                        await here.ask(text, at=at)
                    assert again.value.message == failed.value.message
        assert (len(first.bodies), len(second.bodies), len(third.bodies)) == asked
