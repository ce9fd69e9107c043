"""A real OpenAI-compatible HTTP server on loopback, for every test and benchmark that needs a provider.

```python
with Provider() as provider:  # answers "ok: <last user message>"
    ...  # use f"openai_compatible/test-model@{provider.url}"

with Provider(Fault("status", status=429, headers={"retry-after": "0"}), "fine now") as provider:
    ...  # in this order
with Provider(lambda body: Reply(text=body["messages"][-1]["content"].upper())) as provider:
    ...  # a function
```

A handler gets the request body and returns a `Reply`, a `Fault`, a `str` (the text) or a `dict` (the JSON body as it is); it
may be async, and then waits on the server's own loop. Scripted answers are used in order; the last one stays.
The server counts what a provider would bill: `calls`, `tokens` (prompt and completion of every answered request).
"""

from __future__ import annotations

import argparse
import asyncio
import inspect
import json
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

FaultKind = Literal[
    "status",  # an HTTP error: status, body (dict, str or bytes), headers
    "refuse",  # the connection is closed without a byte (a reset)
    "hang",  # no answer until the client goes away
    "hang_stream",  # two pieces of a stream, then nothing until the client goes away
    "cut_stream",  # two pieces of a stream, then the connection ends: no finish_reason, no [DONE]
    "cut_body",  # half of a JSON answer, then the connection ends
    "malformed",  # 200 with something that is not JSON
    "html",  # 502 with an HTML page
    "error_object",  # 200 with {"error": ...}
    "no_choices",  # 200 with choices: []
    "raw",  # exactly these bytes as the response, then the connection ends
]


@dataclass(frozen=True)
class Reply:
    """A good answer. `pieces`: how the text is cut when streamed. `usage` None = counted, False = none is sent."""

    text: str | None = ""
    tool_calls: Sequence[tuple[str, str | Mapping[str, Any]]] = ()
    finish_reason: str | None = None
    usage: Mapping[str, Any] | bool | None = None
    pieces: Sequence[str] | None = None
    refusal: str | None = None
    latency: float = 0.0


@dataclass(frozen=True)
class Fault:
    """A bad answer."""

    kind: FaultKind
    status: int = 500
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    latency: float = 0.0


Answer = Reply | Fault | str | dict[str, Any]
Handler = Callable[[dict[str, Any]], Answer | Awaitable[Answer]]


