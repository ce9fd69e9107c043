"""Models behind the `litellm` package, against a loopback provider where it is installed; and what is said where it is not."""

from __future__ import annotations

import importlib.util
import json
from types import SimpleNamespace

import pytest

from crewmix import Crew, Role
from crewmix.definitions.spec import ModelSpec
from crewmix.errors import (
    AuthError,
    BadReplyError,
    ContextTooLongError,
    ModelError,
    ModelSetupError,
    ModelTimeoutError,
    ModelUnavailableError,
    QuotaError,
    RateLimitedError,
    UnknownModelError,
)
from crewmix.models import resolve
from crewmix.models.drivers.litellm import LiteLLMDriver
from crewmix.models.profile import Profile
from crewmix.models.types import ChatMessage, ModelRequest, ToolCall, ToolSpec
from support.model_world import no_waiting, world
from support.provider import Fault, Provider, Reply

SEARCH = ToolSpec("search", "Find.", {"type": "object", "properties": {"q": {"type": "string"}}})
pytestmark = pytest.mark.filterwarnings("ignore")  # litellm's own
KEY = "sk-0123456789abcdef0123456789"
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def behind(**fields):
    return LiteLLMDriver(Profile("default", "litellm/x/m", "litellm", "x/m", protocol="litellm", **fields))


# -- without the package -------------------------------------------------------------------------------------------


async def test_without_the_package_the_run_does_not_start_and_the_hint_installs_it(monkeypatch, tmp_path):
    monkeypatch.setattr(resolve, "find_spec", lambda _: None)
    crew = Crew(
        roles=[Role(name="a", role="A", goal="g")],
        plan="none",
        models={"default": "litellm/bedrock/nova"},
        project=tmp_path,
    )
    with pytest.raises(ModelSetupError, match="litellm/bedrock/nova") as caught:
        await crew.arun("?")
    assert caught.value.exit_code == 2
    assert "pip install 'crewmix[litellm]'" in str(caught.value)


@pytest.fixture
def present(monkeypatch):
    monkeypatch.setattr(
        resolve, "find_spec", lambda name: importlib.util.find_spec("json") if name == "litellm" else None
    )


@pytest.mark.usefixtures("present")
async def test_litellm_finds_keys_and_addresses_itself_unless_the_file_names_them():
    specs = {
        "own": "litellm/vertex_ai/gemini-2.5-flash",
        "at": ModelSpec(model="litellm/openai/m@http://127.0.0.1:1/v1", json_schema=True),
        "keyed": ModelSpec(model="litellm/azure/m", base_url="http://${HOST}/", api_key="${MINE}"),
    }
    found = await resolve.resolve(specs, environ={"OPENAI_API_KEY": KEY, "HOST": "h.example", "MINE": "k3y"})
    own, at, keyed = found.values()
    assert (own.model, own.provider_model) == ("litellm/vertex_ai/gemini-2.5-flash", "vertex_ai/gemini-2.5-flash")
    assert (own.base_url, own.api_key, own.local, own.remote, own.json_schema) == (None, None, False, True, False)
    assert (at.base_url, at.api_key, at.json_schema) == ("http://127.0.0.1:1/v1", None, True)
    assert (keyed.base_url, keyed.api_key) == ("http://h.example", "k3y")


def test_what_litellm_is_called_with():
    request = ModelRequest(
        "x/m", (ChatMessage("user", "?"),), (SEARCH,), CITY, temperature=0.2, max_output_tokens=9, stop=("x",), seed=1
    )
    sent = behind(json_schema=False, params={"top_k": 3}).arguments(request, stream=True)
    assert sent["messages"] == [{"role": "user", "content": "?"}]
    assert sent["tools"][0]["function"]["parameters"] == SEARCH.parameters
    assert (sent["temperature"], sent["max_tokens"], sent["stop"], sent["seed"], sent["top_k"]) == (0.2, 9, ["x"], 1, 3)
    assert sent["stream_options"] == {"include_usage": True} and sent["num_retries"] == sent["max_retries"] == 0
    assert "response_format" not in sent and "api_key" not in sent and "api_base" not in sent
    plain = behind(stream_usage=False, base_url="http://h").arguments(request, stream=True)
    assert plain["response_format"]["type"] == "json_schema" and "stream_options" not in plain
    assert plain["api_key"] == "none", "a key of the environment does not go to an address of a file"


# -- with it -------------------------------------------------------------------------------------------------------


@pytest.fixture
def litellm(monkeypatch):
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    return pytest.importorskip("litellm")


def through(provider, **spec):
    return world("litellm/openai/test-model", base_url=provider.url, **spec)


@pytest.mark.usefixtures("litellm")
async def test_a_crew_works_through_litellm(tmp_path):
    def answer(body):
        return Reply("merged" if "zoe" not in str(body) else "drafted")

    with Provider(answer) as provider:
        spec = ModelSpec(model="litellm/openai/test-model", base_url=provider.url, api_key=KEY, price=(1, 2))
        roles = [Role(name=n, role=f"zoe or {n}", goal="Answer.") for n in ("zoe", "adam")]
        crew = Crew(roles=roles, plan="none", models={"default": spec}, project=tmp_path)
        result = await crew.arun("Why?")
        assert (result.status, result.output) == ("done", "merged")
        assert result.usage.total_tokens == provider.tokens and result.cost == provider.cost(1, 2)
        assert provider.requests[0].headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.usefixtures("litellm")
