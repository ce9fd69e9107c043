"""Whatever a provider sends, a call ends in a usable answer or in a typed error, and the books stay sane."""

from __future__ import annotations

import asyncio
import json
import math
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from crewmix import Crew, Role
from crewmix.definitions.spec import ModelSpec
from crewmix.errors import BudgetExceededError, ModelError, RunError
from crewmix.models import breaker
from crewmix.models.drivers.openai import OpenAIDriver
from crewmix.models.profile import Profile
from crewmix.models.types import ChatMessage, ModelReply, ModelRequest, ToolSpec
from support.chaos import LIES, good_reply, whole
from support.fuzz import VALUES, mutated_bytes, mutated_data
from support.model_world import no_waiting
from support.provider import Fault, Provider, Reply, _chunk, _event, _head, _response, completion, stream_events

SEARCH = ToolSpec("search", "Find.", {"type": "object", "properties": {"q": {"type": "string"}}})
CALLS = 250
AT_ONCE = 16
REPLIES = [
    Reply("a good answer"),
    Reply("", [("search", {"q": "é"}), ("search", {"q": ["x"]})]),
    Reply("no", refusal="I may not"),
]


def odd_body(body: dict[str, Any], draw: random.Random) -> bytes:
    """A response with fields of wrong types, lost and added ones, or absurd usage; in a stream any event may be so."""
    reply = draw.choice(REPLIES)
    if not body.get("stream"):
        return _response(200, mutated_data(completion(reply, body), draw))
    events = []
    for raw in stream_events(reply, body)[:-1]:
        data = json.loads(raw.removeprefix(b"data: "))
        events.append(_event(mutated_data(data, draw) if draw.random() < 0.3 else data))
        if draw.random() < 0.05:
            events.append(
                draw.choice(
                    [b"data: \n\n", b": x\n\n", b"event: error\ndata: {}\n\n", b"data: [\n\n", b"\r\r\n\n", b"id"]
                )
            )
    head = _head(200, {"content-type": "text/event-stream; charset=utf-8", "transfer-encoding": "chunked"})
    done = [b"data: [DONE]\n\n"] * draw.choice([0, 1, 1, 2])
    return head + b"".join(map(_chunk, [*events, *done])) + b"0\r\n\r\n"


def odd_bytes(body: dict[str, Any], draw: random.Random) -> bytes:
    """A good response with a few bytes changed, wherever in it."""
    return mutated_bytes(whole(draw.choice(REPLIES), body), draw)


def odd_json(body: dict[str, Any], draw: random.Random) -> bytes:
    """JSON that is no completion, of any size and depth."""
    deep = draw.choice([100, 5_000, 200_000])
    huge = [
        "[" * deep,
        '{"choices":' * deep,
        "[" * deep + "]" * deep,
        '{"choices": [' + '{"a": 1},' * 20_000 + "1]}",
        "9" * 10_000,
    ]
    said = draw.choice([*huge, *(json.dumps(value) for value in VALUES)])
    return _response(200, said, {"content-type": "application/json"})


def odd_error(body: dict[str, Any], draw: random.Random) -> bytes:
    """An error response with a body, a status and headers of any kind."""
    error = {"error": {"message": "went wrong", "type": "server_error", "code": "x", "param": None}}
    content = draw.choice([mutated_data(error, draw, 0.4), "[" * 200_000, b"\xff\xfe\x00", "", draw.randbytes(50)])
    waits = ["", "-1", "nan", "1e400", "tomorrow", "Wed, 99 Oct 2015 07:28:00 GMT", "é", "0", "9" * 400]
    headers = {"retry-after": draw.choice(waits), "retry-after-ms": draw.choice(waits)}
    return _response(draw.choice([100, 201, 204, 301, 400, 401, 404, 418, 429, 499, 500, 529, 599]), content, headers)


def sane(reply: ModelReply) -> None:
    """A reply that everything behind can work with and the journal can keep."""
    kept = json.dumps(reply.as_dict(), allow_nan=False)
    assert ModelReply.from_dict(json.loads(kept)) == reply
    kept.encode()
    assert isinstance(reply.text, str)
    counts = (
        reply.usage.input_tokens,
        reply.usage.output_tokens,
        reply.usage.cached_tokens,
        reply.usage.reasoning_tokens,
    )
    assert all(isinstance(count, int) and count >= 0 for count in counts)
    for call in reply.tool_calls:
        assert isinstance(call.name, str) and isinstance(call.arguments, str) and isinstance(call.id, str)


