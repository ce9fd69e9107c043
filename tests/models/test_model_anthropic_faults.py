"""Claude over the Messages API when the provider misbehaves: typed errors, bounded requests, never half an answer."""

from __future__ import annotations

import asyncio
import json

import pytest

from crewmix.errors import (
    AuthError,
    BadReplyError,
    BadRequestError,
    ContentFilteredError,
    ContextTooLongError,
    ModelError,
    ModelTimeoutError,
    ModelUnavailableError,
    OutputLimitError,
    QuotaError,
    RateLimitedError,
    UnknownModelError,
)
from crewmix.journal.events import ModelCalled
from crewmix.models.drivers import sessions
from crewmix.models.drivers.anthropic import AnthropicDriver
from crewmix.models.profile import Profile
from crewmix.models.types import ChatMessage, ModelRequest
from support.anthropic_provider import AnthropicProvider, Broken, Said, event, events, last_text, message, refusal
from support.model_world import no_waiting, world

KEY = "sk-ant-api03-0123456789abcdef0123456789"
STREAM = {"content-type": "text/event-stream"}
USAGE = {"input_tokens": 5, "output_tokens": 9}


def claude(provider, name="claude-haiku-4-5", **spec):
    return world(f"anthropic/{name}", base_url=provider.url, **spec)


PAGE = b"<html><head><title>502 Bad Gateway</title></head></html>"
FAULTS: list[tuple[str, Said | Broken, type[ModelError], int]] = [
    ("429", refusal(429, "rate_limit_error", "Number of requests exceeds your rate limit", retry_after="7"), RateLimitedError, 3),
    ("529", refusal(529, "overloaded_error", "Overloaded"), ModelUnavailableError, 3),
    ("500", refusal(500, "api_error", "Internal server error"), ModelUnavailableError, 3),
    ("502 page", Broken("status", 502, PAGE, {"content-type": "text/html"}), ModelUnavailableError, 3),
    ("503 nothing", Broken("status", 503, b""), ModelUnavailableError, 3),
    ("504", refusal(504, "timeout_error", "timed out"), ModelTimeoutError, 3),
    ("reset", Broken("reset"), ModelUnavailableError, 3),
    ("hang", Broken("hang"), ModelTimeoutError, 3),
    ("web page", Broken("raw", body=PAGE, headers={"content-type": "text/html"}), BadReplyError, 3),
    ("malformed", Broken("raw", body=b'{"type": "message", "content": [{"type": "te'), BadReplyError, 3),
    ("deep", Broken("raw", body=b"[" * 100_000), BadReplyError, 3),
    ("no message", Broken("raw", body=b"{}"), BadReplyError, 3),
    ("error object", Broken("raw", body=json.dumps(refusal(0, "overloaded_error", "x").body).encode()), ModelUnavailableError, 3),
    ("empty", Said(""), BadReplyError, 3),
    ("only thoughts", Said("", thought="hm"), BadReplyError, 3),
    ("paused", Said("half", stop_reason="pause_turn"), BadReplyError, 3),
    ("output cap", Said("", stop_reason="max_tokens"), OutputLimitError, 1),
    ("refused", Said("I", stop_reason="refusal", details={"type": "refusal", "explanation": "harm"}), ContentFilteredError, 1),
    ("401", refusal(401, "authentication_error", "invalid x-api-key"), AuthError, 1),
    ("403", refusal(403, "permission_error", "not allowed"), AuthError, 1),
    ("credit", refusal(400, "invalid_request_error", "Your credit balance is too low to access the API"), QuotaError, 1),
    ("404", refusal(404, "not_found_error", "model: claude-haiku-9"), UnknownModelError, 1),
    ("context", refusal(400, "invalid_request_error", "prompt is too long: 9 tokens > 8 maximum"), ContextTooLongError, 1),
    ("413", refusal(413, "request_too_large", "Request exceeds the maximum size"), ContextTooLongError, 1),
    ("400", refusal(400, "invalid_request_error", "`temperature` is deprecated for this model."), BadRequestError, 1),
]  # fmt: skip
STREAMED: list[tuple[str, Broken, type[ModelError], int]] = [
    ("hangs", Broken("hang_stream"), ModelTimeoutError, 3),
    ("overloaded", Broken("error_event", body=refusal(0, "overloaded_error", "Overloaded").body), ModelUnavailableError, 3),
    ("new error", Broken("error_event", body=refusal(0, "strange_error", "?").body), ModelUnavailableError, 3),
    ("limited", Broken("error_event", body=refusal(0, "rate_limit_error", "slow down").body), RateLimitedError, 3),
    ("long", Broken("error_event", body=refusal(0, "invalid_request_error", "prompt is too long").body), ContextTooLongError, 1),
    ("no JSON", Broken("raw", body=b"data: {oops\n\n", headers=STREAM), BadReplyError, 3),
    ("no event", Broken("raw", body=b"data: []\n\n", headers=STREAM), BadReplyError, 3),
    ("no start", Broken("raw", body=event("x", {"type": "content_block_delta", "index": 0}), headers=STREAM), BadReplyError, 3),
    ("nothing", Broken("raw", body=b"", headers=STREAM), BadReplyError, 3),
]  # fmt: skip


