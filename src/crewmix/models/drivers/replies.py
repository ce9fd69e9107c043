"""Chat Completions bodies in, `ModelReply` out: whole ones, and those that arrive in pieces."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from crewmix.errors import BadReplyError
from crewmix.models.tokens import at_most
from crewmix.models.types import FinishReason, ModelReply, ModelRequest, ToolCall, Usage

_FINISH: dict[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}
_BROKEN_OFF = {"error", "abort"}
"""Finish reasons of OpenRouter and vLLM for an answer that is not complete."""
_THOUGHT = re.compile(r"\A(\s*<think>.*?</think>|((?!<think>).)*?\n</think>(?=\s*\n))\s*", re.DOTALL)
"""What a model thought before it answered; some chat templates keep the opening tag to themselves."""

Json = Mapping[str, Any]


@dataclass(slots=True)
class Answer:
    """What is known of an answer so far. Feed it the body's choice, or every chunk of a stream."""

    text: list[str] = field(default_factory=list[str])
    refusal: list[str] = field(default_factory=list[str])
    thought: list[str] = field(default_factory=list[str])
    """What the model thought aloud before it answered, where the provider shows it."""
    calls: list[list[str]] = field(default_factory=list[list[str]])
    """Id, name and arguments of each tool call."""
    places: dict[int, int] = field(default_factory=dict[int, int])
    finish: str | None = None
    usage: Usage | None = None
    model: str = ""

    def add(self, body: Any) -> str:
        """Take in a body or chunk; returns the text it brought.

        Raises:
            BadReplyError: It is no Chat Completions object.
        """
        try:
            return self._add(body)
        except (AttributeError, TypeError, KeyError, IndexError, ValueError) as error:
            raise BadReplyError("the answer is not a Chat Completions object") from error

    def _add(self, body: Json) -> str:
        self.model = str(body.get("model") or self.model)
        if isinstance(body.get("usage"), Mapping):
            self.usage = read_usage(body["usage"])
        text = ""
        for choice in body.get("choices") or ():
            if isinstance(number := choice.get("index"), int) and number > 0:
                continue  # a further answer, asked for with `params: {n: …}`
            self.finish = finish if isinstance(finish := choice.get("finish_reason"), str) and finish else self.finish
            part: Json = choice.get("message") or choice.get("delta") or {}
            text += _text(part.get("content"))
            self.refusal.append(_text(part.get("refusal")))
            self.thought.append(_text(part.get("reasoning_content") or part.get("reasoning")))
            for call in part.get("tool_calls") or ():
                self._add_call(call, whole="message" in choice)
        self.text.append(text)
        return text

    def _add_call(self, call: Json, *, whole: bool) -> None:
        slot = self.calls[self._place(call, whole)]
        function: Json = call.get("function") or {}
        slot[0] = str(call.get("id") or slot[0])
        slot[1] = slot[1] or _text(function.get("name"))
        arguments = function.get("arguments") or ""
        slot[2] += arguments if isinstance(arguments, str) else json.dumps(arguments)

    def _place(self, call: Json, whole: bool) -> int:
        """Which call a fragment belongs to. Some servers number none, some number all of them 0: then ids tell, or names."""
        call_id, number = str(call.get("id") or ""), call.get("index")
        place = self.places.get(number) if isinstance(number, int) else None
        if place is None and not isinstance(number, int) and not whole:
            same = [n for n, slot in enumerate(self.calls) if call_id in ("", slot[0])]
            place = same[-1] if same else None
        if place is None or self._is_another(call, call_id, self.calls[place]):
            place = len(self.calls)
            self.calls.append(["", "", ""])
        if isinstance(number, int):
            self.places[number] = place
        return place

    @staticmethod
    def _is_another(call: Json, call_id: str, slot: Sequence[str]) -> bool:
        """Whether a fragment begins a call of its own, although it carries the number of the call in `slot`, or none."""
        if call_id and slot[0]:
            return call_id != slot[0]
        function: Json = call.get("function") or {}
        return bool(function.get("name")) and _complete(slot[2])

    def reply(self) -> ModelReply:
        """The whole answer.

        Where the provider does not say what it took, `usage` is estimated and holds nothing but the most tokens that the
        thoughts it showed can have.

        Raises:
            BadReplyError: The provider says that it is not whole.
        """
        if self.finish in _BROKEN_OFF:
            raise BadReplyError(f"the provider broke the answer off (finish_reason {self.finish!r})")
        text, refusal = clean("".join(self.text)), clean("".join(self.refusal))
        calls = tuple(
            ToolCall(call_id or f"call_{place}", name, clean(arguments) or "{}")
            for place, (call_id, name, arguments) in enumerate(self.calls)
        )
        finish = _FINISH.get(self.finish or "", "unknown")
        said = _THOUGHT.sub("", text) if "</think>" in text else text
        thought = at_most("".join(self.thought) + text[: len(text) - len(said)])
        return ModelReply(
            text=said or ("" if text else refusal),
            tool_calls=calls,
            finish_reason="content_filter"
            if refusal and not text
            else "tool_calls"
            if calls and finish != "length"
            else finish,
            usage=self.usage or Usage(reasoning_tokens=thought, estimated=True),
            model=self.model,
        )


def _complete(arguments: str) -> bool:
    try:
        return isinstance(json.loads(arguments), dict)
    except (ValueError, RecursionError):
        return False


def clean(text: str) -> str:
    """`text` without lone surrogates, which JSON can carry but no file or database takes."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _text(content: Any) -> str:
    if isinstance(content, list):
        parts = (cast(Json, p) for p in cast(list[Any], content) if isinstance(p, Mapping))
        return "".join(str(p.get("text") or "") for p in parts if p.get("type") in ("text", "output_text"))
    return content if isinstance(content, str) else ""


def read_usage(usage: Json) -> Usage:
    """Token counts of a `usage` object; absent or senseless numbers are 0."""
    prompt_details, output_details = usage.get("prompt_tokens_details"), usage.get("completion_tokens_details")
    cached = _count(prompt_details, "cached_tokens") or _count(usage, "prompt_cache_hit_tokens")
    read = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
    return Usage(*read, min(cached, read[0]), _count(output_details, "reasoning_tokens"), estimated=read == (0, 0))


def _count(fields: Any, name: str) -> int:
    value = cast(Json, fields).get(name) if isinstance(fields, Mapping) else None
    return int(value) if isinstance(value, int | float) and 0 <= value < 10**12 else 0


def json_body(raw: bytes) -> Any:
    """The JSON in a response.

    Raises:
        BadReplyError: It is not JSON.
    """
    try:
        return json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise BadReplyError("the answer is not JSON") from error


def messages_of(request: ModelRequest) -> list[dict[str, Any]]:
    """The messages of a request, as Chat Completions wants them."""
    messages: list[dict[str, Any]] = []
    for message in request.messages:
        data: dict[str, Any] = {"role": message.role, "content": clean(message.content)}
        if message.tool_calls:
            data["content"] = data["content"] or None
            data["tool_calls"] = [
                {"id": c.id, "type": "function", "function": {"name": c.name, "arguments": c.arguments}}
                for c in message.tool_calls
            ]
        if message.tool_call_id is not None:
            data["tool_call_id"] = message.tool_call_id
        messages.append(data)
    return messages
