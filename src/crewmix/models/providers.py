"""The providers crewmix knows by name. All speak the Chat Completions protocol; Anthropic's own is the Messages API."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Provider:
    """Where a provider is and what it expects."""

    base_url: str
    keys: tuple[str, ...] = ()
    """Environment variables that may hold its key; the first that is set counts."""
    default_model: str = ""
    """What serves when only the key is known."""
    prices: str | None = None
    """Its name in the price table."""
    address_variables: tuple[str, ...] = ()
    """Environment variables that may hold another address."""
    json_schema: bool = True
    """Whether it takes `response_format: json_schema`."""
    own: bool = False
    """A server the user runs: no key, no bill."""


PROVIDERS: dict[str, Provider] = {
    "openai": Provider(
        "https://api.openai.com/v1",
        ("OPENAI_API_KEY",),
        "gpt-5-mini",
        "openai",
        ("OPENAI_BASE_URL", "OPENAI_API_BASE"),
    ),
    "anthropic": Provider(
        "https://api.anthropic.com/v1",
        ("ANTHROPIC_API_KEY",),
        "claude-haiku-4-5",
        "anthropic",
        ("ANTHROPIC_BASE_URL",),
        json_schema=False,
    ),
    "gemini": Provider(
        "https://generativelanguage.googleapis.com/v1beta/openai",
        ("GEMINI_API_KEY", "GOOGLE_API_KEY"),
        "gemini-2.5-flash",
        "google",
    ),
    "groq": Provider("https://api.groq.com/openai/v1", ("GROQ_API_KEY",), "llama-3.3-70b-versatile", "groq", (), False),
    "mistral": Provider("https://api.mistral.ai/v1", ("MISTRAL_API_KEY",), "mistral-small-latest", "mistral"),
    "openrouter": Provider("https://openrouter.ai/api/v1", ("OPENROUTER_API_KEY",), "openai/gpt-5-mini", "openrouter"),
    "together": Provider(
        "https://api.together.xyz/v1", ("TOGETHER_API_KEY",), "meta-llama/Llama-3.3-70B-Instruct-Turbo", "together"
    ),
    "deepseek": Provider("https://api.deepseek.com/v1", ("DEEPSEEK_API_KEY",), "deepseek-chat", "deepseek", (), False),
    "xai": Provider("https://api.x.ai/v1", ("XAI_API_KEY",), "grok-4-fast", "x-ai"),
    "cerebras": Provider("https://api.cerebras.ai/v1", ("CEREBRAS_API_KEY",), "llama-3.3-70b", "cerebras"),
    "ollama": Provider("http://127.0.0.1:11434/v1", address_variables=("OLLAMA_HOST", "OLLAMA_BASE_URL"), own=True),
    "llamacpp": Provider("http://127.0.0.1:8080/v1", own=True),
    "vllm": Provider("http://127.0.0.1:8000/v1", own=True),
    "lmstudio": Provider("http://127.0.0.1:1234/v1", own=True),
    "openai_compatible": Provider(""),
}


def is_near(base_url: str) -> bool:
    """Whether an address lies on this machine or in its own network."""
    host = urlsplit(base_url).hostname or ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost" or "." not in host or host.endswith((".localhost", ".local", ".internal", ".lan"))
    return address.is_private or address.is_loopback


def price_table(provider: str, base_url: str | None) -> str | None:
    """The name of a provider in the price table, None where another server answers in its place."""
    known = PROVIDERS.get(provider)
    return known.prices if known and base_url in (None, known.base_url) else None
