"""Claude over the Messages API: what is sent, what is read, and whole crews."""

from __future__ import annotations

import json
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crewmix import Crew, Role, tool
from crewmix.definitions.spec import ModelSpec
from crewmix.errors import BadReplyError
from crewmix.journal.events import TextDelta, ToolCalled
from crewmix.models import resolve
from crewmix.models.drivers.anthropic_replies import Message
from crewmix.models.drivers.sse import EventReader
from crewmix.models.types import ChatMessage, ModelRequest, ToolCall, ToolSpec
from support.anthropic_provider import AnthropicProvider, Broken, Said, events, message
from support.model_world import world
from support.provider import Provider

KEY = "sk-ant-api03-0123456789abcdef0123456789"
SEARCH = ToolSpec("search", "Find.", {"type": "object", "properties": {"q": {"type": "string"}}})
WEIGH = ToolSpec("weigh", "Weigh.", {"type": "object"})
CITY = {
    "type": "object",
    "properties": {"city": {"type": "string", "minLength": 1}, "size": {"type": "integer", "minimum": 0}},
    "required": ["city"],
}
USAGE = {"input_tokens": 5, "cache_read_input_tokens": 30, "cache_creation_input_tokens": 7, "output_tokens": 9}


def claude(provider, name="claude-haiku-4-5", **spec):
    return world(f"anthropic/{name}", base_url=provider.url, **spec)


async def converse(here, *messages, tools=(), **fields):
    return await here.gateway.complete(here.scope, ModelRequest("default", messages, tools, **fields))


def plain(body):
    """A body's system text and messages without their cache marks."""
    said = [
        (m["role"], [{k: v for k, v in b.items() if k != "cache_control"} for b in m["content"]])
        for m in body["messages"]
    ]
    return "".join(part["text"] for part in body.get("system", ())), said


# -- what is sent --------------------------------------------------------------------------------------------------


