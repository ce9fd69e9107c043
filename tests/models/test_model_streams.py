"""Streams: server-sent events cut anywhere, tool calls in fragments, and what the driver sends and reads."""

from __future__ import annotations

import asyncio
import json
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crewmix.errors import BadReplyError, ModelError
from crewmix.models.drivers.openai import OpenAIDriver
from crewmix.models.drivers.replies import Answer
from crewmix.models.drivers.sse import EventReader
from crewmix.models.profile import Profile
from crewmix.models.types import ChatMessage, ModelRequest, ToolCall, ToolSpec
from support.model_world import world
from support.provider import Fault, Provider, Reply, stream_events

SEARCH = ToolSpec("search", "Find.", {"type": "object", "properties": {"q": {"type": "string"}}})
BODY = {"model": "m", "messages": [], "stream_options": {"include_usage": True}}


def cuts(data: bytes, places: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[a:b] for a, b in pairwise(edges)]


@given(
    st.lists(st.text(max_size=12).map(lambda t: t.replace("\r", "").replace("\n", "")), max_size=6),
    st.lists(st.integers(0, 10_000), max_size=40),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from(["", ": ping", "event: x", "id: 3"]),
)
def test_events_survive_any_cut(payloads, places, end, noise):
    lines = [f"{noise}{end}data: {p}{end}{end}" for p in payloads]
    data = "".join(lines).encode("utf-8", "replace")
    reader = EventReader()
    whole = [event for piece in cuts(data + (b":" if end == "\r" else b""), places) for event in reader.feed(piece)]
    assert whole == [p.encode("utf-8", "replace").decode() for p in payloads]


def test_several_data_lines_are_one_event():
    assert EventReader().feed(b"data: a\ndata:b\n\ndata: c\n") == ["a\nb"]


REPLY = Reply("Grüße, 世界 🌍 and more", [("search", {"q": "é"}), ("search", {})])


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 10_000), max_size=60))
def test_a_streamed_answer_is_the_same_however_it_is_cut(places):
    reader, answer = EventReader(), Answer()
    for piece in cuts(b"".join(stream_events(REPLY, BODY)), places):
        for event in reader.feed(piece):
            if event != "[DONE]":
                answer.add(json.loads(event))
    reply = answer.reply()
    assert reply.text == REPLY.text
    assert [(c.name, json.loads(c.arguments)) for c in reply.tool_calls] == [("search", {"q": "é"}), ("search", {})]
    assert reply.finish_reason == "tool_calls"
    assert reply.usage.output_tokens > 0


@pytest.fixture(scope="module")
def cutting():
    """A provider that ends a stream after so many bytes, and the bytes."""
    events = stream_events(Reply("Grüße 🌍", pieces=["Grüße", " 🌍"]), BODY)
    finish = next(place for place, event in enumerate(events) if b'"finish_reason": "stop"' in event)
    enough = len(b"".join(events[: finish + 1])) - len(b"\n\n")
    with Provider() as provider:
        yield provider, b"".join(events), enough


async def test_a_stream_cut_at_any_byte_is_an_error_or_whole(cutting):
    """Never half an answer: before the finish reason a cut is an error, after it nothing is missing."""
    provider, stream, enough = cutting
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
    provider.script(lambda body: Fault("raw", body=head + stream[: int(body["messages"][-1]["content"])]))
    async with world(provider.model, attempts=1) as here:

        async def cut_at(place: int) -> None:
            try:
                reply = await here.ask(str(place), at=str(place), on_delta=lambda _: None)
            except ModelError as error:
                assert isinstance(error, BadReplyError)
                assert place < enough
            else:
                assert place >= enough
                assert reply.text == "Grüße 🌍"

        await asyncio.gather(*map(cut_at, range(len(stream) + 1)))


async def test_what_is_sent():
    with Provider() as provider:
        async with world(provider.model, temperature=0.5, params={"top_k": 3}) as here:
            await here.ask("hi")
            assert provider.bodies[-1] == {
                "model": "test-model",
                "messages": [{"role": "user", "content": "hi"}],
                "max_tokens": 4096,
                "temperature": 0.5,
                "top_k": 3,
            }
            await here.ask("hi", tools=(SEARCH,), temperature=0.0, seed=7, stop=("END",), max_output_tokens=9)
            sent = provider.bodies[-1]
            assert (sent["temperature"], sent["seed"], sent["stop"], sent["max_tokens"]) == (0.0, 7, ["END"], 9)
            assert sent["tools"][0]["function"]["parameters"] == SEARCH.parameters
            assert "authorization" not in provider.requests[-1].headers


