"""What goes to a model and what comes back, the same for every provider."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal, Protocol

FinishReason = Literal["stop", "length", "tool_calls", "content_filter", "unknown"]
Purpose = Literal[
    "plan", "speak", "select", "critique", "synthesize", "judge", "rank", "test", "summarise", "guardrail", "other"
]

OnDelta = Callable[[str], None]
"""Called with each piece of text as it arrives."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A model's wish to call a tool. `arguments` is the JSON text exactly as the model wrote it."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One message of a prompt, in the shape of the Chat Completions API."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    """For role `tool`: the call this answers."""
    name: str | None = None
    """For role `tool`: the tool's name."""


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool as the model sees it. `parameters` is a JSON Schema of type object."""

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Brief:
    """What a prompt was made from, as data.

    Providers never see it; it is no part of a request's identity. The offline model works from it instead of parsing
    prose, and the scripted model chooses its replies by it.
    """

    purpose: Purpose = "other"
    role: str = ""
    """Who speaks: the role's name."""
    goal: str = ""
    task: str = ""
    """The task's id."""
    question: str = ""
    """The task's description, or the goal when there is only one task."""
    drafts: tuple[str, ...] = ()
    """What is to be merged, judged or criticised, in role order."""
    messages: tuple[tuple[str, str], ...] = ()
    """What was said so far: (role name, text)."""
    context: tuple[tuple[str, str], ...] = ()
    """Answers of the tasks this one needs: (task id, text)."""
    candidates: tuple[str, ...] = ()
    """Names to choose from: speakers for `select`, roles for `plan`, whom to pass to for `speak`, the labels under which
    `drafts` are shown for `rank`."""
    ask: str = ""
    """What is to be done in this turn, besides the question."""
    criteria: tuple[str, ...] = ()
    """What to mark by, for `judge`."""
    approves: bool = False
    """Whether this turn must end in a verdict."""
    limit: int = 0
    """The most items wanted, e.g. tasks of a plan; 0 = no limit."""
    round: int = 0


def _plain(record: Any) -> dict[str, Any]:
    """The fields of a flat record; `asdict` would copy everything deeply, ten times as slow."""
    return {name: getattr(record, name) for name in record.__slots__}


def _message(message: ChatMessage) -> dict[str, Any]:
    return {**_plain(message), "tool_calls": [_plain(call) for call in message.tool_calls]}


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """One call of a model.

    `model` names a profile of the crew (`default`, `cheap` …) or is a model string `provider/name`. `schema` asks for JSON of
    that shape. `sample` tells wanted repetitions of an equal request apart.
    """

    model: str
    messages: tuple[ChatMessage, ...]
    tools: tuple[ToolSpec, ...] = ()
    schema: Mapping[str, Any] | None = None
    schema_name: str = "reply"
    temperature: float | None = None
    max_output_tokens: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    sample: int = 0
    brief: Brief = field(default_factory=Brief, compare=False)
    check: Callable[[Any], str | None] | None = field(default=None, compare=False)
    """Says what is wrong with JSON that fits the schema, in words the model can act on; None = nothing."""

    def identity(self) -> dict[str, Any]:
        """Everything that decides the answer, as JSON-able data: the base of journal and cache keys."""
        return {
            "model": self.model,
            "messages": [_message(message) for message in self.messages],
            "tools": [_plain(tool) for tool in self.tools],
            "schema": self.schema,
            "schema_name": self.schema_name,
            "temperature": self.temperature,
            "max_output_tokens": self.max_output_tokens,
            "stop": self.stop,
            "seed": self.seed,
            "sample": self.sample,
        }


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call. `estimated`: the provider did not say, we counted characters / 4."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    """Part of `input_tokens` that the provider read from its prompt cache."""
    reasoning_tokens: int = 0
    """Part of `output_tokens` spent on hidden reasoning."""
    cache_write_tokens: int = 0
    """Part of `input_tokens` that the provider wrote into its prompt cache, which costs more than reading them."""
    estimated: bool = False

    @property
    def total_tokens(self) -> int:
        """Input and output together."""
        return self.input_tokens + self.output_tokens

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cached_tokens + other.cached_tokens,
            self.reasoning_tokens + other.reasoning_tokens,
            self.cache_write_tokens + other.cache_write_tokens,
            self.estimated or other.estimated,
        )


@dataclass(frozen=True, slots=True)
class ModelReply:
    """What a model answered. `data` is the parsed JSON when the request had a schema. `cost` None = price unknown."""

    text: str
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: FinishReason = "stop"
    usage: Usage = Usage()
    model: str = ""
    data: Any = None
    cost: Decimal | None = None
    cached: bool = False
    attempts: int = 1
    seconds: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """The reply as JSON-able data."""
        return {
            **_plain(self),
            "tool_calls": [_plain(call) for call in self.tool_calls],
            "usage": _plain(self.usage),
            "cost": None if self.cost is None else str(self.cost),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ModelReply:
        """The reply that `as_dict` described."""
        fields: dict[str, Any] = dict(data)
        fields["tool_calls"] = tuple(ToolCall(**call) for call in data["tool_calls"])
        fields["usage"] = Usage(**data["usage"])
        fields["cost"] = None if data["cost"] is None else Decimal(data["cost"])
        return cls(**fields)


class Model(Protocol):
    """A provider driver: one attempt at one call, no retries, no accounting."""

    async def complete(self, request: ModelRequest, on_delta: OnDelta | None = None) -> ModelReply:
        """Ask the model once.

        Args:
            request: What to ask; `request.model` is the provider's own model name here.
            on_delta: Receives text as it arrives; None = no streaming wanted.

        Raises:
            ModelError: Of the kind that says whether trying again can help.
        """
        ...