async def test_only_what_the_profile_says_is_sent(monkeypatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-of-somebody-else")
    monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", "a-token-of-the-environment")
    monkeypatch.setenv("ANTHROPIC_CUSTOM_HEADERS", "x-secret: hidden")
    with AnthropicProvider() as provider:
        async with claude(provider, temperature=0.5, params={"top_k": 3, "metadata": {"user_id": "u"}}) as here:
            assert (await here.ask("hi", stop=("END", " "), max_output_tokens=9, seed=7)).text == "ok: hi"
        async with claude(provider, api_key=KEY) as here:
            await here.ask("hi")
        assert provider.bodies[0] == {
            "model": "claude-haiku-4-5",
            "max_tokens": 9,
            "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
            "temperature": 0.5,
            "stop_sequences": ["END"],
            "stream": False,
            "top_k": 3,
            "metadata": {"user_id": "u"},
        }
        without, with_key = provider.headers
        assert with_key["x-api-key"] == KEY and "x-api-key" not in without
        assert with_key["anthropic-version"] == "2023-06-01"
        assert not {"authorization", "x-secret"} & {*without, *with_key}
        assert "somebody" not in str(provider.headers) and "environment" not in str(provider.headers)


async def test_a_conversation_with_tools_is_told_in_turns():
    with AnthropicProvider(Said("It is 7.")) as provider:
        async with claude(provider) as here:
            reply = await converse(
                here,
                ChatMessage("system", "You search."),
                ChatMessage("system", "  "),
                ChatMessage("user", "Find x."),
                ChatMessage("user", "And y."),
                ChatMessage(
                    "assistant", " ", tool_calls=(ToolCall("a.1", "search", '{"q": "x"}'), ToolCall("b", "search", ""))
                ),
                ChatMessage("tool", "x is 3", tool_call_id="a.1", name="search"),
                ChatMessage("tool", "", tool_call_id="b", name="search"),
                ChatMessage("user", "So?"),
                ChatMessage("assistant", "I think"),
                tools=(SEARCH, WEIGH),
            )
        assert reply.text == "It is 7."
        body = provider.bodies[0]
        assert plain(body) == (
            "You search.",
            [
                ("user", [{"type": "text", "text": "Find x."}, {"type": "text", "text": "And y."}]),
                (
                    "assistant",
                    [
                        {"type": "tool_use", "id": "a_1", "name": "search", "input": {"q": "x"}},
                        {"type": "tool_use", "id": "b", "name": "search", "input": {}},
                    ],
                ),
                (
                    "user",
                    [
                        {"type": "tool_result", "tool_use_id": "a_1", "content": "x is 3"},
                        {"type": "tool_result", "tool_use_id": "b", "content": ""},
                        {"type": "text", "text": "So?"},
                    ],
                ),
                ("assistant", [{"type": "text", "text": "I think"}]),
                ("user", [{"type": "text", "text": "Go on."}]),
            ],
        )
        assert body["tools"][0]["input_schema"] == SEARCH.parameters


async def test_what_was_called_before_may_stand_in_a_request_without_tools():
    with AnthropicProvider() as provider:
        async with claude(provider) as here:
            call = ToolCall("a", "search", "{}")
            await converse(
                here,
                ChatMessage("user", "?"),
                ChatMessage("assistant", "", tool_calls=(call,)),
                ChatMessage("tool", "found", tool_call_id="a"),
            )
            await converse(here, ChatMessage("system", "Speak."))
        assert provider.bodies[0]["tools"] == [{"name": "search", "input_schema": {"type": "object"}}]
        assert provider.bodies[0]["tool_choice"] == {"type": "none"}
        assert plain(provider.bodies[1]) == ("Speak.", [("user", [{"type": "text", "text": "Go on."}])])


@given(
    st.lists(
        st.builds(
            ChatMessage,
            st.sampled_from(["system", "user", "assistant"]),
            st.sampled_from(["", " \n", "text", "ümläut \ud83d"]),
            tool_calls=st.just(()),
        ),
        max_size=8,
    )
)
def test_every_conversation_is_one_that_the_api_takes(messages):
    from crewmix.models.drivers.anthropic_body import body_of
    from crewmix.models.profile import Profile
    from support.anthropic_provider import what_is_wrong

    profile = Profile("default", "anthropic/claude-haiku-4-5", "anthropic", "claude-haiku-4-5")
    for tools in ((), (SEARCH,)):
        body = body_of(profile, ModelRequest("m", tuple(messages), tools, temperature=1.7), stream=False)
        assert what_is_wrong(json.loads(json.dumps(body))) == ""


@pytest.mark.parametrize(
    ("name", "params", "sent"),
    [
        ("claude-haiku-4-5", {}, 1.0),
        ("claude-opus-4-7", {}, None),
        ("claude-opus-5-5", {}, None),
        ("claude-sonnet-5", {"temperature": 0.1}, 0.1),
        ("some-other-model", {}, 1.0),
        ("claude-haiku-4-5", {"thinking": {"type": "enabled", "budget_tokens": 1024}}, None),
        ("claude-haiku-4-5", {"thinking": {"type": "disabled"}}, 1.0),
    ],
)
async def test_temperature_goes_only_where_it_is_taken(name, params, sent):
    with AnthropicProvider() as provider:
        async with claude(provider, name, params=params, temperature=1.5) as here:
            await here.ask()
        assert provider.bodies[0].get("temperature") == sent


async def test_models_that_think_unasked_get_room_for_it():
    with AnthropicProvider(Said("Yes.", thought="Let me think about it." * 4)) as provider:
        for name, room in (("claude-haiku-4-5", 4096), ("claude-sonnet-5-5", 16384)):
            async with claude(provider, name) as here:
                for listen in (None, lambda _: None):
                    reply = await here.ask(at=str(listen), on_delta=listen)
                    assert (reply.text, reply.usage.reasoning_tokens) == ("Yes.", 22)
                    assert reply.usage.output_tokens > 22
            assert provider.bodies[-1]["max_tokens"] == room


async def test_a_thinking_budget_is_left_out_once_a_tool_was_called():
    thinking = {"type": "enabled", "budget_tokens": 2000}
    with AnthropicProvider(Said("", [("search", {})]), Said("done")) as provider:
        async with claude(provider, params={"thinking": thinking}) as here:
            first = await here.ask("?", tools=(SEARCH,))
            asked = ChatMessage("user", "?"), ChatMessage("assistant", "", tool_calls=first.tool_calls)
            await converse(here, *asked, ChatMessage("tool", "x", tool_call_id=first.tool_calls[0].id), tools=(SEARCH,))
        assert [body.get("thinking") for body in provider.bodies] == [thinking, None]


# -- JSON of a wanted shape ----------------------------------------------------------------------------------------


async def test_the_wanted_shape_is_in_the_prompt_unless_the_model_can_hold_to_it():
    with AnthropicProvider(Said('{"city": "Lyon"}')) as provider:
        async with claude(provider) as here:
            assert (await here.ask("?", schema=CITY)).data == {"city": "Lyon"}
        async with claude(provider, json_schema=True) as here:
            assert (await here.ask("?", schema=CITY)).data == {"city": "Lyon"}
            assert (await here.ask("?", schema={"type": "object"}, at="open")).data == {"city": "Lyon"}
        by_prompt, native, too_open = provider.bodies
        assert "minLength" in plain(by_prompt)[0] and "output_config" not in by_prompt
        shape = native["output_config"]["format"]
        assert shape["type"] == "json_schema" and "system" not in native
        assert shape["schema"]["properties"]["city"] == {"type": "string"}
        assert shape["schema"]["additionalProperties"] is False
        assert "JSON Schema" in plain(too_open)[0] and "output_config" not in too_open
        assert not any("tools" in body for body in provider.bodies)


async def test_json_that_does_not_fit_is_asked_for_again():
    with AnthropicProvider(Said('{"city": ""}'), Said('{"city": "Porto"}')) as provider:
        async with claude(provider, json_schema=True) as here:
            assert (await here.ask("?", schema=CITY)).data == {"city": "Porto"}
        assert "That reply cannot be used" in plain(provider.bodies[1])[1][-1][1][-1]["text"]


# -- what is read --------------------------------------------------------------------------------------------------

EVERYTHING = Said(
    "Grüße, 世界 🌍", [("search", {"q": "é"}), ("weigh", {})], thought="hm", pieces=("Grüße,", " 世界", " 🌍")
)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_everything_in_an_answer_is_read(stream):
    heard: list[str] = []
    with AnthropicProvider(EVERYTHING) as provider:
        async with claude(provider) as here:
            reply = await here.ask("hello " * 30, tools=(SEARCH, WEIGH), on_delta=heard.append if stream else None)
            again = await here.ask("hello " * 30, tools=(SEARCH, WEIGH), at="again")
        billed = provider.usages[0]
    assert reply.text == EVERYTHING.text and "".join(heard) == (EVERYTHING.text if stream else "")
    assert [(c.name, json.loads(c.arguments)) for c in reply.tool_calls] == [("search", {"q": "é"}), ("weigh", {})]
    assert reply.finish_reason == "tool_calls" and len({c.id for c in reply.tool_calls}) == 2
    assert reply.usage.input_tokens == billed["input_tokens"] + billed["cache_creation_input_tokens"]
    assert (reply.usage.cache_write_tokens, reply.usage.cached_tokens) == (billed["cache_creation_input_tokens"], 0)
    assert (again.usage.cache_write_tokens, again.usage.cached_tokens) == (0, billed["cache_creation_input_tokens"])
    assert reply.usage.output_tokens == billed["output_tokens"] and not reply.usage.estimated


@pytest.mark.parametrize(
    ("answer", "finish"),
    [
        (Said("a"), "stop"),
        (Said("a", stop_reason="stop_sequence"), "stop"),
        (Said("a", stop_reason="max_tokens"), "length"),
        (Said("a", stop_reason="model_context_window_exceeded"), "length"),
        (Said("a", stop_reason="something_new"), "unknown"),
    ],
)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_why_it_ended(answer, finish, stream):
    with AnthropicProvider(answer) as provider:
        async with claude(provider) as here:
            assert (await here.ask(on_delta=(lambda _: None) if stream else None)).finish_reason == finish


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_an_answer_without_usage_is_estimated(stream):
    with AnthropicProvider(Said("x" * 40, usage=False)) as provider:
        async with claude(provider) as here:
            reply = await here.ask("y" * 80, on_delta=(lambda _: None) if stream else None)
    assert reply.usage.estimated and (reply.usage.input_tokens, reply.usage.output_tokens) == (20, 10)


async def test_a_server_that_cannot_stream_is_asked_for_the_whole():
    heard: list[str] = []
    with AnthropicProvider(Said("whole", pieces=("who", "le"))) as provider:
        async with claude(provider, stream=False) as here:
            await here.ask(on_delta=heard.append)
        assert ("".join(heard), provider.bodies[0]["stream"]) == ("whole", False)
    with AnthropicProvider(Broken("raw", body=json.dumps(message(Said("whole"), USAGE)).encode())) as provider:
        async with claude(provider) as here:  # it answers in one piece although it was asked to stream
            await here.ask(on_delta=heard.append)
        assert ("".join(heard), provider.bodies[0]["stream"]) == ("wholewhole", True)


def cuts(data, places):
    edges = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[a:b] for a, b in pairwise(edges)]


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 10_000), max_size=60))
def test_a_streamed_answer_is_the_same_however_it_is_cut(places):
    reader, found = EventReader(), Message()
    pieces = cuts(b"".join(events(EVERYTHING, USAGE)), places)
    text = "".join(found.add(json.loads(data)) for piece in pieces for data in reader.feed(piece))
    reply = found.reply()
    assert text == reply.text == EVERYTHING.text
    assert [(c.name, json.loads(c.arguments)) for c in reply.tool_calls] == [("search", {"q": "é"}), ("weigh", {})]
    assert (reply.usage.input_tokens, reply.usage.cached_tokens, reply.usage.cache_write_tokens) == (42, 30, 7)


