"""Counting tokens without a tokenizer: a usual size for reports, an upper bound for budgets.

A real tokenizer would have to be downloaded, and every provider has its own. English prose is about 4 characters a token.
The bound counts kinds of characters, each at the worst that byte-pair tokenizers of common models make of it: a digit, a
capital or a sign is at most a token of its own, lower-case letters at least 2.5 to a token, blanks merge with what follows,
and everything outside ASCII is at most one token a byte. That is 1.5-2 times the truth for English and enough for code,
numbers, base64 and any script.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from crewmix.models.types import ModelReply, ModelRequest

_LOWER = bytes(range(ord("a"), ord("z") + 1))
_BLANK = b" "
PER_MESSAGE = 8
"""Tokens that the wrapping of a message costs, at most."""
PER_REQUEST = 64
PER_TOOLSET = 600
"""Tokens that a provider's own words about tools cost, at most; Anthropic's are 346 to 530."""


def usual(text: str) -> int:
    """About how many tokens `text` has: characters / 4."""
    return (len(text) + 3) // 4


def at_most(text: str) -> int:
    """How many tokens `text` can have with the tokenizers in use today."""
    data = text.encode("utf-8", "replace")
    not_lower = len(data.translate(None, _LOWER))
    neither = len(data.translate(None, _LOWER + _BLANK))
    lower, blanks = len(data) - not_lower, not_lower - neither
    return neither + math.ceil(lower / 2.5) + math.ceil(blanks / 8)


def _texts(request: ModelRequest, schema: Mapping[str, Any] | None) -> list[str]:
    texts = [message.content for message in request.messages]
    texts += [call.name + call.arguments for message in request.messages for call in message.tool_calls]
    texts += [tool.name + tool.description + json.dumps(tool.parameters) for tool in request.tools]
    return [*texts, json.dumps(schema)] if schema is not None else texts


def usual_input(request: ModelRequest) -> int:
    """About how many input tokens a request has."""
    return sum(map(usual, _texts(request, request.schema)))


def most_input(request: ModelRequest) -> int:
    """How many input tokens a request can have."""
    texts = _texts(request, request.schema)
    wrapping = PER_MESSAGE * (len(request.messages) + len(request.tools)) + PER_REQUEST
    return sum(map(at_most, texts)) + wrapping + (PER_TOOLSET if request.tools else 0)


def usual_output(reply: ModelReply) -> int:
    """About how many output tokens a reply has."""
    return usual(reply.text) + sum(usual(call.name + call.arguments) for call in reply.tool_calls)


def most_output(reply: ModelReply) -> int:
    """How many output tokens a reply can have, hidden reasoning apart."""
    return at_most(reply.text) + sum(at_most(call.name + call.arguments) for call in reply.tool_calls) + PER_MESSAGE
