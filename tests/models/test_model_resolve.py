"""Which model serves: the order, the reasons, and what is said when it cannot work."""

from __future__ import annotations

import pytest

from crewmix.definitions.spec import ModelSpec
from crewmix.errors import DefinitionError, ModelSetupError
from crewmix.models import resolve as module
from crewmix.models.providers import PROVIDERS
from crewmix.models.providers import Provider as Known
from crewmix.models.resolve import resolve, split_model
from support.provider import Fault, Provider

KEY = "k-0123456789"


async def one(spec: str | ModelSpec, environ: dict[str, str] | None = None, **options):
    return (await resolve({"default": spec}, environ=environ or {}, **options))["default"]


@pytest.fixture
def machine(monkeypatch):
    """A machine whose local servers are where the test says; none answers at first."""
    known = dict(PROVIDERS)
    monkeypatch.setattr(module, "PROVIDERS", known)

    def place(name: str, url: str) -> None:
        known[name] = Known(url, address_variables=known[name].address_variables, own=True)

    for name in module.LOCAL:
        place(name, "http://127.0.0.1:1/v1")
    return place


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("openai/gpt-5-mini", ("openai", "gpt-5-mini", None)),
        ("openai:gpt-5-mini", ("openai", "gpt-5-mini", None)),
        ("OpenAI/gpt-5-mini", ("openai", "gpt-5-mini", None)),
        ("ollama/qwen3:8b", ("ollama", "qwen3:8b", None)),
        ("ollama:qwen3:8b", ("ollama", "qwen3:8b", None)),
        ("openrouter/anthropic/claude-x:free", ("openrouter", "anthropic/claude-x:free", None)),
        ("openai_compatible/m@http://h:1/v1", ("openai_compatible", "m", "http://h:1/v1")),
        ("openai_compatible:a/b@https://h/v1", ("openai_compatible", "a/b", "https://h/v1")),
        ("vllm/m@httpx", ("vllm", "m@httpx", None)),
        ("scripted/a/b.yaml", ("scripted", "a/b.yaml", None)),
    ],
)
def test_model_strings(text, parts):
    assert split_model(text) == parts


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("gpt-5-mini", "no model string", "openai/gpt-5-mini"),
        ("qwen3", "no model string", "ollama/qwen3"),
        ("", "no model string", "provider/model"),
        ("openai/", "no model string", "provider/model"),
        ("/x", "no model string", "provider/model"),
        ("opnai/gpt-5", "unknown model provider 'opnai'", "did you mean `openai`?"),
        ("zzz/x", "unknown model provider 'zzz'", "known: "),
    ],
)
async def test_wrong_model_strings(text, message, hint):
    with pytest.raises(ModelSetupError, match="model `default`: ") as caught:
        await one(text)
    assert message in caught.value.message
    assert hint in (caught.value.hint or "")


async def test_all_wrong_models_are_told_at_once():
    with pytest.raises(ModelSetupError) as caught:
        await resolve({"default": "opnai/x", "cheap": "openai/x", "good": "offline/extractive"}, environ={})
    assert "model `default`" in str(caught.value)
    assert "model `cheap`: OPENAI_API_KEY is not set" in str(caught.value)