FIELDS = st.sampled_from(
    [
        "type",
        "message",
        "delta",
        "content",
        "content_block",
        "index",
        "usage",
        "text",
        "input",
        "stop_reason",
        "id",
        "name",
    ]
)
TYPES = st.sampled_from(
    [
        "message",
        "message_start",
        "content_block_start",
        "content_block_delta",
        "message_delta",
        "text",
        "tool_use",
        "text_delta",
    ]
)
VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | TYPES


@given(st.lists(st.recursive(VALUES, lambda inner: st.lists(inner) | st.dictionaries(FIELDS, inner)), max_size=4))
def test_no_body_and_no_event_is_a_traceback(bodies):
    streamed = Message()
    for body in bodies:
        for read in (streamed.add, Message().whole):
            try:
                read(body)
            except BadReplyError:
                pass
    try:
        streamed.reply()
    except BadReplyError:
        pass


# -- crews ---------------------------------------------------------------------------------------------------------

PRICE = (Decimal(4), Decimal(20), Decimal("0.4"))


def crew(provider, tmp_path, *roles, **fields):
    spec = ModelSpec(model="anthropic/claude-haiku-4-5", base_url=provider.url, price=PRICE)
    return Crew(roles=list(roles), plan="none", models={"default": spec}, project=tmp_path, **fields)


