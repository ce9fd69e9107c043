"""A request as Anthropic's Messages API wants it.

See https://platform.claude.com/docs/en/api/messages and, for `cache_control`, .../docs/en/build-with-claude/prompt-caching.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from crewmix.models import structured
from crewmix.models.drivers.replies import clean
from crewmix.models.profile import Profile
from crewmix.models.types import ChatMessage, ModelRequest, ToolCall

Block = dict[str, Any]

CACHED: Block = {"cache_control": {"type": "ephemeral"}}
"""Marks the end of a part of the prompt that the provider keeps for five minutes."""
GO_ON = "Go on."
"""Stands where the API demands a user's message and there is none."""

_NO_ID = re.compile(r"[^a-zA-Z0-9_-]")
_NOT_SUPPORTED = frozenset(
    "minimum maximum exclusiveMinimum exclusiveMaximum multipleOf minLength maxLength minItems maxItems uniqueItems "
    "minProperties maxProperties pattern default examples title $schema $id".split()
)


def body_of(profile: Profile, request: ModelRequest, *, stream: bool) -> Block:
    """The request body.

    A wanted JSON shape goes to the provider as `output_config` if the profile says `json_schema: true` and the shape can be
    said there; else it is in the prompt. It is never asked for by a forced tool call, which the newest models refuse.

    What is the same in the next call of a role is marked for the provider's prompt cache: tools and system prompt, and with
    tools the conversation so far as well, since each result of a tool is sent with all that was said before it.
    """
    shape = _shape(request.schema) if request.schema is not None and profile.json_schema else None
    if request.schema is not None and profile.json_schema and shape is None:
        request = structured.in_prompt(request)
    system = "\n\n".join(clean(m.content) for m in request.messages if m.role == "system" and m.content.strip())
    messages = _messages(request.messages)
    body: Block = {
        "model": profile.provider_model,
        "max_tokens": request.max_output_tokens or profile.output_cap,
        "messages": messages,
    }
    if system:
        body["system"] = [{"type": "text", "text": system, **CACHED}]
    if request.tools:
        body["tools"] = [
            {"name": t.name, "description": t.description, "input_schema": t.parameters} for t in request.tools
        ]
        body["tools"][-1] |= CACHED
        for message in (messages[0], messages[-1]):
            message["content"][-1] |= CACHED
    elif used := dict.fromkeys(call.name for message in request.messages for call in message.tool_calls):
        # Calls within a conversation are only understood when their tools are declared.
        body["tools"] = [{"name": name, "input_schema": {"type": "object"}} for name in used]
        body["tool_choice"] = {"type": "none"}
    if shape is not None:
        body["output_config"] = {"format": {"type": "json_schema", "schema": shape}}
    if stops := [stop for stop in request.stop if stop.strip()]:
        body["stop_sequences"] = stops
    if stream:
        body["stream"] = True
    thinks = "thinking" in profile.params and profile.params["thinking"] != {"type": "disabled"}
    if request.temperature is not None and profile.takes_temperature and not thinks:
        body["temperature"] = min(request.temperature, 1.0)
    return body | _params(profile, request)


def _params(profile: Profile, request: ModelRequest) -> Block:
    """The profile's `params`. A fixed thinking budget is left out after a tool was called: we keep no thoughts to send back."""
    params = dict(profile.params)
    thinking = params.get("thinking")
    called = any(message.tool_calls for message in request.messages)
    if called and isinstance(thinking, Mapping) and "budget_tokens" in thinking:
        del params["thinking"]
    return params


def _messages(messages: tuple[ChatMessage, ...]) -> list[Block]:
    """User and assistant in turns, beginning and ending with the user; results of tools are the user's."""
    turns: list[Block] = []
    for message in messages:
        if message.role == "system" or not (blocks := _blocks(message)):
            continue
        role = "assistant" if message.role == "assistant" else "user"
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += blocks
        else:
            turns.append({"role": role, "content": blocks})
    if not turns or turns[0]["role"] == "assistant":
        turns.insert(0, {"role": "user", "content": [_text(GO_ON)]})
    if turns[-1]["role"] == "assistant":
        turns.append({"role": "user", "content": [_text(GO_ON)]})
    return turns


def _blocks(message: ChatMessage) -> list[Block]:
    content = clean(message.content)
    if message.role == "tool":
        return [{"type": "tool_result", "tool_use_id": _id(message.tool_call_id or ""), "content": content}]
    texts = [_text(content)] if content.strip() else []
    return texts + [
        {"type": "tool_use", "id": _id(call.id), "name": call.name, "input": _arguments(call)}
        for call in message.tool_calls
    ]


def _text(text: str) -> Block:
    return {"type": "text", "text": text}


def _id(call_id: str) -> str:
    """A call's id in the letters that this API allows; another provider may have made it."""
    return _NO_ID.sub("_", call_id) or "_"


def _arguments(call: ToolCall) -> Mapping[str, Any]:
    try:
        found = json.loads(call.arguments)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}  # pyright: ignore[reportUnknownVariableType]


def _shape(schema: Mapping[str, Any]) -> dict[str, Any] | None:
    """A schema in the part of JSON Schema that `output_config` takes, None where it does not fit; we check the rest."""
    strict = structured.strict_schema(schema)
    return _without_limits(strict) if strict is not None else None


def _without_limits(node: Any) -> Any:
    if isinstance(node, list):
        return [_without_limits(item) for item in node]  # pyright: ignore[reportUnknownVariableType]
    if not isinstance(node, dict):
        return node
    return {
        key: {name: _without_limits(part) for name, part in value.items()}  # pyright: ignore
        if key in ("properties", "$defs", "definitions")
        else value
        if key in ("enum", "const", "required")
        else _without_limits(value)
        for key, value in node.items()  # pyright: ignore
        if key not in _NOT_SUPPORTED
    }