async def test_text_tools_and_counts_are_read_whole_and_streamed(capfd):
    usage = {
        "prompt_tokens": 50,
        "completion_tokens": 20,
        "total_tokens": 70,
        "prompt_tokens_details": {"cached_tokens": 30},
        "completion_tokens_details": {"reasoning_tokens": 12},
    }
    answer = Reply("let me see", [("search", {"q": "é"})], usage=usage, pieces=["let me", " see"])
    with Provider(answer) as provider:
        async with through(provider) as here:
            heard: list[str] = []
            whole = await here.ask("?", tools=(SEARCH,), at="whole")
            streamed = await here.ask("?", tools=(SEARCH,), at="streamed", on_delta=heard.append)
            at_once = await world_once(provider)
    for reply in (whole, streamed):
        assert (reply.text, reply.finish_reason) == ("let me see", "tool_calls")
        assert [(c.name, json.loads(c.arguments)) for c in reply.tool_calls] == [("search", {"q": "é"})]
        counted = reply.usage
        assert (counted.input_tokens, counted.output_tokens) == (50, 20)
        assert (counted.cached_tokens, counted.reasoning_tokens) == (30, 12)
    assert "".join(heard) == "let me see" and at_once == "let me see"
    assert capfd.readouterr() == ("", "")


async def world_once(provider):
    heard: list[str] = []
    async with through(provider, stream=False) as here:
        await here.ask("?", tools=(SEARCH,), on_delta=heard.append)
    return "".join(heard)


@pytest.mark.usefixtures("litellm")
async def test_a_conversation_with_tools_and_json(capfd):
    with Provider(Reply("found"), Reply('{"city": "Lyon"}')) as provider:
        async with through(provider) as here:
            messages = (
                ChatMessage("user", "look"),
                ChatMessage("assistant", "", tool_calls=(ToolCall("c1", "search", '{"q": "x"}'),)),
                ChatMessage("tool", "result", tool_call_id="c1", name="search"),
            )
            reply = await here.gateway.complete(here.scope, ModelRequest("default", messages, (SEARCH,)))
            assert reply.text == "found"
            assert (await here.ask("?", schema=CITY)).data == {"city": "Lyon"}
        first, second = provider.bodies
        assert [m["role"] for m in first["messages"]] == ["user", "assistant", "tool"]
        assert "JSON Schema" in second["messages"][0]["content"] and "response_format" not in second
    assert capfd.readouterr() == ("", "")


def error(message, code=None, kind=None):
    return {"error": {"message": message, "code": code, "type": kind}}


@pytest.mark.usefixtures("litellm")
@pytest.mark.parametrize(
    ("answer", "kind", "requests"),
    [
        (Fault("status", 429, error("Rate limit reached"), {"retry-after": "7"}), RateLimitedError, 3),
        (Fault("status", 429, error("You exceeded", "insufficient_quota")), QuotaError, 1),
        (Fault("status", 500), ModelUnavailableError, 3),
        (Fault("html"), ModelUnavailableError, 3),
        (Fault("status", 503, error("overloaded")), ModelUnavailableError, 3),
        (Fault("refuse"), ModelUnavailableError, 3),
        (Fault("hang"), ModelTimeoutError, 3),
        (Fault("status", 401, error(f"Incorrect API key provided: {KEY}")), AuthError, 1),
        (Fault("status", 404, error("The model `x` does not exist", "model_not_found")), UnknownModelError, 1),
        (Fault("status", 400, error("too long", "context_length_exceeded")), ContextTooLongError, 1),
        (Reply(""), BadReplyError, 3),
    ],
)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_fault(answer, kind, requests, stream, monkeypatch, capfd):
    waits = no_waiting(monkeypatch)
    with Provider(answer) as provider:
        timeout = 0.5 if kind is ModelTimeoutError else 20
        async with through(provider, timeout=timeout, api_key=KEY) as here:
            with pytest.raises(ModelError) as caught:
                await here.ask(on_delta=(lambda _: None) if stream else None)
        assert type(caught.value) is kind
        assert len(provider.bodies) == requests
    if kind is RateLimitedError:
        assert set(waits) == {7.0}
    assert KEY not in str(caught.value) and "rate limit" not in str(caught.value).lower()
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(("chunks", "status"), [(None, 503), (["half of"], None)], ids=["refused", "within"])
async def test_an_error_within_a_stream_may_have_cost_something(chunks, status, monkeypatch):
    class Unavailable(Exception):
        status_code = 503

    async def stream():
        for text in chunks:
            yield {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]}
        raise Unavailable("overloaded")

    async def acompletion(**_):
        if chunks is None:
            raise Unavailable("overloaded")
        return stream()

    class Never(Exception):
        pass

    stub = SimpleNamespace(acompletion=acompletion, Timeout=Never, APIConnectionError=Never)
    monkeypatch.setattr("crewmix.models.drivers.litellm._load", lambda: stub)
    with pytest.raises(ModelError) as caught:
        await behind().complete(ModelRequest(model="x/m", messages=(ChatMessage("user", "?"),)), lambda _: None)
    assert caught.value.status == status


def half(end=b""):
    chunk = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    chunk["choices"] = [{"index": 0, "delta": {"role": "assistant", "content": "half of"}, "finish_reason": None}]
    body = b"data: " + json.dumps(chunk).encode() + b"\n\n" + end
    head = f"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
    return Fault("raw", body=head.encode() + body)


BROKEN = {
    "cut": Fault("cut_stream"),
    "hangs": Fault("hang_stream"),
    "ends early": half(),
    "error": half(b'data: {"error": {"message": "the backend is overloaded"}}\n\n'),
}


@pytest.mark.usefixtures("litellm")
@pytest.mark.parametrize("answer", BROKEN.values(), ids=BROKEN)
async def test_a_broken_stream_is_no_answer(answer, monkeypatch):
    no_waiting(monkeypatch)
    with Provider(answer, "whole") as provider:
        async with through(provider, timeout=1.0) as here:
            reply = await here.ask(on_delta=lambda _: None)
            assert (reply.text, reply.attempts) == ("whole", 2)