async def test_a_tool_conversation_round_trip():
    with Provider(Reply(None, [("search", {"q": "x"})]), Reply("found")) as provider:
        async with world(provider.model) as here:
            first = await here.ask("look", tools=(SEARCH,))
            assert first.finish_reason == "tool_calls"
            assert first.tool_calls == (ToolCall("call_0", "search", '{"q": "x"}'),)
            messages = (
                ChatMessage("user", "look"),
                ChatMessage("assistant", "", tool_calls=first.tool_calls),
                ChatMessage("tool", "result", tool_call_id="call_0", name="search"),
            )
            second = await here.gateway.complete(here.scope, ModelRequest("default", messages, (SEARCH,)))
            assert second.text == "found"
            said = provider.bodies[-1]["messages"]
            assert said[1]["content"] is None
            assert said[1]["tool_calls"][0]["function"] == {"name": "search", "arguments": '{"q": "x"}'}
            assert said[2] == {"role": "tool", "content": "result", "tool_call_id": "call_0"}


@pytest.mark.parametrize(
    ("model", "fields"),
    [
        ("gpt-5-mini", {"max_completion_tokens": 16384}),
        ("o3", {"max_completion_tokens": 16384}),
        ("gpt-4.1", {"max_completion_tokens": 4096, "temperature": 0.2, "stop": ["x"]}),
    ],
)
def test_openai_models_get_the_fields_they_take(model, fields):
    profile = Profile("default", f"openai/{model}", "openai", model, "https://api.openai.com/v1")
    request = ModelRequest(model, (), temperature=0.2, stop=("x",), max_output_tokens=profile.output_cap)
    body = OpenAIDriver(profile).body(request, stream=False)
    assert {k: v for k, v in body.items() if k not in ("model", "messages")} == fields


def answer(message: dict[str, object], **more: object) -> dict[str, object]:
    return {"choices": [{"message": message, "finish_reason": "stop"}], **more}


@pytest.mark.parametrize(
    ("body", "text", "calls"),
    [
        (answer({"content": "<think>\nwell\n</think>\n\nYes."}), "Yes.", 0),
        (answer({"content": [{"type": "thinking", "text": "hm"}, {"type": "text", "text": "Yes."}]}), "Yes.", 0),
        (answer({"content": "lone \ud83d end"}), "lone ? end", 0),
        (answer({"content": None, "tool_calls": [{"function": {"name": "f", "arguments": {"a": 1}}}]}), "", 1),
        (answer({"content": "", "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": ""}}]}), "", 1),
        (answer({"content": "x"}, usage={"prompt_tokens": None, "completion_tokens": "many"}), "x", 0),
        (answer({"content": "x"}, usage=[]), "x", 0),
    ],
)
def test_oddities_of_servers_are_read(body, text, calls):
    whole = Answer()
    whole.add(body)
    reply = whole.reply()
    assert reply.text == text
    assert len(reply.tool_calls) == calls
    assert all(isinstance(json.loads(c.arguments), dict) and c.id for c in reply.tool_calls)
    reply.text.encode()


def test_calls_that_all_have_number_0_are_told_apart_by_their_ids():
    whole = Answer()
    for name in "ab":
        call = {"index": 0, "id": name, "function": {"name": name, "arguments": "{}"}}
        whole.add({"choices": [{"delta": {"tool_calls": [call]}}]})
    assert [c.id for c in whole.reply().tool_calls] == ["a", "b"]


def test_fragments_without_numbers_belong_to_the_last_call():
    whole = Answer()
    for part in ({"id": "a", "function": {"name": "f", "arguments": "{"}}, {"function": {"arguments": "}"}}):
        whole.add({"choices": [{"delta": {"tool_calls": [part]}}]})
    whole.add({"choices": [{"delta": {"tool_calls": [{"id": "b", "function": {"name": "g", "arguments": "{}"}}]}}]})
    assert [(c.id, c.name, c.arguments) for c in whole.reply().tool_calls] == [("a", "f", "{}"), ("b", "g", "{}")]