@pytest.mark.parametrize("odd", [odd_body, odd_bytes, odd_json, odd_error])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_a_driver_answers_or_says_what_is_wrong(odd: Any, stream: bool) -> None:
    number = iter(range(10**9))
    ended: Counter[str] = Counter()

    def handler(body: dict[str, Any]) -> Fault:
        return Fault("raw", body=odd(body, random.Random(f"{odd.__name__}/{next(number)}")))

    async def ask(driver: OpenAIDriver, gate: asyncio.Semaphore) -> None:
        heard: list[str] = []
        request = ModelRequest("m", (ChatMessage("user", "hello"),), tools=(SEARCH,))
        async with gate:
            try:
                reply = await asyncio.wait_for(driver.complete(request, heard.append if stream else None), 20)
            except ModelError as error:
                ended[type(error).__name__] += 1
                assert len(error.message) < 1000
                assert error.message.isprintable(), error.message
                return
        ended["answered"] += 1
        sane(reply)
        assert all(isinstance(text, str) and text for text in heard)

    with Provider(handler) as provider:
        profile = Profile("m", "openai_compatible/m", "openai_compatible", "m", base_url=provider.url, timeout=1.0)
        driver, gate = OpenAIDriver(profile), asyncio.Semaphore(AT_ONCE)
        await asyncio.gather(*(ask(driver, gate) for _ in range(CALLS)))
        await driver.close()
    assert len(ended) > 1 or odd is odd_json, ended


@pytest.mark.parametrize("seed", range(30))
def test_a_run_with_an_odd_provider_ends_in_order(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    no_waiting(monkeypatch)
    monkeypatch.setattr(breaker, "OPEN_SECONDS", 0.05)
    draw = random.Random(seed)

    def handler(body: dict[str, Any]) -> Any:
        if draw.random() < 0.5:
            return good_reply(body, draw)
        return Fault("raw", body=draw.choice([odd_body, odd_bytes, odd_json, odd_error])(body, draw))

    patterns = ["round_robin", "selector", "layers", "vote", "debate"]
    methods = ["aggregate", "critique_combine", "majority", "rank", "judge", "similarity"]
    pattern = draw.choice(patterns)
    reviewer = "" if pattern in {"layers", "vote"} else "cem"
    with Provider(handler) as provider:
        model = ModelSpec(model=provider.model, timeout=1.0, price=("0.5", "1.5"), json_schema=draw.random() < 0.5)
        crew = Crew(
            roles=[
                Role(name=name, role=name, goal="Answer.", approves=name == reviewer) for name in ("ann", "bob", "cem")
            ],
            chat={"pattern": pattern},
            synthesis={"method": draw.choice(methods)},
            plan=draw.choice(["none", {"max_tasks": 2}]),
            models={"default": model},
            budget=draw.choice([None, {"calls": 20}, {"tokens": 60_000}, {"usd": 0.02}]),
            project=tmp_path,
        )
        try:
            result = crew.run(
                "Why?", deltas=draw.random() < 0.5, on_event=lambda event: json.dumps(event.as_dict(), default=str)
            )
        except (RunError, BudgetExceededError) as error:
            assert error.message
            return
    kept = json.dumps(result.as_dict(), allow_nan=False, default=str)
    kept.encode()
    assert result.cost is None or (result.cost >= 0 and math.isfinite(result.cost))


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: json.dumps(lie)[:60])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_absurd_usage_breaks_no_books(lie: dict[str, Any], stream: bool, tmp_path: Path) -> None:
    """Numbers that cannot be are not believed; a budget is not freed by them, and a later call is still possible."""

    def handler(body: dict[str, Any]) -> Fault:
        return Fault("raw", body=whole(Reply("an answer"), body, lie))

    with Provider(handler) as provider:
        model = ModelSpec(model=provider.model, attempts=1, price=(1, 2), max_output_tokens=100)
        crew = Crew(
            roles=[Role(name="ann", role="ann", goal="Answer."), Role(name="bob", role="bob", goal="Answer.")],
            plan="none",
            models={"default": model},
            budget={"usd": 1, "tokens": 100_000, "calls": 3},
            project=tmp_path,
        )
        result = crew.run("Why?", deltas=stream, on_event=lambda event: None)
    assert result.status == "done", result.warnings
    used = {limit: used for limit, (used, _) in result.budget.items()}
    assert used["calls"] == 3
    assert 0 < used["tokens"] <= 100_000
    assert 0 < used["usd"] <= 1
    json.dumps(result.as_dict(), allow_nan=False)