AUTO = [  # what the environment holds, what answers on the machine, what serves, why
    ({}, False, "offline/extractive", "no language model"),
    ({}, True, "lmstudio/qwen", "a server answers at"),
    ({"OPENAI_API_KEY": KEY}, False, "openai/gpt-5-mini", "OPENAI_API_KEY is set"),
    ({"OPENAI_API_KEY": KEY}, True, "openai/gpt-5-mini", "OPENAI_API_KEY is set"),
    ({"OPENAI_API_KEY": KEY, "OPENAI_MODEL": "gpt-9"}, False, "openai/gpt-9", "OPENAI_API_KEY is set"),
    ({"OPENAI_API_KEY": " "}, False, "offline/extractive", "no language model"),
    ({"ANTHROPIC_API_KEY": KEY}, False, "anthropic/claude-haiku-4-5", "ANTHROPIC_API_KEY is set"),
    ({"GOOGLE_API_KEY": KEY}, False, "gemini/gemini-2.5-flash", "GOOGLE_API_KEY is set"),
    ({"GROQ_API_KEY": KEY, "OPENAI_API_KEY": KEY}, False, "openai/gpt-5-mini", "OPENAI_API_KEY is set"),
    ({"CREWMIX_MODEL": "groq/x", "GROQ_API_KEY": KEY, "OPENAI_API_KEY": KEY}, True, "groq/x", "CREWMIX_MODEL says so"),
    ({"CREWMIX_MODEL": "auto"}, False, "offline/extractive", "no language model"),
    ({"CREWMIX_MODEL": "offline/extractive", "OPENAI_API_KEY": KEY}, True, "offline/extractive", "CREWMIX_MODEL"),
    (
        {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": "https://proxy.example.com/v1", "OPENAI_MODEL": "m"},
        False,
        "openai/m",
        "OPENAI_BASE_URL is set",
    ),
    ({"OLLAMA_HOST": "127.0.0.1:9", "OLLAMA_MODEL": "q", "OPENAI_API_KEY": KEY}, False, "ollama/q", "OLLAMA_MODEL"),
]


@pytest.mark.parametrize(("environ", "server", "model", "why"), AUTO)
async def test_auto(environ, server, model, why, machine):
    with Provider(models=["nomic-embed-text", "qwen", "llama"]) as provider:
        if server:
            machine("lmstudio", provider.url)
        profile = await one("auto", environ)
        assert (profile.model, why in profile.why) == (model, True)
        asked = bool(provider.requests)
        assert asked == (model == "lmstudio/qwen"), "only the last resort looks at the machine"


async def test_auto_without_probing_touches_nothing(machine):
    with Provider() as provider:
        machine("ollama", provider.url)
        assert (await one("auto", probe=False)).model == "offline/extractive"
        assert provider.requests == []


async def test_ollama_first_when_several_answer(machine):
    with Provider(models=["a"]) as first, Provider(models=["b"]) as second:
        machine("vllm", first.url)
        machine("ollama", second.url)
        assert (await one("auto")).model == "ollama/b"


@pytest.mark.parametrize("kind", ["hang", "web page", "garbage", "closed"])
async def test_whatever_listens_there_does_no_harm(kind, machine):
    answers = {
        "web page": b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\n\r\n<html>hello</html>",
        "garbage": b"\x00\x01\x02\r\n\r\n",
        "closed": b"",
    }
    with Provider() as provider:
        real = provider._exchange

        async def exchange(seen, reader, writer):
            if kind == "hang":
                return await real(type(seen)("POST", "/v1/chat/completions", {}, {"messages": [{}]}), reader, writer)
            writer.write(answers[kind])
            return False

        provider._exchange = exchange
        provider.script(Fault("hang"))
        machine("ollama", provider.url)
        assert (await one("auto")).model == "offline/extractive"


async def test_a_local_choice_that_is_down_is_never_replaced_by_a_paid_one(machine):
    environ = {"OLLAMA_HOST": "127.0.0.1:1", "OPENAI_API_KEY": KEY}
    with pytest.raises(ModelSetupError, match=r"OLLAMA_HOST is set, but the server at .* does not"):
        await one("auto", environ)
    with Provider(models=["nomic-embed-text"]) as provider:
        with pytest.raises(ModelSetupError, match="has no model"):
            await one("auto", {**environ, "OLLAMA_HOST": f"127.0.0.1:{provider.port}"})
    with Provider(models=["qwen3"]) as provider:
        profile = await one("auto", {**environ, "OLLAMA_HOST": f"0.0.0.0:{provider.port}"})
        assert (profile.model, profile.base_url) == ("ollama/qwen3", provider.url)
        assert profile.api_key is None
        assert profile.local


async def test_openai_base_url_on_this_machine_needs_no_key(machine):
    with Provider(models=["phi"]) as provider:
        profile = await one("auto", {"OPENAI_BASE_URL": provider.url})
        assert (profile.model, profile.base_url, profile.api_key) == ("openai/phi", provider.url, None)
        assert not profile.local, "what answers behind an address on this machine may still cost money"
    with pytest.raises(ModelSetupError, match=r"OPENAI_BASE_URL is .*, but no model is named"):
        await one("auto", {"OPENAI_BASE_URL": "https://x.example/v1", "OPENAI_API_KEY": KEY})


@pytest.mark.parametrize(
    ("host", "url"),
    [
        (None, "http://127.0.0.1:11434/v1"),
        ("box", "http://box:11434/v1"),
        ("box:9", "http://box:9/v1"),
        ("http://box:9/", "http://box:9/v1"),
        ("http://box:9/v1", "http://box:9/v1"),
        ("https://ollama.example.com", "https://ollama.example.com/v1"),
        ("0.0.0.0", "http://127.0.0.1:11434/v1"),
        ("[::]:9", "http://[::1]:9/v1"),
    ],
)
async def test_ollamas_address(host, url):
    profile = await one("ollama/q", {"OLLAMA_HOST": host} if host else {})
    assert profile.base_url == url
    assert profile.local == ("example.com" not in url)


async def test_a_named_model_is_never_probed(machine):
    with Provider() as provider:
        machine("ollama", provider.url)
        assert (await one("ollama/q")).base_url == provider.url
        assert provider.requests == []


@pytest.mark.parametrize("name", [n for n, p in PROVIDERS.items() if p.keys])
async def test_a_missing_key_is_named(name):
    with pytest.raises(ModelSetupError) as caught:
        await one(f"{name}/m")
    variable = PROVIDERS[name].keys[0]
    assert variable in caught.value.message
    assert f"export {variable}=" in (caught.value.hint or "")
    profile = await one(f"{name}/m", {variable: f" {KEY}\n"})
    assert (profile.api_key, profile.base_url) == (KEY, PROVIDERS[name].base_url)
    assert KEY not in repr(profile)
    assert not profile.local


async def test_keys_and_addresses_from_variables():
    spec = ModelSpec(model="openai_compatible/m", base_url="${BASE}/v1", api_key="${SECRET}", price=(1, 2), rpm=3)
    profile = await one(spec, {"BASE": "http://h:1", "SECRET": KEY})
    assert (profile.base_url, profile.api_key, profile.price, profile.rpm) == ("http://h:1/v1", KEY, (1, 2), 3)
    with pytest.raises(ModelSetupError, match="`SECRET` is not set"):
        await one(spec, {"BASE": "http://h:1"})


async def test_a_providers_key_goes_to_no_address_from_a_file():
    spec = ModelSpec(model="openai/m", base_url="https://evil.example/v1")
    assert (await one(spec, {"OPENAI_API_KEY": KEY})).api_key is None


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ("ftp://h/v1", "no http address"),
        ("http://", "no http address"),
        ("http://h:notaport/v1", "not valid"),
        ("http://user:hunter22@h/v1", "holds a password"),
        ("http://h/v1?key=abc", "must end before"),
        ("http://a b/v1", "no http address"),
    ],
)
async def test_bad_addresses(address, problem):
    with pytest.raises(ModelSetupError, match=problem) as caught:
        await one(ModelSpec(model="openai_compatible/m", base_url=address))
    assert "hunter22" not in str(caught.value)