FIELDS = st.sampled_from(["choices", "message", "delta", "content", "tool_calls", "function", "usage", "index", "id"])
VALUES = st.none() | st.booleans() | st.floats() | st.text()


@given(st.recursive(VALUES, lambda inner: st.lists(inner) | st.dictionaries(FIELDS, inner)))
def test_no_body_is_a_traceback(body):
    try:
        whole = Answer()
        whole.add(body)
        whole.reply()
    except BadReplyError:
        pass


async def test_cancelling_a_call_ends_it_at_the_provider():
    with Provider(Fault("hang")) as provider:
        async with world(provider.model) as here:
            call = asyncio.create_task(here.ask())
            await provider.until(lambda p: p.in_flight == 1)
            call.cancel()
            await provider.until(lambda p: p.disconnects == 1)
            with pytest.raises(asyncio.CancelledError):
                await call


def chunk(delta: dict[str, object], finish: str | None = None) -> bytes:
    return b"data: " + json.dumps({"choices": [{"delta": delta, "finish_reason": finish}]}).encode() + b"\n\n"


CHUNKED = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


async def streamed(*events: bytes, end: bytes = b"0\r\n\r\n"):
    data = b"".join(events)
    raw = CHUNKED + f"{len(data):x}\r\n".encode() + data + b"\r\n" + end
    with Provider(Fault("raw", body=raw)) as provider:
        driver = OpenAIDriver(Profile("default", provider.model, "openai_compatible", "m", base_url=provider.url))
        try:
            return await driver.complete(ModelRequest("m", (ChatMessage("user", "?"),)), lambda _: None)
        finally:
            await driver.close()


@pytest.mark.parametrize("numbered", [{}, {"index": 0}, {"index": 0, "id": ""}])
async def test_whole_calls_without_ids_are_told_apart(numbered):
    calls = [{**numbered, "function": {"name": "search", "arguments": json.dumps({"q": q})}} for q in "xy"]
    for events in ([chunk({"tool_calls": calls})], [chunk({"tool_calls": [call]}) for call in calls]):
        reply = await streamed(*events, chunk({}, "tool_calls"))
        assert [(c.name, c.arguments) for c in reply.tool_calls] == [("search", '{"q": "x"}'), ("search", '{"q": "y"}')]


async def test_a_connection_that_breaks_after_the_finish_reason_costs_no_second_call():
    assert (await streamed(chunk({"content": "whole"}), chunk({}, "stop"), end=b"")).text == "whole"


@pytest.mark.parametrize(
    "last", [chunk({}, "error"), chunk({}, "abort"), b'data: {"object": "error", "message": "EngineDead"}\n\n']
)
async def test_half_an_answer_is_not_taken_for_a_whole_one(last):
    with pytest.raises(ModelError, match=r"broke the answer off|EngineDead"):
        await streamed(chunk({"content": "half of"}), last, b"data: [DONE]\n\n")


@pytest.mark.parametrize("thought", ["<think>\nhm\n</think>\n\n", "hm\n</think>\n\n"])
async def test_a_thought_is_no_part_of_the_answer_also_when_its_opening_tag_is_in_the_chat_template(thought):
    assert (await streamed(chunk({"content": f"{thought}Yes."}, "stop"))).text == "Yes."
    assert (await streamed(chunk({"content": "A `</think>` tag."}, "stop"))).text == "A `</think>` tag."


async def test_an_id_that_is_a_number_becomes_a_text():
    call = {"id": 7, "function": {"name": "search", "arguments": {"q": "x"}}}
    assert (await streamed(chunk({"tool_calls": [call]}, "tool_calls"))).tool_calls[0].id == "7"


async def test_a_server_that_forgets_to_end_the_stream_is_not_asked_again():
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        data = chunk({"content": "whole"}) + chunk({}, "stop")
        writer.write(CHUNKED + f"{len(data):x}\r\n".encode() + data + b"\r\n")
        await reader.read()  # until the client goes away
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    driver = OpenAIDriver(Profile("default", "x/m", "openai_compatible", "m", base_url=url, timeout=1.0))
    async with server:
        reply = await driver.complete(ModelRequest("m", (ChatMessage("user", "?"),)), lambda _: None)
        await driver.close()
    assert (reply.text, reply.finish_reason) == ("whole", "stop")
