"""Streams of real providers, cut and split at every byte; bodies that are not what their headers say."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from crewmix.errors import BadReplyError, ModelError, ModelTimeoutError, ModelUnavailableError, RateLimitedError
from crewmix.models.drivers.reading import read_answer
from crewmix.models.profile import Profile
from crewmix.models.types import ModelReply
from support.model_world import no_waiting, world
from support.provider import Fault, Provider, Reply
from support.wire import OPENAI_TEXT, TWO_ANSWERS, WIRES, Wire

PROFILE = Profile("default", "x/m", "x", "m", base_url="http://127.0.0.1:1/v1")


async def pieces_of(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def read(*pieces: bytes, heard: list[str] | None = None) -> ModelReply:
    async with asyncio.timeout(PROFILE.timeout) as deadline:
        on_delta = None if heard is None else heard.append
        return await read_answer(pieces_of(*pieces), PROFILE, on_delta, deadline)


def same(reply: ModelReply, wire: Wire) -> bool:
    calls = tuple((call.name, call.arguments) for call in reply.tool_calls)
    return (reply.text, calls, reply.finish_reason) == (wire.text, wire.calls, wire.finish)


@pytest.mark.parametrize("wire", WIRES, ids=lambda wire: wire.name)
async def test_a_recorded_stream_is_read(wire):
    heard: list[str] = []
    reply = await read(wire.body, heard=heard)
    assert same(reply, wire)
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == wire.tokens
    assert "".join(heard).endswith(wire.text)


@pytest.mark.parametrize("wire", WIRES, ids=lambda wire: wire.name)
async def test_split_at_every_byte_it_says_the_same(wire):
    for place in range(len(wire.body) + 1):
        assert same(await read(wire.body[:place], wire.body[place:]), wire), place
    assert same(await read(*(wire.body[n : n + 1] for n in range(len(wire.body)))), wire)


@pytest.mark.parametrize("wire", WIRES, ids=lambda wire: wire.name)
async def test_cut_at_every_byte_it_is_whole_or_an_error(wire):
    """Never half an answer, and never an error once everything was said."""
    whole = 0
    for place in range(len(wire.body) + 1):
        try:
            reply = await read(wire.body[:place])
        except BadReplyError as error:
            assert whole == 0, place
            assert "cut off" in error.message or "not JSON" in error.message
            continue
        whole += 1
        assert same(reply, wire), place
    assert whole > len(b"data: [DONE]\n\n")


HEAD = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: %s\r\n\r\n"
WHOLE = json.dumps({"choices": [{"message": {"content": "all of it"}, "finish_reason": "stop"}]}).encode()


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(
    ("kind", "body", "text"),
    [
        (b"application/json", OPENAI_TEXT.encode(), "Größe: 5 m 🌍"),
        (b"text/plain", b": ping\n\n" + OPENAI_TEXT.encode(), "Größe: 5 m 🌍"),
        (b"text/event-stream", WHOLE, "all of it"),
        (b"text/event-stream; charset=utf-8", b"\xef\xbb\xbf" + WHOLE, "all of it"),
        (b"application/octet-stream", b"\n" + WHOLE, "all of it"),
        (b"text/event-stream", TWO_ANSWERS.encode(), "first"),
    ],
)
async def test_a_body_is_read_for_what_it_is(kind, body, text, stream):
    heard: list[str] = []
    with Provider(Fault("raw", body=HEAD % kind + body)) as provider:
        async with world(provider.model) as here:
            reply = await here.ask(on_delta=heard.append if stream else None)
    assert reply.text == text
    assert "".join(heard) == (text if stream else "")


async def test_further_answers_are_not_mixed_in_but_paid_for():
    both = {
        "choices": [
            {"index": 1, "message": {"content": "no"}, "finish_reason": "length"},
            {"index": 0, "message": {"content": "yes"}, "finish_reason": "stop"},
        ]
    }
    with Provider(both) as provider:
        async with world(provider.model, params={"n": 2}, max_output_tokens=100) as here:
            reply = await here.ask()
    assert (reply.text, reply.finish_reason) == ("yes", "stop")
    assert provider.bodies[0]["n"] == 2


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"error": {"message": "slow down", "code": 429}}, RateLimitedError),
        (
            {"choices": [{"error": {"message": "upstream", "code": 502}, "message": {"content": "half"}}]},
            ModelUnavailableError,
        ),
        ({"object": "error", "message": "out of memory", "code": 500}, ModelUnavailableError),
        ({"choices": [{"message": {"content": "half"}, "finish_reason": "error"}]}, BadReplyError),
        ({"error": "model is loading"}, ModelUnavailableError),
    ],
)
async def test_a_failure_told_with_status_200_is_no_answer(body, kind, monkeypatch):
    no_waiting(monkeypatch)
    event = b"data: " + json.dumps(body).replace('"message": {"content"', '"delta": {"content"').encode() + b"\n\n"
    stream = Fault("raw", body=HEAD % b"text/event-stream" + event)
    for answer, on_delta in ((body, None), (stream, lambda _: None)):
        with Provider(answer) as provider:
            async with world(provider.model) as here:
                with pytest.raises(kind) as caught:
                    await here.ask(on_delta=on_delta)
                assert type(caught.value) is kind
                assert len(provider.bodies) == 3


async def test_a_stream_that_drips_for_ever_ends_with_the_deadline():
    """Every piece comes in time, so only the deadline of the call can end it; it is not asked again."""

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        asked.append(1)
        writer.write(HEAD % b"text/event-stream")
        try:
            while True:
                writer.write(b'data: {"choices": [{"delta": {"content": "x"}}]}\n\n')
                await writer.drain()
                await asyncio.sleep(0.01)
        except OSError:
            writer.close()

    asked: list[int] = []
    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    async with server, world(f"openai_compatible/m@{url}", timeout=5, deadline=0.3) as here:
        with pytest.raises(ModelTimeoutError, match=r"within 0\.3 s") as caught:
            await here.ask(on_delta=lambda _: None)
    assert "`deadline`" in (caught.value.hint or "")
    assert asked == [1]


async def test_waits_do_not_go_beyond_the_deadline():
    with Provider(Fault("status", 429, headers={"retry-after": "30"})) as provider:
        async with world(provider.model, deadline=20) as here:
            with pytest.raises(RateLimitedError, match="asks to wait 30 s"):
                await here.ask()
    assert len(provider.bodies) == 1


async def test_thoughts_that_nobody_counted_are_booked():
    from crewmix.journal.budget import Ledger

    thoughts = "so then " * 200
    plain, aloud = Reply("Yes.", usage=False), Reply(f"<think>{thoughts}</think>Yes.", usage=False)
    booked: list[int] = []
    for answer in (plain, aloud):
        ledger = Ledger("run")
        with Provider(answer) as provider:
            async with world(provider.model, ledger) as here:
                assert (await here.ask()).text == "Yes."
        booked.append(ledger.tokens)
    assert booked[1] - booked[0] > len(thoughts) / 4


async def test_params_may_name_the_output_limit_but_not_raise_it():
    with Provider() as provider:
        async with world(provider.model, max_output_tokens=50, params={"max_completion_tokens": 900}) as here:
            await here.ask()
        async with world(provider.model, max_output_tokens=50, params={"max_tokens": 20}) as here:
            await here.ask()
    first, second = provider.bodies
    assert first["max_completion_tokens"] == 50
    assert "max_tokens" not in first
    assert second["max_tokens"] == 20


async def test_errors_come_as_models_errors():
    with pytest.raises(ModelError, match="x/m: the answer is not JSON"):
        await read(b"oops")
    with pytest.raises(BadReplyError, match="does not end"):
        await read(b"{" + b" " * 10, b" " * 10_000_001)
    with pytest.raises(BadReplyError, match="does not end"):
        await read(b"data: ", b"x" * 10_000_001)