async def test_bad_keys_and_missing_addresses():
    with pytest.raises(ModelSetupError, match="needs an address"):
        await one("openai_compatible/m")
    with pytest.raises(ModelSetupError, match="characters that no key has") as caught:
        await one("openai/m", {"OPENAI_API_KEY": "abc\r\nx-evil: 1"})
    assert "evil" not in str(caught.value)
    with pytest.raises(ModelSetupError, match="there is no `offline/big`"):
        await one("offline/big")


async def test_a_script_with_mistakes_says_where(tmp_path):
    (tmp_path / "s.yaml").write_text("rules:\n  - rol: critic\n    text: ok\n  - text: a\n    json: 1\n")
    with pytest.raises(DefinitionError) as caught:
        await one("scripted/s.yaml", folder=tmp_path)
    assert "s.yaml:2:5" in str(caught.value)
    assert "did you mean `role`?" in str(caught.value)
    assert "one answer" in str(caught.value)
    with pytest.raises(DefinitionError, match=r"nothing\.yaml"):
        await one("scripted/nothing.yaml", folder=tmp_path)


async def test_capabilities_of_a_provider_give_way_to_what_the_file_says():
    environ = {"GROQ_API_KEY": KEY}
    assert not (await one("groq/m", environ)).json_schema
    assert (await one(ModelSpec(model="groq/m", json_schema=True), environ)).json_schema
    assert not (await one(ModelSpec(model="vllm/m", json_schema=False))).json_schema