async def test_a_crew_talks_and_merges_with_claude(tmp_path):
    story = "You have read every report of the last ten years on this. " * 4
    roles = [Role(name=n, role=n.title(), goal=f"Answer as {n}.", backstory=story) for n in ("zoe", "adam")]

    def answer(body):
        name = next((n for n in ("zoe", "adam") if f"as {n}." in plain(body)[0]), "")
        return Said(f"{name} says 42" if name else "Merged: 42.", pieces=(name, " says 42") if name else ())

    with AnthropicProvider(answer) as provider:
        team = crew(provider, tmp_path, *roles, chat={"pattern": "round_robin", "max_turns": 4})
        stream = team.stream("What is it?")
        heard = [e.text async for e in stream if isinstance(e, TextDelta)]
        result = stream.result
        assert result.status == "done" and result.output == "Merged: 42."
        read = sum(u["cache_read_input_tokens"] for u in provider.usages)
        written = sum(u["cache_creation_input_tokens"] for u in provider.usages)
        fresh = sum(u["input_tokens"] for u in provider.usages)
        said = sum(u["output_tokens"] for u in provider.usages)
    assert read > 0, "a role's second turn finds its system prompt in the provider's cache"
    usage = result.usage
    assert (usage.input_tokens, usage.cached_tokens, usage.cache_write_tokens) == (
        read + written + fresh,
        read,
        written,
    )
    expected = fresh * PRICE[0] + read * PRICE[2] + written * PRICE[0] * Decimal("1.25") + said * PRICE[1]
    assert result.cost == expected / 1_000_000
    assert "".join(heard) == "zoe says 42adam says 42" * 2 + "Merged: 42."


