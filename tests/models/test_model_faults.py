"""What a user gets when a provider misbehaves: the right error, the right number of requests, nothing lost."""

from __future__ import annotations

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
    ToolsUnsupportedError,
    UnknownModelError,
)
from crewmix.journal.budget import Amount, Ledger, Limits
from crewmix.journal.events import ModelCalled, ModelRetried, Warned
from support.model_world import no_waiting, world
from support.provider import Fault, Provider, Reply


def error(message: str, code: str | None = None, kind: str | None = None) -> dict[str, object]:
    return {"error": {"message": message, "code": code, "type": kind}}


HEAD = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n"
FAULTS: list[tuple[str, Fault | Reply | dict[str, object], type[ModelError], int]] = [
    ("429", Fault("status", 429, error("Rate limit reached for gpt")), RateLimitedError, 3),
    ("429 plain text", Fault("status", 429, "Too Many Requests"), RateLimitedError, 3),
    ("quota", Fault("status", 429, error("You exceeded", "insufficient_quota")), QuotaError, 1),
    ("no credit", Fault("status", 402, error("Insufficient credits")), QuotaError, 1),
    ("500", Fault("status", 500), ModelUnavailableError, 3),
    ("502 html", Fault("html"), ModelUnavailableError, 3),
    ("503", Fault("status", 503, error("overloaded")), ModelUnavailableError, 3),
    ("529", Fault("status", 529, error("overloaded", kind="overloaded_error")), ModelUnavailableError, 3),
    ("409", Fault("status", 409), ModelUnavailableError, 3),
    ("504", Fault("status", 504), ModelTimeoutError, 3),
    ("reset", Fault("refuse"), ModelUnavailableError, 3),
    ("hang", Fault("hang"), ModelTimeoutError, 3),
    ("cut body", Fault("cut_body"), BadReplyError, 3),
    ("malformed", Fault("malformed"), BadReplyError, 3),
    ("error object", Fault("error_object"), ModelUnavailableError, 3),
    ("no choices", Fault("no_choices"), BadReplyError, 3),
    ("choices null", {"choices": None}, BadReplyError, 3),
    (
        "a list",
        Fault("raw", body=b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\n[]"),
        BadReplyError,
        3,
    ),
    ("not HTTP", Fault("raw", body=b"SSH-2.0-OpenSSH\r\n\r\n"), ModelUnavailableError, 3),
    ("wrong types", {"choices": [{"message": {"content": "x", "tool_calls": ["what"]}}]}, BadReplyError, 3),
    ("deep JSON", Fault("raw", body=HEAD + b"[" * 100_000), BadReplyError, 3),
    ("deep arguments", Reply(None, [("find", '{"a":' * 50_000)]), BadReplyError, 3),
    ("web page", Fault("raw", body=HEAD + b"<html>wrong port</html>"), BadReplyError, 3),
    ("empty", Reply(""), BadReplyError, 3),
    ("null content", Reply(None), BadReplyError, 3),
    ("blank", Reply(" \n "), BadReplyError, 3),
    ("bad arguments", Reply(None, [("find", '{"q": ')]), BadReplyError, 3),
    ("arguments no object", Reply(None, [("find", "[1]")]), BadReplyError, 3),
    ("only thoughts", Reply("<think>hm</think>"), BadReplyError, 3),
    ("output cap", Reply("", finish_reason="length"), OutputLimitError, 1),
    ("filtered answer", Reply("I", finish_reason="content_filter"), ContentFilteredError, 1),
    ("refusal", Reply(None, refusal="I cannot help with that."), ContentFilteredError, 1),
    ("filtered prompt", Fault("status", 400, error("policy", "content_filter")), ContentFilteredError, 1),
    ("401", Fault("status", 401, error("Incorrect API key provided")), AuthError, 1),
    ("403", Fault("status", 403), AuthError, 1),
    ("key in 400", Fault("status", 400, [error("API key not valid. Please pass one.")]), AuthError, 1),
    ("model", Fault("status", 404, error("The model `x` does not exist", "model_not_found")), UnknownModelError, 1),
    (
        "ollama model",
        Fault("status", 404, error('model "qwen9" not found, try pulling it first')),
        UnknownModelError,
        1,
    ),
    ("path", Fault("status", 404, {"detail": "Not Found"}), UnknownModelError, 1),
    ("context", Fault("status", 400, error("too long", "context_length_exceeded")), ContextTooLongError, 1),
    (
        "vllm context",
        Fault("status", 400, {"object": "error", "message": "This model's maximum context length is 8192 tokens"}),
        ContextTooLongError,
        1,
    ),
    ("llama.cpp context", Fault("status", 400, error("exceeds the available context size")), ContextTooLongError, 1),
    ("413", Fault("status", 413), ContextTooLongError, 1),
    ("tools", Fault("status", 400, error("registry.ollama.ai/x does not support tools")), ToolsUnsupportedError, 1),
    ("jinja", Fault("status", 500, error("tools param requires --jinja flag")), ToolsUnsupportedError, 1),
    ("other 400", Fault("status", 400, error("Unsupported value: 'temperature'")), BadRequestError, 1),
    ("422", Fault("status", 422, {"detail": [{"loc": ["body"], "msg": "bad"}]}), BadRequestError, 1),
    ("redirect", Fault("status", 302, "moved", {"location": "http://127.0.0.1:1/"}), BadRequestError, 1),
]


@pytest.mark.parametrize(("answer", "kind", "requests"), [f[1:] for f in FAULTS], ids=[f[0] for f in FAULTS])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_fault(answer, kind, requests, stream, monkeypatch):
    no_waiting(monkeypatch)
    timeout = 0.15 if kind is ModelTimeoutError else 20
    ledger = Ledger("run")
    with Provider(answer) as provider:
        async with world(provider.model, ledger, timeout=timeout) as here:
            with pytest.raises(ModelError) as caught:
                await here.ask(on_delta=(lambda _: None) if stream else None)
            assert type(caught.value) is kind
            assert len(provider.bodies) == requests == ledger.calls
            assert "rate limit" not in str(caught.value).lower()
            assert "too many requests" not in str(caught.value).lower()
            assert len(caught.value.message) < 500
            assert "<html" not in str(caught.value)
            retried = here.seen(ModelRetried)
            assert [e.attempt for e in retried] == list(range(1, requests))
            assert not here.seen(ModelCalled)
        assert ledger.reserved == Amount()


@pytest.mark.parametrize("answer", [f[1] for f in FAULTS if f[3] == 3], ids=[f[0] for f in FAULTS if f[3] == 3])
async def test_a_passing_fault_is_survived(answer, monkeypatch):
    no_waiting(monkeypatch)
    timeout = 0.3 if answer == Fault("hang") else 20
    with Provider(answer, "all is well") as provider:
        async with world(provider.model, timeout=timeout) as here:
            reply = await here.ask()
            assert (reply.text, reply.attempts) == ("all is well", 2)
            assert [e.attempts for e in here.seen(ModelCalled)] == [2]


@pytest.mark.parametrize("kind", ["cut_stream", "hang_stream"])
async def test_a_broken_stream_starts_again_and_says_so(kind, monkeypatch):
    no_waiting(monkeypatch)
    heard: list[str] = []
    with Provider(Fault(kind), Reply("the whole answer", pieces=["the whole ", "answer"])) as provider:
        async with world(provider.model, timeout=0.3 if kind == "hang_stream" else 20) as here:
            here.run.listen(lambda e: heard.append("VOID") if isinstance(e, ModelRetried) else None)
            reply = await here.ask(on_delta=heard.append)
            assert reply.text == "the whole answer"
            assert heard == ["half ", "of ", "VOID", "the whole ", "answer"]


async def test_a_server_that_is_not_there():
    with Provider() as provider:
        gone = provider.model
    ledger = Ledger("run")
    async with world(gone, ledger, attempts=1) as here:
        with pytest.raises(ModelUnavailableError, match=r"no connection to http://127\.0\.0\.1") as caught:
            await here.ask()
        assert not caught.value.request_sent
        assert "running?" in str(caught.value)
    assert (ledger.calls, ledger.tokens) == (1, 0)


async def test_retry_after_is_honoured_up_to_a_minute(monkeypatch):
    waits = no_waiting(monkeypatch)
    busy = [Fault("status", 429, headers={"retry-after": "7"}), Fault("status", 503, headers={"retry-after-ms": "250"})]
    with Provider(*busy, "done") as provider:
        async with world(provider.model) as here:
            assert (await here.ask()).attempts == 3
            assert waits == [7.0, 0.25]
        provider.script(Fault("status", 429, headers={"retry-after": "61"}))
        async with world(provider.model) as here:
            with pytest.raises(RateLimitedError):
                await here.ask()
        assert len(provider.bodies) == 4


async def test_what_is_booked_for_failures(monkeypatch):
    """A refusal costs a call; an answer that was cut off is booked at its worst; a useless one at what it really took."""
    no_waiting(monkeypatch)
    sized = Reply("", usage={"prompt_tokens": 9, "completion_tokens": 2})
    for answer, tokens in ((Fault("status", 429), 0), (sized, 11), (Fault("cut_body"), 1000)):
        ledger = Ledger("run")
        with Provider(answer) as provider:
            async with world(provider.model, ledger, attempts=1, max_output_tokens=1000) as here:
                with pytest.raises(ModelError):
                    await here.ask()
        assert ledger.calls == 1
        assert ledger.tokens == tokens if tokens < 1000 else ledger.tokens >= 1000


async def test_usage_above_the_reservation_is_said():
    ledger = Ledger("run")
    with Provider(Reply("ok", usage={"prompt_tokens": 90_000, "completion_tokens": 1})) as provider:
        async with world(provider.model, ledger) as here:
            await here.ask()
            assert "over_reserved" in [w.code for w in here.seen(Warned)]
    assert ledger.tokens == 90_001


async def test_missing_usage_is_estimated_and_booked_at_its_most():
    ledger = Ledger("run")
    with Provider(Reply("four words of text", usage=False)) as provider:
        async with world(provider.model, ledger) as here:
            for delta in (None, lambda _: None):
                reply = await here.ask("how many tokens?", at=str(delta), on_delta=delta)
                assert reply.usage.estimated
                assert reply.usage.total_tokens == (16 + 3) // 4 + (18 + 3) // 4
    assert ledger.tokens > 2 * reply.usage.total_tokens


async def test_an_answer_cut_at_the_cap_is_kept_and_said():
    with Provider(Reply("half an ans", finish_reason="length")) as provider:
        async with world(provider.model) as here:
            reply = await here.ask()
            assert (reply.text, reply.finish_reason) == ("half an ans", "length")
            assert [w.code for w in here.seen(Warned)] == ["cut_off", "unpriced"]


async def test_secrets_reach_neither_errors_nor_events_nor_the_journal(monkeypatch):
    no_waiting(monkeypatch)
    secret = "sekrit-0123456789-value"
    echo = Fault("status", 500, error(f"cannot use key {secret} (Bearer {secret})"))
    with Provider(echo) as provider:
        async with world(provider.model, api_key=secret) as here:
            with pytest.raises(ModelError) as caught:
                await here.ask()
            assert provider.requests[0].headers["authorization"] == f"Bearer {secret}"
            assert secret not in str(caught.value)
            assert secret not in repr(here.gateway.profile("default"))
            assert here.seen(ModelRetried)
            assert secret not in repr(here.events)
            await here.run.store.flush()
            assert secret not in json.dumps(here.run.store.events("run"))
            assert secret not in repr(here.run.store.read("select * from effects"))


async def test_a_python_model_that_raises_is_a_typed_error():
    class Broken:
        async def complete(self, request, on_delta=None):
            raise KeyError("oops")

    class Odd:
        async def complete(self, request, on_delta=None):
            return "text"

    for model in (Broken(), Odd()):
        async with world(model, Ledger("run", Limits(calls=1))) as here:
            with pytest.raises(BadRequestError, match=r"python/(Broken failed: KeyError|Odd failed: TypeError)"):
                await here.ask()


async def test_a_local_server_that_reads_only_part_of_the_prompt_is_caught():
    with Provider(Reply("ok", usage={"prompt_tokens": 2048, "completion_tokens": 1})) as provider:
        async with world("ollama/q", base_url=provider.url) as here:
            await here.ask("word " * 8000)
            await here.ask("word " * 800, at="short")
            assert [w.code for w in here.seen(Warned)] == ["prompt_cut"]
