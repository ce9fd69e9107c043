"""A model as it will really be called: address, key, limits, price, and why this one serves."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

from crewmix.definitions.spec import ModelSpec
from crewmix.models.types import Model

DEFAULT_WINDOW = 128_000
DEFAULT_OUTPUT_TOKENS = 4_096
REASONING_OUTPUT_TOKENS = 16_384
"""Reasoning models spend most of their output before the answer begins."""

Protocol = Literal["chat", "messages", "litellm"]
"""How a model on a server is spoken to: Chat Completions, Anthropic's Messages API, or through the `litellm` package."""

_REASONING = ("o1", "o3", "o4", "gpt-5")
_CLAUDE = re.compile(r"(\d+)(?:[-.](\d{1,2})(?!\d))?")
_UNNUMBERED = (99, 0)


@dataclass(frozen=True)
class Profile:
    """One named model of a crew, resolved. Made by `crewmix.models.resolve.resolve`.

    The knobs below `why` are those of `crewmix.definitions.spec.ModelSpec`.
    """

    name: str
    """What the crew calls it: `default`, `cheap` …"""
    model: str
    """The full model string, `provider/model`."""
    provider: str
    provider_model: str
    """The provider's own name for the model."""
    base_url: str | None = None
    """None = no server that crewmix knows of: the offline model, a script, a Python object, or litellm's choice."""
    protocol: Protocol = "chat"
    api_key: str | None = field(default=None, repr=False)
    why: str = ""
    """Why this model serves, in one sentence."""
    local: bool = False
    """Whether calls are known to cost nothing: no server, or one of the user's own."""
    temperature: float | None = None
    max_output_tokens: int | None = None
    declared_window: int | None = None
    timeout: float = 120.0
    attempts: int = 3
    concurrency: int = 64
    rpm: int | None = None
    tpm: int | None = None
    price: tuple[Decimal, ...] | None = None
    fallback: tuple[str, ...] = ()
    deadline: float = 900.0
    tools: bool = True
    json_schema: bool = True
    stream: bool = True
    stream_usage: bool = True
    cache: bool = False
    params: Mapping[str, Any] = field(default_factory=dict[str, Any])
    driver: Model | None = field(default=None, repr=False, compare=False)
    """A model given as a Python object."""

    @property
    def context_window(self) -> int:
        """Tokens the model can read: as declared, else from the price table, else 128,000."""
        if self.declared_window is not None:
            return self.declared_window
        from crewmix.models.prices import known_window

        return known_window(self) or DEFAULT_WINDOW

    @property
    def remote(self) -> bool:
        """Whether another program answers, which may bill what it does not tell."""
        return self.base_url is not None or self.protocol == "litellm"

    @property
    def reasoning(self) -> bool:
        """Whether the model thinks before it answers, unasked: OpenAI's reasoning models, Claude from generation 5 on."""
        if (claude := self._claude) is not None:
            return claude >= (5, 0)
        family = self.provider_model.rpartition("/")[2]
        return family.startswith(_REASONING) and not family.startswith("gpt-5-chat")

    @property
    def takes_temperature(self) -> bool:
        """Whether a `temperature` may be sent; models that think, and Claude from 4.7 on, refuse a request that has one."""
        claude = self._claude
        return not self.reasoning and (claude is None or claude < (4, 7))

    @property
    def _claude(self) -> tuple[int, int] | None:
        """The version of a Claude model, None for others; one whose name has no number is taken for the newest."""
        family = self.provider_model.rpartition("/")[2]
        if not family.startswith("claude"):
            return None
        found = _CLAUDE.search(family)
        return (int(found[1]), int(found[2] or 0)) if found else _UNNUMBERED

    @property
    def output_cap(self) -> int:
        """The most output tokens a call of this model asks for when nobody says how many. Always sent.

        So the worst case that a budget reserves is one the provider keeps to.
        """
        if self.max_output_tokens is not None:
            return self.max_output_tokens
        return REASONING_OUTPUT_TOKENS if self.reasoning else DEFAULT_OUTPUT_TOKENS


def profile_from_spec(name: str, spec: ModelSpec, **resolved: Any) -> Profile:
    """A profile with the knobs of `spec` and what was resolved, e.g. `model`, `provider`, `why`."""
    fields: dict[str, Any] = {
        "temperature": spec.temperature,
        "max_output_tokens": spec.max_output_tokens,
        "declared_window": spec.context_window,
        "timeout": spec.timeout,
        "attempts": spec.attempts,
        "concurrency": spec.concurrency,
        "rpm": spec.rpm,
        "tpm": spec.tpm,
        "price": spec.price,
        "fallback": spec.fallback,
        "deadline": spec.deadline,
        "tools": spec.tools,
        "json_schema": spec.json_schema,
        "stream": spec.stream,
        "stream_usage": spec.stream_usage,
        "cache": spec.cache,
        "params": spec.params,
    }
    return Profile(name=name, **{**fields, **resolved})
