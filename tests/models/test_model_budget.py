"""Budgets at the provider's own count, the journal, and the cache."""

from __future__ import annotations

import asyncio
import sqlite3
from dataclasses import fields, replace
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crewmix.definitions.spec import ModelSpec
from crewmix.errors import BudgetExceededError, CrewmixError, ModelError, RunCancelledError, StorageError
from crewmix.journal.budget import Amount, Ledger, Limits
from crewmix.journal.events import CallShortened, ModelCalled, Warned
from crewmix.journal.run import Charge
from crewmix.journal.store import SqliteStore
from crewmix.models.attempt import worst_case
from crewmix.models.cache import cache_key
from crewmix.models.gateway import Gateway, _filled, _identity
from crewmix.models.resolve import resolve
from crewmix.models.types import ChatMessage, ModelReply, ModelRequest, ToolSpec
from support.model_world import ask, no_waiting, world
from support.provider import Fault, Provider, Reply

PRICE = (Decimal(2), Decimal(10))


OUTCOMES = st.sampled_from(["ok", "long", "500", "429", "cut_body", "cut_stream", "malformed", "reset", "empty"])
ANSWERS = {
    "ok": Reply("fine"),
    "long": Reply("word " * 400),
    "500": Fault("status", 500),
    "429": Fault("status", 429),
    "cut_body": Fault("cut_body"),
    "cut_stream": Fault("cut_stream"),
    "malformed": Fault("malformed"),
    "reset": Fault("refuse"),
    "empty": Reply(""),
}


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    outcomes=st.lists(OUTCOMES, min_size=4, max_size=30),
    prompts=st.lists(st.text(max_size=400), min_size=1, max_size=12),
    calls=st.none() | st.integers(0, 12),
    tokens=st.none() | st.integers(0, 9000),
    cents=st.none() | st.integers(0, 6),
    cap=st.integers(1, 500),
    stream=st.booleans(),
)
async def test_parallel_calls_never_overshoot(outcomes, prompts, calls, tokens, cents, cap, stream, monkeypatch):
    no_waiting(monkeypatch)
    usd = None if cents is None else Decimal(cents) / 200
    run = Ledger("run", Limits(usd=usd, calls=calls, tokens=tokens))
    role = Ledger("role", Limits(tokens=None if tokens is None else tokens // 2))
    with Provider(*(ANSWERS[o] for o in outcomes)) as provider:
        async with world(provider.model, run, role, max_output_tokens=cap, price=PRICE, attempts=3) as here:
            on_delta = (lambda _: None) if stream else None
            results = await asyncio.gather(
                *(here.ask(p, at=str(n), on_delta=on_delta) for n, p in enumerate(prompts)), return_exceptions=True
            )
        assert all(isinstance(r, CrewmixError) for r in results if isinstance(r, BaseException))
        assert calls is None or len(provider.bodies) <= calls
        assert len(provider.bodies) == run.calls == role.calls
        assert tokens is None or provider.tokens <= role.tokens <= tokens // 2
        assert provider.tokens <= run.tokens
        assert usd is None or provider.cost(*PRICE) <= run.usd <= usd
        assert provider.cost(*PRICE) <= run.usd
        for ledger in (run, role):
            assert ledger.reserved == Amount()


async def test_no_request_goes_out_when_the_worst_case_does_not_fit():
    with Provider("x") as provider:
        for limits in (Limits(calls=0), Limits(tokens=200), Limits(usd=Decimal("0.000001")), Limits(seconds=1e-9)):
            async with world(provider.model, Ledger("run", limits), price=PRICE, max_output_tokens=190) as here:
                with pytest.raises(BudgetExceededError):
                    await here.ask("a prompt of some words")
        assert provider.bodies == []


async def test_what_fits_one_after_the_other_is_not_refused_for_being_asked_at_once():
    """Each of ten calls may cost 2000 tokens at worst and costs 20; the budget holds one worst case, or ten real ones."""
    sized = Reply("fine", usage={"prompt_tokens": 10, "completion_tokens": 10})
    run, role = Ledger("run", Limits(tokens=2500)), Ledger("role", Limits(usd=Decimal("0.05")))
    with Provider(sized) as provider:
        async with world(provider.model, run, role, max_output_tokens=2000, price=PRICE) as here:
            replies = await asyncio.gather(*(here.ask(at=str(n)) for n in range(10)))
            assert [r.text for r in replies] == ["fine"] * 10
            assert provider.max_in_flight == 1
            assert run.tokens == 200
            with pytest.raises(BudgetExceededError):
                await asyncio.gather(*(here.ask("X" * 2100, at=f"b{n}") for n in range(3)))


# -- shorter answers -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limits", [Limits(tokens=1000), Limits(usd=Decimal("0.008"))])
async def test_a_call_that_does_not_fit_is_asked_for_a_shorter_answer(limits):
    ledger = Ledger("run", limits)
    with Provider("fine") as provider:
        async with world(provider.model, ledger, price=PRICE, max_output_tokens=4000) as here:
            assert (await here.ask()).text == "fine"
            allowed = provider.bodies[0]["max_tokens"]
            assert 256 <= allowed < 1000
            event = here.seen(CallShortened)[0]
            assert (event.wanted, event.allowed, event.owner) == (4000, allowed, "run")
            assert ledger.refusal(worst_case(here.gateway.profile("default"), 81, allowed + 1)) is not None
            assert not here.seen(Warned), "the answer is whole, so there is nothing to warn of"


async def test_a_call_is_not_made_for_a_few_words_unless_few_were_wanted():
    with Provider("fine") as provider:
        async with world(provider.model, Ledger("run", Limits(tokens=300)), price=PRICE) as here:
            with pytest.raises(BudgetExceededError, match="300 allowed, the next call could reach 4"):
                await here.ask()
            assert provider.bodies == []
            assert (await here.ask(max_output_tokens=20)).text == "fine"


async def test_a_reasoning_model_is_not_asked_for_less_than_it_needs_to_think():
    model = ("openai_compatible/gpt-5@", Limits(tokens=2000))
    with Provider("fine") as provider:
        async with world(model[0] + provider.url, Ledger("run", model[1]), price=PRICE) as here:
            with pytest.raises(BudgetExceededError):
                await here.ask()
        assert provider.bodies == []


async def test_what_a_call_in_flight_may_not_need_is_waited_for_before_an_answer_is_shortened():
    ledger = Ledger("run", Limits(tokens=2000))
    sized = Reply("fine", usage={"prompt_tokens": 10, "completion_tokens": 10})
    with Provider(sized) as provider:
        async with world(provider.model, ledger, price=PRICE, max_output_tokens=1500) as here:
            await asyncio.gather(*(here.ask(at=str(n)) for n in range(20)))
        assert {body["max_tokens"] for body in provider.bodies} == {1500}


async def test_a_shortened_answer_that_is_cut_says_that_the_budget_cut_it():
    with Provider(Reply("once upon a", finish_reason="length")) as provider:
        async with world(provider.model, Ledger("run", Limits(tokens=1000)), price=PRICE) as here:
            assert (await here.ask()).text == "once upon a"
            (warning,) = here.seen(Warned)
            assert "no more was left of the tokens budget of run" in warning.message
            assert "max_output_tokens" not in warning.message


SHAPE = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


@pytest.mark.parametrize(
    ("answer", "fields", "spec"),
    [
        (Reply("", finish_reason="length"), {}, {}),
        (Reply('{"n": ', finish_reason="length"), {"schema": SHAPE}, {}),
        (Reply('{"n": ', finish_reason="length"), {"schema": SHAPE}, {"json_schema": False}),
        (
            Reply(None, tool_calls=[("f", '{"x": ')], finish_reason="length"),
            {"tools": (ToolSpec("f", "d", {"type": "object"}),)},
            {},
        ),
    ],
    ids=["empty", "JSON", "JSON by prompt", "tool call"],
)
async def test_a_shortened_answer_that_is_of_no_use_is_the_budget_s_fault_and_asked_for_again(
    answer, fields, spec, tmp_path
):
    store = SqliteStore(tmp_path / "journal.db")
    whole = Reply('{"n": 1}') if "schema" in fields else Reply("fine")
    with Provider(answer, whole) as provider:
        async with world(provider.model, Ledger("run", Limits(tokens=1900)), store=store, price=PRICE, **spec) as here:
            with pytest.raises(BudgetExceededError, match="tokens budget of run"):
                await here.ask(**fields)
            assert len(here.seen(CallShortened)) == len(provider.bodies) == 1
        await store.claim("run")
        async with world(
            provider.model, Ledger("run", Limits(tokens=90_000)), store=store, epoch=2, price=PRICE, **spec
        ) as here:
            await here.ask(**fields)
        assert provider.bodies[1]["max_tokens"] == 4096
    store.close()


async def test_a_shortened_answer_is_kept_for_its_run_but_not_for_others(tmp_path):
    store, cache = SqliteStore(tmp_path / "journal.db"), {"cache_path": tmp_path / "cache.db", "cache": True}
    with Provider("short", "long") as provider:
        async with world(provider.model, Ledger("run", Limits(tokens=1000)), store=store, price=PRICE, **cache) as here:
            await here.ask()
        await store.claim("run")
        async with world(provider.model, Ledger("run"), store=store, epoch=2, price=PRICE, **cache) as here:
            assert (await here.ask()).text == "short", "it was paid for"
        async with world(provider.model, Ledger("run"), price=PRICE, **cache) as here:
            assert (await here.ask()).text == "long"
    store.close()


async def test_a_share_that_is_kept_is_only_for_the_synthesis():
    run = Ledger("run", Limits(calls=3), share=0.34)
    with Provider("fine") as provider:
        async with world(provider.model, run) as here:
            here.scope = replace(here.scope, kept=(run,))
            await here.ask(at="1")
            await here.ask(at="2")
            with pytest.raises(BudgetExceededError, match="2 of 3 allowed before the synthesis"):
                await here.ask(at="3")
            here.scope = here.scope.merging()
            await here.ask(at="3")
            with pytest.raises(BudgetExceededError, match="3 allowed"):
                await here.ask(at="4")


# -- smallest budgets ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "made"),
    [
        (Limits(usd=Decimal("0.01")), 1),
        (Limits(usd=Decimal(0)), 0),
        (Limits(calls=1), 1),
        (Limits(calls=0), 0),
        (Limits(tokens=1), 0),
        (Limits(tokens=0), 0),
    ],
)
async def test_the_smallest_budgets(limits, made):
    ledger = Ledger("run", limits)
    with Provider("fine") as provider:
        async with world(provider.model, ledger, price=(Decimal(10), Decimal(30))) as here:
            results = await asyncio.gather(*(here.ask(at=str(n)) for n in range(3)), return_exceptions=True)
        assert sum(isinstance(r, ModelReply) for r in results) >= made
        assert (len(provider.bodies) > 0) == (made > 0)
        assert limits.usd is None or provider.cost(Decimal(10), Decimal(30)) <= limits.usd
        assert limits.calls is None or provider.calls <= limits.calls


async def test_a_model_that_costs_nothing_needs_no_money():
    with Provider("fine") as provider:
        async with world(provider.model, Ledger("run", Limits(usd=Decimal(0))), price=(Decimal(0), Decimal(0))) as here:
            assert (await here.ask()).cost == 0


async def test_a_fallback_of_unknown_price_is_not_asked_when_money_is_limited(monkeypatch):
    no_waiting(monkeypatch)
    with Provider(Fault("status", 500)) as provider:
        unpriced = ModelSpec(model=provider.model.replace("test-model", "other"), attempts=1)
        first = ModelSpec(model=provider.model, price=PRICE, attempts=1, fallback=("spare",))
        profiles = await resolve({"default": first, "spare": unpriced}, environ={}, probe=False)
        async with world(provider.model, Ledger("run", Limits(usd=Decimal(1)))) as here:
            here.gateway = Gateway(profiles)
            with pytest.raises(BudgetExceededError, match="price of the next call is unknown"):
                await here.ask()
            await here.gateway.close()
        assert [body["model"] for body in provider.bodies] == ["test-model"]


async def test_the_time_is_told_while_a_call_is_out():
    heard: list[tuple[str, float]] = []
    ledger = Ledger(
        "run", Limits(seconds=0.3), on_mark=lambda owner, limit, used, allowed, at: heard.append((limit, at))
    )
    with Provider(Fault("hang")) as provider:
        async with world(provider.model, ledger) as here:
            with pytest.raises(BudgetExceededError):
                await here.ask()
    assert heard == [("seconds", 0.5), ("seconds", 0.8)]


# -- prices and time -----------------------------------------------------------------------------------------------------


async def test_a_call_of_unknown_price_is_refused_under_a_dollar_limit_unless_allowed():
    with Provider("x") as provider:
        async with world(provider.model, Ledger("run", Limits(usd=Decimal(5)))) as here:
            with pytest.raises(BudgetExceededError):
                await here.ask()
        allowed = Ledger("run", Limits(usd=Decimal(5), deny_unpriced=False))
        async with world(provider.model, allowed) as here:
            for at in "ab":
                assert (await here.ask(at=at)).cost is None
            assert [w.code for w in here.seen(Warned)] == ["unpriced"]
        assert allowed.unpriced_calls == 2


async def test_the_seconds_of_a_budget_end_a_call_in_flight():
    ledger = Ledger("run", Limits(seconds=0.3))
    with Provider(Fault("hang")) as provider:
        async with world(provider.model, ledger) as here:
            with pytest.raises(BudgetExceededError, match="seconds budget of run"):
                await here.ask()
        await provider.until(lambda p: p.disconnects == 1)
    assert ledger.calls == 1
    assert ledger.tokens >= 4096


async def test_a_cancelled_call_is_booked_at_its_worst_and_a_waiting_one_at_nothing():
    ledger = Ledger("run")
    with Provider(Fault("hang")) as provider:
        async with world(provider.model, ledger, concurrency=1) as here:
            tasks = [asyncio.create_task(here.ask(at=at)) for at in "ab"]
            await provider.until(lambda p: p.in_flight == 1)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    assert ledger.calls == 1
    assert ledger.reserved == Amount()


async def test_a_cancelled_run_starts_no_further_attempt(monkeypatch):
    no_waiting(monkeypatch)
    with Provider() as provider:
        async with world(provider.model) as here:

            def fail(_body: object) -> Fault:
                here.run.cancel()
                return Fault("status", 500)

            provider.script(fail)
            with pytest.raises(RunCancelledError):
                await here.ask()
            assert len(provider.bodies) == 1


async def test_a_resumed_run_pays_nothing_twice(tmp_path):
    store = SqliteStore(tmp_path / "journal.db")
    heard: list[str] = []
    with Provider(Reply("Paid.", pieces=["Pa", "id."])) as provider:
        async with world(provider.model, Ledger("run"), store=store) as here:
            first = await here.ask()
        ledger = Ledger("run", Limits(calls=0))
        await store.claim("run")
        async with world(provider.model, ledger, store=store, epoch=2) as here:
            again = await here.ask(on_delta=heard.append)
            assert again == first
            assert heard == ["Paid."]
            assert [(e.recalled, e.input_tokens) for e in here.seen(ModelCalled)] == [(True, first.usage.input_tokens)]
        assert len(provider.bodies) == 1
        assert ledger.calls == 0
    store.close()


async def test_the_cache_answers_equal_calls_at_no_cost(tmp_path):
    path = tmp_path / "deep" / "cache.db"
    with Provider("one", "two") as provider:
        for limit in (1, 0):
            async with world(provider.model, Ledger("run", Limits(calls=limit)), cache_path=path, cache=True) as here:
                heard: list[str] = []
                reply = await here.ask(on_delta=heard.append)
                assert "".join(heard) == reply.text == "one"
                assert (reply.cached, reply.attempts, reply.cost) == ((False, 1, None) if limit else (True, 0, 0))
        async with world(provider.model, cache_path=path, cache=True) as here:
            assert (await here.ask("something else")).text == "two"
            assert (await here.ask(sample=1)).text == "two"
        async with world(provider.model, cache_path=path) as here:
            assert not (await here.ask()).cached
        assert len(provider.bodies) == 4


async def test_an_answer_of_the_wrong_shape_is_not_cached(tmp_path):
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    with Provider("no", "no", '{"n": 1}') as provider:
        async with world(provider.model, cache_path=tmp_path / "c.db", cache=True) as here:
            with pytest.raises(ModelError, match="does not fit"):
                await here.ask(schema=schema, at="a")
            assert (await here.ask(schema=schema, at="b")).data == {"n": 1}


async def test_what_could_not_be_committed_was_not_sent_and_costs_nothing(monkeypatch):
    async def full(self):
        raise StorageError("the disk is full")

    monkeypatch.setattr(Charge, "commit", full)
    run = Ledger("run", Limits(calls=1), key=": run")
    with Provider("fine") as provider:
        async with world(provider.model, run) as here:
            with pytest.raises(StorageError):
                await here.ask()
            assert (len(provider.bodies), run.spent, run.reserved) == (0, Amount(), Amount())


async def test_a_broken_cache_costs_no_answer(tmp_path):
    (tmp_path / "c.db").write_bytes(b"this is no database, but long enough to look like a file" * 20)
    with Provider("fine") as provider:
        async with world(provider.model, cache_path=tmp_path / "c.db", cache=True) as here:
            assert (await here.ask()).text == "fine"
            assert [w.code for w in here.seen(Warned)] == ["cache", "unpriced"]
            assert "c.db cannot be used" in here.seen(Warned)[0].message
        async with world(provider.model, cache_path=tmp_path / "good.db", cache=True) as here:
            await here.ask(at="a")
            with sqlite3.connect(tmp_path / "good.db") as db:
                db.execute("update replies set reply='{'")
                db.commit()
                assert (await here.ask(at="b")).text == "fine"
                db.execute("drop table replies")
            db.close()
            assert (await here.ask("new", at="c")).text == "fine"


async def test_everything_that_decides_an_answer_is_in_the_key():
    """A mixture sends equal prompts to many models: none may get another's answer."""
    base = {"model": "openai_compatible/m@http://127.0.0.1:1/v1"}
    specs = [
        base,
        {"model": "openai_compatible/n@http://127.0.0.1:1/v1"},
        {"model": "openai_compatible/m@http://127.0.0.1:2/v1"},
        {"model": "vllm/m", "base_url": "http://127.0.0.1:1/v1"},
        {**base, "temperature": 0.5},
        {**base, "max_output_tokens": 9},
        {**base, "params": {"top_p": 0.5}},
    ]
    profiles = await resolve({str(n): ModelSpec(**s) for n, s in enumerate(specs)}, environ={}, probe=False)
    tool = ToolSpec("f", "d", {})
    requests = [
        ask(),
        ask("other"),
        ask(tools=(tool,)),
        ask(tools=(ToolSpec("f", "d", {"type": "object"}),)),
        ask(schema={}),
        ask(schema={"type": "object"}),
        ask(schema={}, schema_name="plan"),
        ask(temperature=0.1),
        ask(seed=1),
        ask(stop=("x",)),
        ask(sample=1),
        ModelRequest("default", (ChatMessage("system", "hello"),)),
    ]
    keys = {cache_key(_identity(p, _filled(p, r))) for p in profiles.values() for r in requests}
    temperature_wins = len(profiles) * len(requests)
    assert len(keys) == temperature_wins - 1  # temperature 0.1 of the request replaces the profile's 0.5
    renamed = await resolve({"other_name": ModelSpec(**base)}, environ={}, probe=False)
    one, other = profiles["0"], renamed["other_name"]
    assert cache_key(_identity(one, _filled(one, ask()))) == cache_key(_identity(other, _filled(other, ask())))


async def test_text_that_is_no_unicode_harms_nobody():
    class Odd:
        async def complete(self, request, on_delta=None):
            assert request.messages[0].content == "half a pair: ?"
            return ModelReply("an answer with half a pair: \ud83d")

    async with world(Odd()) as here:
        assert (await here.ask("half a pair: \ud83d")).text.startswith("an answer")
        with pytest.raises(StorageError, match="no valid Unicode"):
            await here.run.store.create_run("other", "crew", "goal \ud83d", {})
        await here.run.store.create_run("third", "crew", "goal", {})


def test_every_field_of_a_request_decides_the_answer_but_brief_and_check():
    names = {field.name for field in fields(ModelRequest)}
    assert set(ask().identity()) == names - {"brief", "check"}