async def fails(answer, kind, requests, monkeypatch, listen):
    waits = no_waiting(monkeypatch)
    with AnthropicProvider(answer) as provider:
        timeout = 0.2 if kind is ModelTimeoutError else 20
        async with claude(provider, timeout=timeout, api_key=KEY) as here:
            with pytest.raises(ModelError) as caught:
                await here.ask(on_delta=listen)
            assert type(caught.value) is kind
            assert not here.seen(ModelCalled)
    error = caught.value
    assert len(provider.bodies) == requests
    assert len(error.message) < 500 and "<html" not in str(error)
    assert not any(words in str(error).lower() for words in ("rate limit", "too many requests"))
    return error, waits


@pytest.mark.parametrize(("answer", "kind", "requests"), [f[1:] for f in FAULTS], ids=[f[0] for f in FAULTS])
@pytest.mark.parametrize("listen", [None, lambda _: None], ids=["whole", "stream"])
async def test_fault(answer, kind, requests, listen, monkeypatch):
    error, waits = await fails(answer, kind, requests, monkeypatch, listen)
    if kind is RateLimitedError:
        assert set(waits) == {7.0}
    if answer == FAULTS[-1][1]:
        assert error.hint == "leave `temperature` out for this model"
    if kind is ContentFilteredError:
        assert "harm" in error.message


@pytest.mark.parametrize(("answer", "kind", "requests"), [f[1:] for f in STREAMED], ids=[f[0] for f in STREAMED])
async def test_fault_within_a_stream(answer, kind, requests, monkeypatch):
    error, _ = await fails(answer, kind, requests, monkeypatch, lambda _: None)
    assert error.status is None  # the answer began with 200, so it may have been billed


async def test_nobody_listens_at_the_address(monkeypatch):
    no_waiting(monkeypatch)
    with AnthropicProvider() as provider:
        pass
    async with claude(provider) as here:
        with pytest.raises(ModelUnavailableError, match="no connection to") as caught:
            await here.ask()
    assert not caught.value.request_sent


async def test_a_key_that_the_provider_repeats_is_not_told():
    with AnthropicProvider(refusal(401, "authentication_error", f"key {KEY} is wrong")) as provider:
        async with claude(provider, api_key=KEY) as here:
            with pytest.raises(AuthError) as caught:
                await here.ask()
    assert KEY not in str(caught.value) and "ANTHROPIC_API_KEY" in str(caught.value)


async def test_a_redirect_does_not_take_the_key_elsewhere():
    with AnthropicProvider() as other:
        away = Broken("status", 307, {}, {"location": f"{other.url}/v1/messages"})
        with AnthropicProvider(away) as provider:
            async with claude(provider, api_key=KEY) as here:
                with pytest.raises(BadRequestError):
                    await here.ask()
        assert other.bodies == []


async def test_cancelling_a_call_ends_it_at_the_provider():
    with AnthropicProvider(Broken("hang_stream")) as provider:
        async with claude(provider) as here:
            heard = asyncio.Event()
            call = asyncio.create_task(here.ask(on_delta=lambda _: heard.set()))
            await heard.wait()
            call.cancel()
            await provider.until(lambda p: p.disconnects == 1)
            with pytest.raises(asyncio.CancelledError):
                await call


async def test_connections_are_used_again_and_closed_with_the_last_gateway():
    with AnthropicProvider() as provider:
        async with claude(provider) as one, claude(provider) as two:
            for place in range(3):
                await one.ask(str(place), at=str(place), on_delta=lambda _: None)
                await two.ask(str(place), at=str(place))
            assert len(provider.connections) == 1
        assert "anthropic" not in sessions._open.get(asyncio.get_running_loop(), {})


async def cut_everywhere(provider, places, right, enough, listen):
    """Ask with an answer that is cut after so many bytes, for each place: whole from `enough` on, before it an error."""
    driver = AnthropicDriver(Profile("d", "anthropic/m", "anthropic", "m", provider.url, protocol="messages"))

    async def cut_at(place: int) -> None:
        try:
            reply = await driver.complete(ModelRequest("m", (ChatMessage("user", str(place)),)), listen)
        except ModelError as error:
            assert isinstance(error, BadReplyError | ModelUnavailableError) and place < enough
        else:
            assert place >= enough
            assert (reply.text, [c.arguments for c in reply.tool_calls]) == right

    for first in range(0, len(places), 50):
        await asyncio.gather(*map(cut_at, places[first : first + 50]))
    await driver.close()


@pytest.mark.parametrize(("short", "step"), [(False, 1), (True, 9)], ids=["ends cleanly", "ends short of its length"])
async def test_a_stream_cut_at_any_byte_is_an_error_or_whole(short, step):
    """Never half an answer: before the stop reason a cut is an error, after it nothing is missing."""
    stream = b"".join(events(Said("Grüße 🌍", [("weigh", {"kg": 3})], pieces=("Grüße", " 🌍")), USAGE))

    def cut(body):
        return Broken("raw", body=stream[: int(last_text(body))], headers=STREAM, cut=short)

    with AnthropicProvider(cut) as provider:
        places = [*range(0, len(stream), step), len(stream)]
        enough = stream.index(b"event: message_stop")
        await cut_everywhere(provider, places, ("Grüße 🌍", ['{"kg": 3}']), enough, lambda _: None)


async def test_an_answer_cut_at_any_byte_is_an_error_or_whole():
    whole = json.dumps(message(Said("It is 42."), USAGE)).encode()
    with AnthropicProvider(lambda body: Broken("raw", body=whole[: int(last_text(body))])) as provider:
        await cut_everywhere(provider, range(len(whole) + 1), ("It is 42.", []), len(whole), None)
