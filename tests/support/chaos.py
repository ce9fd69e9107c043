"""A provider that misbehaves by seed: whatever a request is, the seed decides what becomes of it, each time it is asked.

```python
with Chaos(seed=7, share=0.4) as provider:
    ...  # two answers in five are wrong in one of the ways of `FAULTS`
    provider.behaves = True  # from now on all is well
```

Good texts begin with `[begin` and end with `[end]`, so a part of one is told from the whole. Whatever a fault says holds
`FAULT_TEXT`, which must reach no reader. The provider counts like one that bills all it may have worked on.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
import random
from collections import Counter
from dataclasses import replace
from email.utils import formatdate
from typing import Any

from support.provider import Provider, Reply, _chunk, _event, _head, _response, _usage, completion, stream_events

FAULT_TEXT = "Xyzzy-Fault"
GOOD, END = "[begin", "[end]"
WAITING = ("hang", "comments")
"""Faults that last until the client gives up, which are met less often."""
LIES: tuple[Any, ...] = (
    {"prompt_tokens": -5, "completion_tokens": -7},
    {"prompt_tokens": 1.5, "completion_tokens": 2.25},
    {"prompt_tokens": "12", "completion_tokens": "many"},
    {"prompt_tokens": 10**30, "completion_tokens": 10**30},
    {"prompt_tokens": True, "completion_tokens": None},
    {"prompt_tokens": [1], "completion_tokens": {}},
    {"prompt_tokens": float("nan"), "completion_tokens": float("inf")},
    {"prompt_tokens": 3, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 10**9}},
    {"prompt_tokens": 3, "completion_tokens": 4, "completion_tokens_details": "none"},
)


class Chaos(Provider):
    """The server.

    Args:
        seed: Another seed, other faults.
        share: The share of requests that meet a fault.
        faults: Names of the faults to draw from; None = all.
        lies: The share of good answers whose usage is absurd.
    """

    def __init__(self, seed: int, share: float = 0.35, faults: tuple[str, ...] | None = None, lies: float = 0) -> None:
        super().__init__()
        self.seed, self.share, self.lies = seed, share, lies
        self.faults = faults or tuple(FAULTS)
        self.behaves = False
        self.asked: Counter[str] = Counter()
        """How often each request came."""
        self.good: Counter[str] = Counter()
        """How often each was answered whole, to a client that was still there."""
        self.met: Counter[str] = Counter()
        """How often each fault was met."""

    async def _answer(self, body: dict[str, Any], writer: asyncio.StreamWriter) -> bool:
        key = identity(body)
        self.asked[key] += 1
        draw = random.Random(f"{self.seed}/{key}/{self.asked[key]}")
        reply = good_reply(body, random.Random(f"{self.seed}/{key}"))
        if not self.behaves and draw.random() < self.share:
            name = draw.choices(self.faults, [0.2 if fault in WAITING else 1 for fault in self.faults])[0]
            self.met[name] += 1
            return await FAULTS[name](self, draw, body, reply, writer)
        await self.send(reply, body, writer, draw.choice(LIES) if draw.random() < self.lies else None)
        self.good[key] += 1
        return True

    async def send(
        self, reply: Reply, body: dict[str, Any], writer: asyncio.StreamWriter, lie: dict[str, Any] | None = None
    ) -> None:
        """Bill a reply and send it whole, with a `lie` for its usage."""
        self.bill(reply, body)
        writer.write(whole(reply, body, lie))
        await writer.drain()

    def bill(self, reply: Reply, body: dict[str, Any]) -> None:
        """Count what a provider would bill for it."""
        usage = _usage(Reply(reply.text, reply.tool_calls), body)
        self.billed.append((usage["prompt_tokens"], usage["completion_tokens"]))
        self._note(calls=1, tokens=usage["prompt_tokens"] + usage["completion_tokens"])


def identity(body: dict[str, Any]) -> str:
    """The same for a request whether it is streamed or not."""
    asked = {name: value for name, value in body.items() if name not in {"stream", "stream_options"}}
    return hashlib.sha1(json.dumps(asked, sort_keys=True).encode()).hexdigest()


def whole(reply: Reply, body: dict[str, Any], lie: dict[str, Any] | None = None) -> bytes:
    """All bytes of a good response."""
    honest = reply if lie is None else replace(reply, usage=False)
    if not body.get("stream"):
        return _response(200, {**completion(honest, body), **({"usage": lie} if lie else {})})
    events = stream_events(honest, body)
    if lie:
        events.insert(-1, _event({"object": "chat.completion.chunk", "choices": [], "usage": lie}))
    return _events(events)


def _events(events: list[bytes], kind: str = "text/event-stream") -> bytes:
    head = _head(200, {"content-type": kind, "transfer-encoding": "chunked"})
    return head + b"".join(map(_chunk, events)) + b"0\r\n\r\n"


# -- good answers --------------------------------------------------------------------------------------------------------


def good_reply(body: dict[str, Any], draw: random.Random) -> Reply:
    """What a model could say: JSON of the wanted shape, a tool call, or a text."""
    wanted = (body.get("response_format") or {}).get("json_schema")
    if wanted:
        return Reply(json.dumps(value_of(wanted["schema"], draw)))
    if body.get("tools") and body["messages"][-1]["role"] != "tool" and draw.random() < 0.7:
        function = draw.choice(body["tools"])["function"]
        return Reply(None, [(function["name"], value_of(function["parameters"], draw))])
    said = f"{GOOD} {draw.random()}{' blah' * draw.randint(0, 20)} {END}\nAnswer: {draw.randint(1, 2)}"
    return Reply(f"{said}\nVerdict: {draw.choice(['approve', 'revise'])}" if "Verdict" in json.dumps(body) else said)


def value_of(schema: dict[str, Any], draw: random.Random, root: dict[str, Any] | None = None) -> Any:
    """A value that fits a JSON Schema of the kind that models are given."""
    root = root or schema
    if "$ref" in schema:
        return value_of(root["$defs"][schema["$ref"].rpartition("/")[2]], draw, root)
    if "enum" in schema or "const" in schema:
        return draw.choice(schema.get("enum") or [schema["const"]])
    if "anyOf" in schema:
        return value_of(schema["anyOf"][0], draw, root)
    match schema.get("type"):
        case "object":
            return {name: value_of(part, draw, root) for name, part in schema.get("properties", {}).items()}
        case "array":
            return _items(schema, draw, root)
        case "integer" | "number":
            return draw.randint(int(schema.get("minimum", 1)), int(schema.get("maximum", 10)))
        case "boolean":
            return draw.random() < 0.5
        case _:
            return f"{GOOD} {draw.random()} {END}"


def _items(schema: dict[str, Any], draw: random.Random, root: dict[str, Any]) -> list[Any]:
    """One item for each word that a field of the items, or the items, may have; else as few as allowed."""
    items = schema.get("items", {})
    if "$ref" in items:
        items = root["$defs"][items["$ref"].rpartition("/")[2]]
    for name, part in items.get("properties", {}).items():
        if "enum" in part:
            return [{**value_of(items, draw, root), name: word} for word in part["enum"]]
    if "enum" in items:
        return draw.sample(items["enum"], len(items["enum"]))
    return [value_of(items, draw, root) for _ in range(schema.get("minItems", 1))]


# -- faults --------------------------------------------------------------------------------------------------------------

FAULTS: dict[str, Any] = {}


def fault(function: Any) -> Any:
    """Register a fault; it returns whether the connection stays."""
    FAULTS[function.__name__] = function
    return function


def bad(text: str = "it went wrong") -> Reply:
    """An answer that nobody may see."""
    return Reply(f"{FAULT_TEXT}: {text}")


@fault
async def slow(provider: Chaos, draw: random.Random, body: Any, reply: Reply, writer: Any) -> bool:
    await asyncio.sleep(0.05)
    await provider.send(reply, body, writer)
    provider.good[identity(body)] += 1
    return True


@fault
async def busy(provider: Chaos, draw: random.Random, body: Any, reply: Reply, writer: Any) -> bool:
    dates = [formatdate(usegmt=True), "Wed, 21 Oct 2015 07:28:00 GMT"]
    wait = draw.choice([{"retry-after": "0"}, {"retry-after": draw.choice(dates)}, {"retry-after-ms": "1"}])
    writer.write(_response(429, {"error": {"message": f"{FAULT_TEXT}: rate limit reached"}}, wait))
    return True


@fault
async def down(provider: Chaos, draw: random.Random, body: Any, reply: Reply, writer: Any) -> bool:
    content = draw.choice(
        [{"error": {"message": FAULT_TEXT}}, f"<html>{FAULT_TEXT}</html>", FAULT_TEXT, b"\xff\x00", []]
    )
    writer.write(_response(draw.choice([500, 502, 503, 529]), content, {"retry-after-ms": "1"}))
    return True


@fault
async def reset(provider: Chaos, draw: random.Random, body: Any, reply: Reply, writer: Any) -> bool:
    provider.bill(reply, body)
    writer.transport.abort()
    return False


@fault
async def hang(provider: Chaos, draw: random.Random, body: Any, reply: Reply, writer: Any) -> bool:
    provider.bill(reply, body)
    if draw.random() < 0.5:
        writer.write(whole(bad("never ends"), body)[: draw.randint(1, 200)])
    await asyncio.Event().wait()
    return False


@fault
async def cut(provider: Chaos, draw: random.Random, body: Any, reply: Reply, writer: Any) -> bool:
    provider.bill(reply, body)
    raw = whole(reply, body)
    end = raw.find(b'"finish_reason": "') if body.get("stream") else len(raw)
    writer.write(raw[: draw.randrange(end)])
    return False


@fault
async def malformed(provider: Chaos, draw: random.Random, body: Any, reply: Reply, writer: Any) -> bool:
    provider.bill(reply, body)
    texts = [
        f'{{"choices": [{{"message": {{"content": "{FAULT_TEXT}',
        "[" * 100_000,
        f'"{FAULT_TEXT}"',
        "null",
        "[]",
        "{}",
    ]
    writer.write(_response(200, draw.choice(texts), {"content-type": "application/json"}))
    return True


@fault
async def page(provider: Chaos, draw: random.Random, body: Any, reply: Reply, writer: Any) -> bool:
    provider.bill(reply, body)
    writer.write(_response(200, f"<html><body>{FAULT_TEXT}: log in first</body></html>"))
    return True


@fault
async def empty(provider: Chaos, draw: random.Random, body: Any, reply: Reply, writer: Any) -> bool:
    nothing = Reply(draw.choice(["", "  \n", None]))
    await provider.send(nothing, body, writer)
    return True


@fault
async def error_object(provider: Chaos, draw: random.Random, body: Any, reply: Reply, writer: Any) -> bool:
    provider.bill(reply, body)
    content = draw.choice([{"error": {"message": FAULT_TEXT, "code": 503}}, {"object": "error", "message": FAULT_TEXT}])
    if body.get("stream"):
        begun = stream_events(bad("half of"), body)[: draw.randint(0, 3)]
        writer.write(_events([*begun, _event(content)]))
    else:
        writer.write(_response(200, content))
    return True


@fault
async def no_usage(provider: Chaos, draw: random.Random, body: Any, reply: Reply, writer: Any) -> bool:
    await provider.send(Reply(reply.text, reply.tool_calls, usage=False), body, writer)
    provider.good[identity(body)] += 1
    return True


@fault
async def broken_arguments(provider: Chaos, draw: random.Random, body: Any, reply: Reply, writer: Any) -> bool:
    name = body["tools"][0]["function"]["name"] if body.get("tools") else "search"
    arguments = draw.choice(['{"a": ', FAULT_TEXT, "[]", "null", '"text"', "{'a': 1}"])
    await provider.send(Reply(None, [(name, arguments)]), body, writer)
    return True


@fault
async def unknown_tool(provider: Chaos, draw: random.Random, body: Any, reply: Reply, writer: Any) -> bool:
    await provider.send(Reply(None, [(draw.choice(["no_such_tool", "", "a b", "x" * 300]), {"a": 1})]), body, writer)
    return True


@fault
async def wrong_type(provider: Chaos, draw: random.Random, body: Any, reply: Reply, writer: Any) -> bool:
    provider.bill(reply, body)  # it may be taken all the same
    writer.write(_events(stream_events(reply, body), draw.choice(["text/plain", "image/png", ""])))
    return True


@fault
async def comments(provider: Chaos, draw: random.Random, body: Any, reply: Reply, writer: Any) -> bool:
    provider.bill(reply, body)
    writer.write(_head(200, {"content-type": "text/event-stream", "transfer-encoding": "chunked"}))
    while True:
        writer.write(_chunk(b": keep-alive\n\n"))
        await writer.drain()
        await asyncio.sleep(0.05)


@fault
async def long_line(provider: Chaos, draw: random.Random, body: Any, reply: Reply, writer: Any) -> bool:
    provider.bill(reply, body)
    writer.write(_head(200, {"content-type": "text/event-stream", "transfer-encoding": "chunked"}))
    writer.write(_chunk(b'data: {"choices": [{"delta": {"content": "' + FAULT_TEXT.encode() * 30_000))
    return False


@fault
async def garbage(provider: Chaos, draw: random.Random, body: Any, reply: Reply, writer: Any) -> bool:
    provider.bill(reply, body)
    packed = bytearray(gzip.compress(json.dumps(completion(bad(), body)).encode()))
    packed[draw.randrange(len(packed))] ^= 0xFF
    raw = draw.choice([bytes(packed[:40]), draw.randbytes(300)])
    kind = {"content-type": "application/json", "content-encoding": "gzip", "content-length": str(len(raw))}
    writer.write(_head(200, kind) + raw)
    return False


@fault
async def no_http(provider: Chaos, draw: random.Random, body: Any, reply: Reply, writer: Any) -> bool:
    provider.bill(reply, body)
    lines = [
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        b"\x16\x03\x01",
    ]
    writer.write(draw.choice([*lines, draw.randbytes(100)]))
    return False
