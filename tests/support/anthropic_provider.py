"""A real server on loopback that speaks Anthropic's Messages API, with its prompt cache and its faults.

```python
with AnthropicProvider() as provider:  # answers "ok: <last user text>"
    ...  # use base_url=provider.url

with AnthropicProvider(Broken("status", 529), Said("fine now")) as provider:
    ...  # in this order, the last one stays
with AnthropicProvider(lambda body: Said("…")) as provider:
    ...  # a function of the request body
```

It refuses what the real one refuses: no `max_tokens`, no user message first, empty texts, results of calls nobody made.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal

from aiohttp import web

PER_TOKEN = 4
"""Characters."""


@dataclass(frozen=True)
class Said:
    """A good answer."""

    text: str = ""
    tool_calls: Sequence[tuple[str, Mapping[str, Any]]] = ()
    stop_reason: str | None = None
    thought: str = ""
    pieces: Sequence[str] = ()
    """How the text is cut when streamed."""
    usage: bool = True
    details: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Broken:
    """A bad answer."""

    kind: Literal[
        "status",  # an error with `status`, `body` and `headers`
        "reset",  # the connection ends without a byte
        "hang",  # nothing until the client goes away
        "hang_stream",  # the beginning of a stream, then nothing
        "error_event",  # the beginning of a stream, then an `error` event with `body`
        "raw",  # 200 with exactly `body`, of `headers["content-type"]`; the connection ends short of its declared length if `cut`
    ]
    status: int = 500
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: bool = False


Answer = Said | Broken
Handler = Callable[[dict[str, Any]], Answer]


def refusal(status: int, kind: str, message: str, **headers: str) -> Broken:
    """An error as Anthropic words it."""
    body = {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}
    return Broken("status", status, body, {k.replace("_", "-"): v for k, v in headers.items()})


class AnthropicProvider:
    """The server; it listens between `__enter__` and `__exit__`, on a thread of its own.

    Args:
        answers: What to answer, in order, the last one for ever; or one function of the body.
        least: The fewest tokens of a prompt that are worth caching.
    """

    def __init__(self, *answers: Answer | Handler, least: int = 20) -> None:
        self.least = least
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.usages: list[dict[str, int]] = []
        """What it billed, answer by answer."""
        self.disconnects = 0
        self.connections: set[Any] = set()
        self._answers = list(answers)
        self._cache: set[str] = set()
        self._changed = threading.Condition()

    def __enter__(self) -> AnthropicProvider:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="anthropic-provider", daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result()
        return self

    async def _start(self) -> None:
        app = web.Application(client_max_size=2**26)
        app.router.add_post("/v1/messages", self._serve)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port: int = self._runner.addresses[0][1]

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def url(self) -> str:
        """The base address."""
        return f"http://127.0.0.1:{self.port}"

    async def until(self, condition: Callable[[AnthropicProvider], bool], timeout: float = 10.0) -> None:
        """Wait until `condition(self)` holds."""

        def wait() -> None:
            with self._changed:
                if not self._changed.wait_for(lambda: condition(self), timeout):
                    raise TimeoutError("the provider did not get there")

        await asyncio.to_thread(wait)

    # -- answering -------------------------------------------------------------------------------------------------

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        body = json.loads(await request.read())
        with self._changed:
            self.bodies.append(body)
            self.headers.append({k.lower(): v for k, v in request.headers.items()})
            self.connections.add(request.transport)
            self._changed.notify_all()
        wrong = what_is_wrong(body)
        answer = refusal(400, "invalid_request_error", wrong) if wrong else self._next(body)
        try:
            if isinstance(answer, Broken):
                return await self._misbehave(request, answer, body)
            usage = self._bill(body, answer)
            if body.get("stream"):
                return await _stream(request, events(answer, usage))
            return web.json_response(message(answer, usage))
        except (asyncio.CancelledError, ConnectionError):
            with self._changed:
                self.disconnects += 1
                self._changed.notify_all()
            raise

    def _next(self, body: dict[str, Any]) -> Answer:
        if not self._answers:
            return Said(f"ok: {last_text(body)}")
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        return answer(body) if callable(answer) else answer

    def _bill(self, body: dict[str, Any], answer: Said) -> dict[str, int]:
        """Tokens as Anthropic counts them: what is read from and written to the cache is no part of `input_tokens`."""
        prefixes = list(_prefixes(body))
        total = prefixes[-1][0] // PER_TOKEN + 1
        marked = [
            (size // PER_TOKEN, text) for size, text, mark in prefixes if mark and size // PER_TOKEN >= self.least
        ]
        read = max((size for size, text in marked if text in self._cache), default=0)
        cached = max((size for size, _ in marked), default=0)
        self._cache |= {text for _, text in marked}
        said = len(answer.text) + len(answer.thought) + sum(len(json.dumps(a)) for _, a in answer.tool_calls)
        usage = {
            "input_tokens": total - cached,
            "cache_read_input_tokens": read,
            "cache_creation_input_tokens": cached - read,
            "output_tokens": said // PER_TOKEN + 1,
        }
        self.usages.append(usage)
        return usage

    async def _misbehave(self, request: web.Request, broken: Broken, body: dict[str, Any]) -> web.StreamResponse:
        assert request.transport
        match broken.kind:
            case "status":
                content = broken.body if isinstance(broken.body, bytes) else json.dumps(broken.body).encode()
                return web.Response(status=broken.status, body=content, headers=broken.headers)
            case "reset":
                request.transport.abort()
                return web.Response()
            case "hang":
                await asyncio.Event().wait()
            case "raw":
                response = web.StreamResponse(headers=broken.headers)
                response.content_length = len(broken.body) + broken.cut
                await response.prepare(request)
                await response.write(broken.body)
                if broken.cut:
                    request.transport.close()
                return response
        half = events(
            Said("half of an answer", pieces=("half ", "of an answer")), {"input_tokens": 1, "output_tokens": 1}
        )
        last = [event("error", broken.body)] if broken.kind == "error_event" else []
        response = await _stream(request, [*half[:4], *last], end=False)
        if broken.kind == "hang_stream":
            await asyncio.Event().wait()
        return response


def what_is_wrong(body: Mapping[str, Any]) -> str:
    """Why the real API would refuse a body with status 400; empty = it would not."""
    if not isinstance(body.get("max_tokens"), int) or body["max_tokens"] < 1:
        return "max_tokens: Field required"
    messages, calls = body.get("messages") or [], set()
    if not messages or messages[0]["role"] != "user" or messages[-1]["role"] != "user":
        return "messages: first and last message must use the user role"
    marks = 0
    for block in [*body.get("system", ()), *body.get("tools", ()), *(b for m in messages for b in m["content"])]:
        marks += "cache_control" in block
        if block.get("type") == "text" and not block["text"].strip():
            return "messages: text content blocks must be non-empty"
        if block.get("type") == "tool_use":
            calls.add(block["id"])
        if block.get("type") == "tool_result" and block["tool_use_id"] not in calls:
            return f"unexpected `tool_use_id` found in `tool_result` blocks: {block['tool_use_id']}"
    roles = [m["role"] for m in messages]
    if any(a == b for a, b in pairwise(roles)):
        return "messages: roles must alternate"
    if calls and not body.get("tools"):
        return "Requests which include `tool_use` or `tool_result` blocks must define tools"
    if not 0 <= body.get("temperature", 0) <= 1:
        return "temperature: Input should be less than or equal to 1"
    return "A maximum of 4 blocks with cache_control may be provided" if marks > 4 else ""


def _prefixes(body: Mapping[str, Any]):
    """After each block: the characters so far, all of them, and whether the block is marked for the cache."""
    blocks = [*body.get("tools", ()), *body.get("system", ())]
    blocks += [{**block, "role": m["role"]} for m in body["messages"] for block in m["content"]]
    text = body["model"]
    for block in blocks:
        text += json.dumps({k: v for k, v in block.items() if k != "cache_control"}, sort_keys=True)
        yield len(text), text, "cache_control" in block


def last_text(body: Mapping[str, Any]) -> str:
    """The last text or tool result of a request."""
    block = body["messages"][-1]["content"][-1]
    return block.get("text") or str(block.get("content") or "")


# -- bodies --------------------------------------------------------------------------------------------------------


def blocks_of(answer: Said) -> list[dict[str, Any]]:
    """The content of an answer."""
    thought = [{"type": "thinking", "thinking": answer.thought, "signature": "c2ln"}] if answer.thought else []
    text = [{"type": "text", "text": answer.text}] if answer.text else []
    calls = [
        {"type": "tool_use", "id": f"toolu_{place}", "name": name, "input": arguments}
        for place, (name, arguments) in enumerate(answer.tool_calls)
    ]
    return [*thought, *text, *calls]


def _stop(answer: Said) -> dict[str, Any]:
    reason = answer.stop_reason or ("tool_use" if answer.tool_calls else "end_turn")
    return {
        "stop_reason": reason,
        "stop_sequence": None,
        **({"stop_details": answer.details} if answer.details else {}),
    }


def message(answer: Said, usage: Mapping[str, Any]) -> dict[str, Any]:
    """A whole answer."""
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-test",
        "content": blocks_of(answer),
        **_stop(answer),
        **({"usage": {**usage, **_thoughts(answer)}} if answer.usage else {}),
    }


def _thoughts(answer: Said) -> dict[str, Any]:
    return {"output_tokens_details": {"thinking_tokens": len(answer.thought) // PER_TOKEN}} if answer.thought else {}


def event(name: str, data: Any) -> bytes:
    """One server-sent event."""
    return f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()


def events(answer: Said, usage: Mapping[str, Any]) -> list[bytes]:
    """An answer as it is streamed."""
    start = {**message(Said(), {}), "content": [], "stop_reason": None}
    start["usage"] = {**usage, "output_tokens": 1} if answer.usage else {}
    found: list[tuple[str, dict[str, Any]]] = [("message_start", {"message": start}), ("ping", {})]
    for place, block in enumerate(blocks_of(answer)):
        empty, deltas = _pieces(block, answer)
        found.append(("content_block_start", {"index": place, "content_block": empty}))
        found += [("content_block_delta", {"index": place, "delta": delta}) for delta in deltas]
        found.append(("content_block_stop", {"index": place}))
    ended = {"output_tokens": usage.get("output_tokens"), **_thoughts(answer)} if answer.usage else {}
    found += [("message_delta", {"delta": _stop(answer), "usage": ended}), ("message_stop", {})]
    return [event(name, {"type": name, **data}) for name, data in found]


def _pieces(block: dict[str, Any], answer: Said) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    if block["type"] == "text":
        pieces = answer.pieces or (block["text"],)
        return {**block, "text": ""}, [{"type": "text_delta", "text": piece} for piece in pieces]
    if block["type"] == "thinking":
        deltas = [
            {"type": "thinking_delta", "thinking": block["thinking"]},
            {"type": "signature_delta", "signature": "x"},
        ]
        return {**block, "thinking": "", "signature": ""}, deltas
    raw = json.dumps(block["input"])
    pieces = ("", raw[: len(raw) // 2], raw[len(raw) // 2 :]) if block["input"] else ("",)
    return {**block, "input": {}}, [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]


async def _stream(request: web.Request, data: Sequence[bytes], *, end: bool = True) -> web.StreamResponse:
    response = web.StreamResponse(headers={"content-type": "text/event-stream; charset=utf-8"})
    await response.prepare(request)
    for piece in data:
        await response.write(piece)
    if end:
        await response.write_eof()
    return response
