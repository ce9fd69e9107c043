"""Anthropic's messages in, `ModelReply` out: whole ones, and those that arrive as events.

See https://platform.claude.com/docs/en/build-with-claude/streaming.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from crewmix.errors import BadReplyError
from crewmix.models.drivers.replies import clean
from crewmix.models.types import FinishReason, ModelReply, ToolCall, Usage

_FINISH: dict[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}

Json = Mapping[str, Any]


@dataclass(slots=True)
class _Block:
    """A piece of an answer: its type, what its start said, and the text that came after."""

    start: Json
    pieces: list[str] = field(default_factory=list[str])


@dataclass(slots=True)
class Message:
    """What is known of an answer so far. Feed it the whole message, or every event of a stream."""

    blocks: dict[int, _Block] = field(default_factory=dict[int, _Block])
    stop: str | None = None
    explanation: str = ""
    counts: dict[str, Any] = field(default_factory=dict[str, Any])
    model: str = ""

    def whole(self, message: Any) -> str:
        """Take in a whole message; returns its text.

        Raises:
            BadReplyError: It is no message.
        """
        try:
            if message["type"] != "message":
                raise KeyError("type")
            self._begin(message)
            self._end(message)
            for place, block in enumerate(message["content"]):
                self.blocks[place] = _Block(block)
            self.stop = self.stop or "end_turn"
            return self._text()
        except (AttributeError, TypeError, KeyError) as error:
            raise BadReplyError("the answer is not a message of the Messages API") from error

    def add(self, event: Any) -> str:
        """Take in an event; returns the text it brought.

        Raises:
            BadReplyError: It is no event of a stream, or speaks of a block that never began.
        """
        try:
            return self._add(event)
        except (AttributeError, TypeError, KeyError, ValueError, OverflowError) as error:
            raise BadReplyError("the answer is not a stream of the Messages API") from error

    def _add(self, event: Json) -> str:
        match event["type"]:
            case "message_start":
                self._begin(event["message"])
            case "content_block_start":
                block: Json = event["content_block"]
                self.blocks[int(event["index"])] = _Block(block)
                return str(block.get("text") or "") if block["type"] == "text" else ""
            case "content_block_delta":
                return self._add_piece(self.blocks[int(event["index"])], event["delta"])
            case "message_delta":
                self._end(event["delta"])
                self._count(event.get("usage"))
            case "message_stop":
                self.stop = self.stop or "end_turn"
            case _:  # pings, ends of blocks, and what is invented later
                pass
        return ""

    def _begin(self, message: Json) -> None:
        self.model = str(message.get("model") or "")
        self._count(message.get("usage"))

    def _end(self, ending: Json) -> None:
        self.stop = str(ending.get("stop_reason") or self.stop or "") or None
        if isinstance(details := ending.get("stop_details"), Mapping):
            self.explanation = str(cast(Json, details).get("explanation") or "")

    def _add_piece(self, block: _Block, delta: Json) -> str:
        piece = delta.get("text") if delta["type"] == "text_delta" else delta.get("partial_json")
        if not isinstance(piece, str):  # a thought, its signature, or a citation
            return ""
        block.pieces.append(piece)
        return piece if delta["type"] == "text_delta" else ""

    def _count(self, usage: Any) -> None:
        if isinstance(usage, Mapping):
            self.counts |= {name: value for name, value in cast(Json, usage).items() if value is not None}

    def _text(self) -> str:
        return "".join(
            str(block.start.get("text") or "") + "".join(block.pieces)
            for _, block in sorted(self.blocks.items())
            if block.start.get("type") == "text"
        )

    def reply(self) -> ModelReply:
        """The whole answer; `usage.estimated` with 0 tokens when the provider did not say.

        Raises:
            BadReplyError: The provider paused the turn, so the answer is not whole.
        """
        if self.stop == "pause_turn":
            raise BadReplyError("the provider broke the answer off (stop_reason 'pause_turn')")
        finish = _FINISH.get(self.stop or "", "unknown")
        calls = tuple(
            ToolCall(
                str(block.start.get("id") or f"call_{place}"), str(block.start.get("name") or ""), _arguments(block)
            )
            for place, block in sorted(self.blocks.items())
            if block.start.get("type") == "tool_use"
        )
        refused = finish == "content_filter"
        return ModelReply(
            text=clean(self.explanation if refused and self.explanation else self._text()),
            tool_calls=() if refused else calls,
            finish_reason=finish,
            usage=read_usage(self.counts),
            model=self.model,
        )


def _arguments(block: _Block) -> str:
    """The arguments of a tool call: what was streamed, else what its start said."""
    return clean("".join(block.pieces) or json.dumps(block.start.get("input") or {}, ensure_ascii=False))


def read_usage(counts: Json) -> Usage:
    """Token counts of a `usage` object. Anthropic counts what it caches apart; here all of it is input."""
    cached, written = _number(counts, "cache_read_input_tokens"), _number(counts, "cache_creation_input_tokens")
    read, output = _number(counts, "input_tokens") + cached + written, _number(counts, "output_tokens")
    details = counts.get("output_tokens_details")
    thought = _number(cast(Json, details), "thinking_tokens") if isinstance(details, Mapping) else 0
    return Usage(read, output, cached, min(thought, output), written, estimated=(read, output) == (0, 0))


def _number(counts: Json, name: str) -> int:
    value = counts.get(name)
    return int(value) if isinstance(value, int | float) and 0 <= value < 10**12 else 0