@tool
def population(city: str) -> int:
    """Inhabitants of a city."""
    return {"Lyon": 522_250}[city]


def test_a_role_uses_tools_with_claude(tmp_path):
    def answer(body):
        last = body["messages"][-1]["content"][-1]
        if last["type"] == "tool_result":
            return Said(f"Lyon has {last['content']} inhabitants.")
        return Said("I look it up.", [("population", {"city": "Lyon"})], thought="I need the census.")

    with AnthropicProvider(answer) as provider:
        counter = Role(name="counter", role="Counter", goal="Count people.", tools=["population"])
        seen: list[str] = []
        result = crew(provider, tmp_path, counter, tools=[population]).run(
            "How many live in Lyon?", on_event=lambda e: seen.append(e.tool) if isinstance(e, ToolCalled) else None
        )
        asked = [body for body in provider.bodies if body.get("tools")]
        assert len(asked) == 2 and provider.usages[1]["cache_read_input_tokens"] > 0
    assert result.status == "done" and "522250" in result.output.replace(",", "")
    assert seen == ["population"]


# -- without the package -------------------------------------------------------------------------------------------


async def test_without_the_package_claude_is_reached_over_chat_completions(monkeypatch):
    monkeypatch.setattr(resolve, "find_spec", lambda _: None)
    with Provider() as provider:
        async with world("anthropic/claude-haiku-4-5", base_url=provider.url) as here:
            assert (await here.ask("hi")).text == "ok: hi"
            why = here.gateway.profile("default").why
        assert provider.requests[0].path == "/v1/chat/completions"
    assert "Chat Completions" in why and "crewmix[anthropic]" in why


async def test_which_way_is_taken_is_told():
    with AnthropicProvider() as provider:
        async with claude(provider) as here:
            assert here.gateway.profile("default").why.endswith("over the Messages API")
            assert (await here.ask()).text == "ok: hello"


async def test_the_environment_may_name_another_address():
    environ = {"ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": "http://gateway.internal/anthropic/"}
    found = (await resolve.resolve({"default": "auto"}, environ=environ, probe=False))["default"]
    assert (found.base_url, found.api_key, found.protocol) == ("http://gateway.internal/anthropic", KEY, "messages")
    assert found.why == "ANTHROPIC_API_KEY is set; over the Messages API"


@pytest.mark.parametrize("end", ["", "/", "/v1", "/v1/"])
async def test_an_address_means_the_same_with_and_without_v1(end):
    with AnthropicProvider() as provider:
        async with world("anthropic/claude-haiku-4-5", base_url=provider.url + end) as here:
            assert (await here.ask()).text == "ok: hello"
