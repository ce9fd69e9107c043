"""JSON of a wanted shape, prices, and the scripted model."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from crewmix.errors import (
    BadReplyError,
    BadRequestError,
    NotFoundError,
    OutputLimitError,
    RateLimitedError,
    ToolsUnsupportedError,
)
from crewmix.journal.events import ModelCalled
from crewmix.models import prices
from crewmix.models.drivers.scripted import ScriptedModel
from crewmix.models.profile import Profile
from crewmix.models.structured import read, strict_schema, without_nulls
from crewmix.models.types import Brief, ToolSpec, Usage
from support.model_world import no_waiting, world
from support.provider import Provider, Reply


class Step(BaseModel):
    id: str
    needs: list[str] = []
    note: str | None = None


class Plan(BaseModel):
    title: str
    steps: list[Step]
    score: float = 0.5


PLAN = Plan.model_json_schema()
GOOD = {"title": "t", "steps": [{"id": "a", "needs": ["b"]}]}

# -- structured output -----------------------------------------------------------------------------------------------


def test_strict_schema_closes_objects_and_requires_everything():
    strict = strict_schema(PLAN)
    assert strict is not None
    assert strict["required"] == ["title", "steps", "score"]
    assert strict["additionalProperties"] is False
    assert strict["properties"]["score"] == {"type": ["number", "null"]}
    assert strict["$defs"]["Step"]["required"] == ["id", "needs", "note"]
    assert strict["$defs"]["Step"]["properties"]["note"] == {"anyOf": [{"type": "string"}, {"type": "null"}]}


def test_strict_mode_is_not_asked_for_what_it_cannot_express():
    free = {"type": "object", "properties": {"x": {"type": "object"}}, "required": ["x"]}
    assert strict_schema(free) is None
    assert strict_schema({"type": "object", "additionalProperties": {"type": "string"}}) is None


@given(st.booleans(), st.booleans())
def test_nulls_of_strict_mode_mean_left_out(note, score):
    value = {"title": "t", "steps": [{"id": "a", "needs": None, "note": None if note else "n"}], "score": None}
    if not score:
        del value["score"]
    cleaned = without_nulls(value, PLAN, PLAN)
    assert "needs" not in cleaned["steps"][0]
    assert "score" not in cleaned
    assert cleaned["steps"][0]["note"] == (None if note else "n")
    Plan.model_validate(cleaned)


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(GOOD),
        f"Here is the plan:\n```json\n{json.dumps(GOOD)}\n```\nGood luck!",
        f"```\n{json.dumps(GOOD, indent=2)}\n```",
        f"Sure! {json.dumps(GOOD)}",
        '{"title": "t", "steps": [{"id": "a", "needs": ["b",],},]}',
        "{'title': 't', 'steps': [{'id': 'a', 'needs': ['b']}]}",
        '{"title": "t", "steps": [{"id": "a", "needs": ["b"]}]',
        '\n\n{"title": "t", "steps": [{"id": "a", "needs": ["b"], "note": null}], "score": null}',
    ],
)
def test_json_is_found_and_mended(text):
    value, problem = read(text, PLAN)
    assert problem is None
    assert Plan.model_validate(value) == Plan.model_validate(GOOD)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "it is empty"),
        ("I would rather not.", "it is not JSON"),
        ('{"title": "t"}', "'steps' is a required property"),
        ('{"title": 3, "steps": []}', "at $.title: 3 is not of type 'string'"),
        ("[]", "is not of type 'object'"),
        ("[" * 100_000, "it is nested too deeply"),
    ],
)
def test_what_does_not_fit_is_said(text, problem):
    assert problem in (read(text, PLAN)[1] or "")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
)


@given(JSON)
def test_every_json_value_is_read_as_it_is(value):
    assert read(json.dumps(value), {}) == (value, None)


@given(st.text(), JSON, st.integers(0, 60))
def test_no_text_is_a_traceback(text, value, cut):
    for broken in (text, text + json.dumps(value)[:cut], json.dumps(value)[cut:] + text, "{" + text):
        found, problem = read(broken, PLAN)
        assert problem is not None or Plan.model_validate(found)


@pytest.mark.parametrize("native", [True, False])
async def test_the_shape_is_asked_for_in_the_way_the_server_takes(native):
    with Provider(json.dumps(GOOD)) as provider:
        async with world(provider.model, json_schema=native) as here:
            reply = await here.ask("plan", schema=PLAN, schema_name="plan")
            assert reply.data == GOOD
        body = provider.bodies[0]
        if native:
            assert body["response_format"]["json_schema"]["name"] == "plan"
            assert body["response_format"]["json_schema"]["strict"] is True
            assert len(body["messages"]) == 1
        else:
            assert body["response_format"] == {"type": "json_object"}
            assert '"steps"' in body["messages"][0]["content"]
            assert body["messages"][1]["content"] == "plan"


async def test_one_chance_to_mend_and_both_calls_are_counted():
    with Provider('{"title": "t"}', json.dumps(GOOD)) as provider:
        async with world(provider.model) as here:
            reply = await here.ask("plan", schema=PLAN)
            assert reply.data == GOOD
            called = here.seen(ModelCalled)
            assert len(called) == 2
            assert reply.usage.input_tokens == sum(e.input_tokens for e in called)
        said = provider.bodies[1]["messages"]
        assert said[1] == {"role": "assistant", "content": '{"title": "t"}'}
        assert "'steps' is a required property" in said[2]["content"]
        provider.script("no", "still no", json.dumps(GOOD))
        async with world(provider.model) as here:
            with pytest.raises(BadReplyError, match="does not fit the wanted shape: it is not JSON"):
                await here.ask("plan", schema=PLAN)
        assert len(provider.bodies) == 4


async def test_json_cut_at_the_cap_is_not_asked_for_again():
    with Provider(Reply('{"title": "t", "ste', finish_reason="length")) as provider:
        async with world(provider.model) as here:
            with pytest.raises(OutputLimitError):
                await here.ask("plan", schema=PLAN)
        assert len(provider.bodies) == 1


async def test_a_model_that_calls_tools_instead_is_let_do_so():
    with Provider(Reply(None, [("f", {})])) as provider:
        async with world(provider.model) as here:
            reply = await here.ask(schema=PLAN, tools=(ToolSpec("f", "d", {}),))
            assert reply.data is None
            assert len(reply.tool_calls) == 1


async def test_wrong_use_is_said():
    async with world(ScriptedModel([{"text": "x"}])) as here:
        with pytest.raises(NotFoundError, match="no model 'defualt'") as caught:
            here.gateway.profile("defualt")
        assert caught.value.hint == "did you mean `default`?"
    async with world("vllm/m", tools=False) as here:
        with pytest.raises(ToolsUnsupportedError):
            await here.ask(tools=(ToolSpec("f", "d", {}),))


# -- prices ----------------------------------------------------------------------------------------------------------


def profile(model: str = "openai/gpt-4o", base_url: str | None = "https://api.openai.com/v1", **more) -> Profile:
    provider, _, name = model.partition("/")
    return Profile("default", model, provider, name, base_url, **more)


def test_prices():
    usage = Usage(1_000_000, 1_000_000)
    known = prices.cost(profile(), usage)
    assert known is not None
    assert Decimal(5) < known < Decimal(50)
    assert prices.cost(profile(), Usage(1_000_000, 0, cached_tokens=1_000_000)) < prices.cost(
        profile(), Usage(1_000_000)
    )
    assert prices.cost(profile(price=(Decimal(1), Decimal(2))), usage) == 3
    assert prices.cost(profile("openai/no-such-model"), usage) is None
    assert prices.cost(profile(base_url="https://proxy.example/v1"), usage) is None, "another server, another price"
    assert prices.cost(profile("ollama/q", "http://127.0.0.1:11434/v1", local=True), usage) == 0
    assert prices.cost(profile("python/Mine", None), usage) is None


def test_context_windows():
    assert profile().context_window == 128_000
    assert profile("openai/gpt-4.1").context_window > 900_000
    assert profile(declared_window=5).context_window == 5
    assert profile("vllm/q", "http://127.0.0.1:8000/v1").context_window == 128_000


async def test_a_table_price_reaches_the_reply_and_the_event():
    class Driver:
        async def complete(self, request, on_delta=None):
            return await ScriptedModel([{"text": "x", "usage": {"input_tokens": 1000}}]).complete(request, on_delta)

    async with world(Driver()) as here:
        here.gateway._profiles["default"] = profile(driver=Driver())
        reply = await here.ask()
        assert reply.cost == prices.cost(profile(), Usage(1000)) > 0
        assert here.seen(ModelCalled)[0].cost == float(reply.cost)


# -- the scripted model ----------------------------------------------------------------------------------------------


async def test_the_first_matching_rule_answers():
    model = ScriptedModel(
        [
            {"role": "critic", "round": 2, "text": "Verdict: approve"},
            {"role": "critic", "text": "Verdict: revise"},
            {"purpose": "plan", "json": GOOD},
            {"contains": "weather", "tool_calls": [{"name": "search", "arguments": {"q": "rain"}}]},
            {"task": "t1", "stream": ["one ", "two"], "usage": {"input_tokens": 5, "output_tokens": 2}},
        ]
    )
    heard: list[str] = []
    async with world(model) as here:
        for fields, text in (
            ({"role": "critic", "round": 1}, "Verdict: revise"),
            ({"role": "critic", "round": 2}, "Verdict: approve"),
        ):
            assert (await here.ask(brief=Brief(**fields), at=text)).text == text
        assert (await here.ask(brief=Brief("plan"), schema=PLAN)).data == GOOD
        assert json.loads(
            (await here.ask("the weather?", tools=(ToolSpec("search", "d", {}),))).tool_calls[0].arguments
        ) == {"q": "rain"}
        reply = await here.ask(brief=Brief(task="t1"), on_delta=heard.append, at="t1")
        assert (reply.text, heard, reply.usage) == ("one two", ["one ", "two"], Usage(5, 2))
        assert reply.cost == 0
        with pytest.raises(BadRequestError, match=r"no rule answers .*role 'boss'.*last message 'do it'"):
            await here.ask("do it", brief=Brief(role="boss"))
    assert len(model.requests) == 6


async def test_times_are_counted_for_each_role_so_order_does_not_matter():
    async def answers(order: list[str]) -> dict[str, list[str]]:
        model = ScriptedModel([{"times": 1, "text": "first"}, {"times": 1, "text": "second"}, {"text": "later"}])
        said: dict[str, list[str]] = {}
        async with world(model) as here:
            for number, role in enumerate(order):
                reply = await here.ask(brief=Brief(role=role), at=str(number))
                said.setdefault(role, []).append(reply.text)
        return said

    assert await answers(["a", "a", "b", "a", "b"]) == await answers(["b", "b", "a", "a", "a"])
    assert await answers(["a", "a", "a"]) == {"a": ["first", "second", "later"]}


async def test_scripted_errors_are_the_real_ones(monkeypatch):
    no_waiting(monkeypatch)
    async with world(ScriptedModel([{"error": "rate_limit", "times": 2}, {"text": "at last"}])) as here:
        reply = await here.ask()
        assert (reply.text, reply.attempts) == ("at last", 3)
    async with world(ScriptedModel([{"error": "rate_limit"}])) as here:
        with pytest.raises(RateLimitedError):
            await here.ask()


async def test_a_script_file(tmp_path):
    path = tmp_path / "script.yaml"
    path.write_text("rules:\n  - role: researcher\n    delay: 0.001\n    text: Found it.\n  - text: Else.\n", "utf-8")
    async with world(f"scripted/{path}") as here:
        assert here.gateway.profile("default").local
        replies = await asyncio.gather(
            *(here.ask(brief=Brief(role=role), at=role) for role in ("researcher", "writer"))
        )
        assert [r.text for r in replies] == ["Found it.", "Else."]