@dataclass(frozen=True)
class Seen:
    """A request as it arrived."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: Any


class Provider:
    """The server. Starts in `__enter__` or `start()`, on a thread and loop of its own.

    Args:
        answers: Either one function (a `Handler`) or answers to give in order, the last one for ever.
        latency: Seconds before every answer.
        models: Names listed at `/v1/models`.
    """

    def __init__(
        self, *answers: Answer | Handler, latency: float = 0.0, models: Sequence[str] = ("test-model",)
    ) -> None:
        self.latency = latency
        self.models = tuple(models)
        self.requests: list[Seen] = []
        self.calls = 0
        """Chat requests answered with a reply that a provider would bill."""
        self.tokens = 0
        """Prompt and completion tokens of those."""
        self.billed: list[tuple[int, int]] = []
        """The same one by one: (prompt tokens, completion tokens)."""
        self.in_flight = 0
        self.max_in_flight = 0
        self.disconnects = 0
        """Clients that went away before their answer was complete."""
        self._answers = list(answers)
        self._place = 0
        self._changed = threading.Condition()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._connections: set[asyncio.Task[None]] = set()

    # -- life ------------------------------------------------------------------------------------------------------

    def __enter__(self) -> Provider:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self, port: int = 0) -> Provider:
        """Listen on 127.0.0.1; returns when it does."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="test-provider", daemon=True)
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(
            asyncio.start_server(self._connection, "127.0.0.1", port, backlog=2048), self._loop
        ).result()
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    def close(self) -> None:
        """Stop listening and drop every connection."""
        loop = self._loop
        if loop is None:
            return
        self._loop = None

        async def stop() -> None:
            self._server.close()
            tasks = list(self._connections)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(stop(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        self._thread.join()
        loop.close()

    @property
    def url(self) -> str:
        """The base address, e.g. `http://127.0.0.1:40123/v1`."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def model(self) -> str:
        """A full model string for this server."""
        return f"openai_compatible/{self.models[0]}@{self.url}"

    @property
    def bodies(self) -> list[dict[str, Any]]:
        """The bodies of the chat requests, in order of arrival."""
        return [seen.body for seen in list(self.requests) if seen.path.endswith("/chat/completions")]

    def cost(self, input_price: Decimal, output_price: Decimal) -> Decimal:
        """What all that costs, at prices per million tokens."""
        total = sum((i * input_price + o * output_price for i, o in self.billed), Decimal(0))
        return total / 1_000_000

    def script(self, *answers: Answer | Handler) -> None:
        """Answer differently from now on."""
        self._answers, self._place = list(answers), 0

    def wait_until(self, condition: Callable[[Provider], bool], timeout: float = 10.0) -> None:
        """Block until `condition(self)` holds, e.g. `lambda p: p.in_flight == 3`. Not on an event loop."""
        with self._changed:
            if not self._changed.wait_for(lambda: condition(self), timeout):
                raise TimeoutError("the provider did not get there")

    async def until(self, condition: Callable[[Provider], bool], timeout: float = 10.0) -> None:
        """The same for async code."""
        await asyncio.to_thread(self.wait_until, condition, timeout)

    def _note(self, **changes: int) -> None:
        with self._changed:
            for name, by in changes.items():
                setattr(self, name, getattr(self, name) + by)
            self.max_in_flight = max(self.max_in_flight, self.in_flight)
            self._changed.notify_all()

    # -- HTTP ------------------------------------------------------------------------------------------------------

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._connections.add(task)
        try:
            while (seen := await _read_request(reader)) is not None:
                if not await self._exchange(seen, reader, writer):
                    break
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._connections.discard(task)
            writer.close()

    async def _exchange(self, seen: Seen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; False ends the connection."""
        with self._changed:
            self.requests.append(seen)
        if seen.method == "GET" and seen.path.endswith("/models"):
            listing = {"object": "list", "data": [{"id": name, "object": "model"} for name in self.models]}
            writer.write(_response(200, listing))
            return True
        if not seen.path.endswith("/chat/completions"):
            writer.write(_response(404, {"error": {"message": f"no such path {seen.path}"}}))
            return True
        self._note(in_flight=1)
        # Whatever arrives while we answer can only be the end of the connection: clients do not pipeline.
        gone = asyncio.ensure_future(reader.read(1))
        work = asyncio.ensure_future(self._answer(seen.body, writer))
        try:
            await asyncio.wait({gone, work}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                self._note(disconnects=1)
                return False
            return work.result()
        finally:
            await _drop(work)
            await _drop(gone)
            self._note(in_flight=-1)

    async def _next(self, body: dict[str, Any]) -> Reply | Fault | dict[str, Any]:
        answer: Any = f"ok: {last_text(body)}"
        if self._answers:
            answer = self._answers[min(self._place, len(self._answers) - 1)]
            self._place += 1
        if callable(answer):
            answer = answer(body)
            if inspect.isawaitable(answer):
                answer = await answer
        return Reply(answer) if isinstance(answer, str) else answer

    async def _answer(self, body: dict[str, Any], writer: asyncio.StreamWriter) -> bool:
        answer = await self._next(body)
        wait = self.latency + (0.0 if isinstance(answer, dict) else answer.latency)
        if wait:
            await asyncio.sleep(wait)
        if isinstance(answer, Fault):
            return await self._misbehave(answer, body, writer)
        if isinstance(answer, dict):
            writer.write(_response(200, answer))
            return True
        usage = _usage(answer, body)
        self.billed.append((usage["prompt_tokens"], usage["completion_tokens"]))
        self._note(calls=1, tokens=usage["prompt_tokens"] + usage["completion_tokens"])
        if body.get("stream"):
            await _stream(writer, stream_events(answer, body))
        else:
            writer.write(_response(200, completion(answer, body)))
        await writer.drain()
        return True

    async def _misbehave(self, fault: Fault, body: dict[str, Any], writer: asyncio.StreamWriter) -> bool:
        kind = fault.kind
        if kind in {"status", "html"}:
            content = fault.body if fault.body is not None else {"error": {"message": f"status {fault.status}"}}
            if kind == "html":
                content = "<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"
            writer.write(_response(502 if kind == "html" else fault.status, content, fault.headers))
            return True
        if kind == "refuse":
            writer.transport.abort()
            return False
        if kind == "hang":
            await asyncio.Event().wait()
        if kind in {"hang_stream", "cut_stream"}:
            writer.write(_head(200, {"content-type": "text/event-stream", "transfer-encoding": "chunked"}))
            for event in stream_events(Reply("half of an answer", pieces=["half ", "of "]), body)[:3]:
                writer.write(_chunk(event))
                await writer.drain()
            if kind == "hang_stream":
                await asyncio.Event().wait()
            return False
        if kind == "cut_body":
            whole = _response(200, completion(Reply("never complete"), body))
            writer.write(whole[: len(whole) - 20])
            return False
        if kind == "raw":
            writer.write(fault.body)
            return False
        bodies: dict[str, Any] = {
            "malformed": '{"choices": [{"message": {"content": "oops',
            "error_object": fault.body or {"error": {"message": "the backend is overloaded", "code": 503}},
            "no_choices": {"id": "x", "object": "chat.completion", "choices": []},
        }
        writer.write(_response(200, bodies[kind], {"content-type": "application/json"}))
        return True


async def _drop(task: asyncio.Future[Any]) -> None:
    """End a task and take its outcome, whatever it is."""
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _read_request(reader: asyncio.StreamReader) -> Seen | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    method, path, _ = first.split(" ", 2)
    headers = {k.strip().lower(): v.strip() for k, _, v in (line.partition(":") for line in lines if line)}
    raw = await reader.readexactly(int(headers.get("content-length", "0")))
    return Seen(method, path.partition("?")[0], headers, json.loads(raw) if raw else None)


def _head(status: int, headers: Mapping[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} X", *(f"{k}: {v}" for k, v in headers.items()), "", ""]
    return "\r\n".join(lines).encode()


def _response(status: int, content: Any, headers: Mapping[str, str] | None = None) -> bytes:
    if isinstance(content, bytes):
        raw, kind = content, "application/octet-stream"
    elif isinstance(content, str):
        raw, kind = content.encode(), "text/html"
    else:
        raw, kind = json.dumps(content).encode(), "application/json"
    return _head(status, {"content-type": kind, **(headers or {}), "content-length": str(len(raw))}) + raw


def _chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


async def _stream(writer: asyncio.StreamWriter, events: Sequence[bytes]) -> None:
    writer.write(_head(200, {"content-type": "text/event-stream", "transfer-encoding": "chunked"}))
    for event in events:
        writer.write(_chunk(event))
        await writer.drain()
    writer.write(b"0\r\n\r\n")


# -- bodies --------------------------------------------------------------------------------------------------------


def last_text(body: Mapping[str, Any]) -> str:
    """The text of the last message of a request."""
    return str(body["messages"][-1].get("content") or "")


def _usage(reply: Reply, body: Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(reply.usage, Mapping):
        return {"prompt_tokens": 0, "completion_tokens": 0, **reply.usage}
    words = len(json.dumps([body["messages"], body.get("tools")]))
    said = len(reply.text or "") + sum(len(json.dumps(a)) for _, a in reply.tool_calls)
    completion_tokens = min(said // 4 + 1, body.get("max_tokens") or body.get("max_completion_tokens") or 10**9)
    return {"prompt_tokens": words // 4 + 1, "completion_tokens": completion_tokens}


def _with_total(usage: dict[str, Any]) -> dict[str, Any]:
    return {"total_tokens": usage["prompt_tokens"] + usage["completion_tokens"], **usage}


def _tool_calls(reply: Reply) -> list[dict[str, Any]]:
    return [
        {
            "id": f"call_{place}",
            "type": "function",
            "function": {"name": name, "arguments": args if isinstance(args, str) else json.dumps(args)},
        }
        for place, (name, args) in enumerate(reply.tool_calls)
    ]


def _finish(reply: Reply) -> str:
    return reply.finish_reason or ("tool_calls" if reply.tool_calls else "stop")


def completion(reply: Reply, body: Mapping[str, Any]) -> dict[str, Any]:
    """A `chat.completion` body."""
    message: dict[str, Any] = {"role": "assistant", "content": reply.text}
    if reply.tool_calls:
        message["tool_calls"] = _tool_calls(reply)
    if reply.refusal is not None:
        message["refusal"] = reply.refusal
    data: dict[str, Any] = {
        "id": "chatcmpl-test",
        "object": "chat.completion",
        "created": 0,
        "model": body.get("model"),
        "choices": [{"index": 0, "message": message, "finish_reason": _finish(reply)}],
    }
    if reply.usage is not False:
        data["usage"] = _with_total(_usage(reply, body))
    return data


def stream_events(reply: Reply, body: Mapping[str, Any]) -> list[bytes]:
    """The server-sent events of an answer, `[DONE]` included."""

    def event(delta: dict[str, Any], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return _event({"object": "chat.completion.chunk", "model": body.get("model"), "choices": [choice]})

    text = reply.text or ""
    pieces = reply.pieces if reply.pieces is not None else [text[i : i + 8] for i in range(0, len(text), 8)]
    events = [event({"role": "assistant", "content": ""}), *(event({"content": piece}) for piece in pieces)]
    if reply.refusal is not None:
        events.append(event({"refusal": reply.refusal}))
    for place, call in enumerate(_tool_calls(reply)):
        arguments = call["function"]["arguments"]
        half = len(arguments) // 2
        begin = {**call, "index": place, "function": {"name": call["function"]["name"], "arguments": ""}}
        events.append(event({"tool_calls": [begin]}))
        for part in (arguments[:half], arguments[half:]):
            events.append(event({"tool_calls": [{"index": place, "function": {"arguments": part}}]}))
    events.append(event({}, _finish(reply)))
    if reply.usage is not False and (body.get("stream_options") or {}).get("include_usage"):
        events.append(
            _event({"object": "chat.completion.chunk", "choices": [], "usage": _with_total(_usage(reply, body))})
        )
    return [*events, b"data: [DONE]\n\n"]


def _event(data: Any) -> bytes:
    return b"data: " + json.dumps(data).encode() + b"\n\n"


if (
    __name__ == "__main__"
):  # a provider in a process of its own, for benchmarks: prints its address, serves until killed
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--latency", type=float, default=0.0)
    options = parser.parse_args()
    print(Provider(latency=options.latency).start(options.port).url, flush=True)
    threading.Event().wait()
