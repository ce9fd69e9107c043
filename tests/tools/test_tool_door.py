"""The door: whatever a model writes and a tool does, the model gets a clear text and the run goes on."""

from __future__ import annotations

import asyncio
import json
import threading
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from crewmix import Source, Tool, ToolContext, ToolResult, tool
from crewmix.errors import BudgetExceededError, FencedError, RunCancelledError, StorageError
from crewmix.journal.events import ToolCalled
from crewmix.tools.arguments import check_arguments
from crewmix.tools.door import call
from crewmix.tools.people import People
from crewmix.tools.text import LIMIT
from support.tool_session import Start


class Item(BaseModel):
    sku: str
    amount: int = 1


@tool
def price(item: Item, country: str = "de", note: str | None = None) -> str:
    """Work out a price."""
    return f"{item.sku} * {item.amount} @ {country} {note}"


# -- arguments -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        '{"item": {"sku": "a"}}',
        {"item": {"sku": "a"}},
        '{"item": {"sku": "a", "amount": "1"}, "country": null, "note": null}',
    ],
)
async def test_good_arguments_reach_the_function(start: Start, arguments: Any) -> None:
    session = await start()
    result = await call(price, arguments, session.context, name="price")
    assert (result.text, result.ok, result.error) == ("a * 1 @ de None", True, None)
    [event] = session.of(ToolCalled)
    assert isinstance(event, ToolCalled)
    assert (event.tool, event.role, event.text, event.error) == ("price", "coder", "a * 1 @ de None", None)
    assert event.arguments == {"item": {"sku": "a", "amount": 1}, "country": "de", "note": None}


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ('{"item": ', "not valid JSON"),
        ("item=a", "not valid JSON"),
        ("[1]", "must be a JSON object like {}, not [1]"),
        ("", 'the argument "item" is missing'),
        ("{}", 'the argument "item" is missing'),
        ('{"item": null}', '"item": '),
        ('{"item": {"sku": "a"}, "county": "fr"}', 'there is no argument "county", did you mean "country"?'),
        ('{"item": {"sku": "a", "amount": "many"}}', '"item.amount": '),
        ('{"item": {"sku": "a"}, "country": 3}', '"country": Input should be a valid string, got 3'),
        ('{"item": {"sku": "a"}, "country": NaN}', "NaN is no JSON value"),
        ('{"item": {"sku": "a", "amount": 1e999}}', "not valid JSON"),
        ('{"item": {"sku": "\\ud800"}}', "surrogate"),
        ('{"item": ' * 30_000, "nested too deeply"),
        ('{"item": {"sku": "' + "x" * 1_000_000 + '"}}', "characters long"),
        ({"item": {"sku": object()}}, "not JSON data"),
        ({"item": {"sku": float("nan")}}, "not JSON data"),
    ],
)
async def test_wrong_arguments_tell_the_model_what_is_wrong(start: Start, arguments: Any, problem: str) -> None:
    session = await start()
    result = await call(price, arguments, session.context, name="price")
    assert (result.ok, result.error) == (False, "bad_args")
    assert result.text.startswith("Wrong arguments for price: ")
    assert problem in result.text
    assert 'It takes: item (required), country (string, default "de"), note (string, optional).' in result.text
    [event] = session.of(ToolCalled)
    assert isinstance(event, ToolCalled)
    assert event.error == "bad_args"


async def test_an_unknown_tool_is_answered_with_the_nearest(start: Start) -> None:
    session = await start()
    known = ["knowledge_search", "calculate"]
    result = await call(None, "{}", session.context, name="serch_knowledge", known=known)
    assert result.error == "unknown_tool"
    assert "There is no tool named 'serch_knowledge'. Did you mean: knowledge_search" in result.text
    assert "calculate" in (await call(None, "{}", session.context, name="zzz", known=known)).text
    assert "no tools to call" in (await call(None, "{}", session.context, name="zzz")).text
    assert len(session.of(ToolCalled)) == 3


SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string", "minLength": 2}, "days": {"type": "integer", "maximum": 7}},
    "required": ["city"],
    "additionalProperties": False,
}


async def test_a_tool_with_only_a_schema_is_checked_by_it(start: Start) -> None:
    session = await start()
    echo = Tool("echo", "Echoes.", SCHEMA, lambda arguments, context: dict(arguments))
    good = await call(echo, '{"city": "Lyon", "days": null}', session.context, name="echo")
    assert json.loads(good.text) == {"city": "Lyon"}
    bad = await call(echo, '{"city": "L", "days": 9, "x": 1}', session.context, name="echo")
    assert bad.error == "bad_args"
    for words in ("'L' is too short", "9 is greater than the maximum of 7", "'x' was unexpected", "It takes: city"):
        assert words in bad.text


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {"x": {"$ref": "http://127.0.0.1:9/schema.json"}}},
        {"type": "object", "properties": {"x": {"type": "nonsense"}}},
    ],
)
async def test_a_broken_schema_is_an_answer_and_fetches_nothing(start: Start, schema: dict[str, Any]) -> None:
    session = await start()
    echo = Tool("echo", "Echoes.", schema, lambda arguments, context: "reached")
    result = await call(echo, '{"x": 1}', session.context, name="echo")
    assert result.error == "bad_args"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(st.text() | st.dictionaries(st.sampled_from(["item", "country", "note", "x"]) | st.text(), json_values))
@settings(max_examples=300, deadline=None)
def test_any_arguments_are_accepted_or_explained(raw: Any) -> None:
    try:
        checked = check_arguments(price, raw)
    except ValueError as error:
        assert "Wrong arguments for price: " in str(error)
        assert "It takes: item" in str(error)
    else:
        assert isinstance(checked.values["item"], Item)
        json.dumps(checked.data, allow_nan=False).encode()


# -- what tools do ---------------------------------------------------------------------------------------------------------


@dataclass
class Point:
    x: int
    y: int


class Odd:
    def __str__(self) -> str:
        return "an odd thing"


class Unshowable:
    def __str__(self) -> str:
        raise RuntimeError("no text for me")

    __repr__ = __str__


CIRCLE: list[Any] = []
CIRCLE.append(CIRCLE)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain", "plain"),
        ("", "(no result)"),
        (None, "(no result)"),
        (3, "3"),
        (0, "0"),
        (False, "False"),
        ([], "[]"),
        ({"a": [1, "ü"]}, '{"a": [1, "ü"]}'),
        (
            [Item(sku="a"), Point(1, 2), Odd(), {2, 1}],
            '[{"sku": "a", "amount": 1}, {"x": 1, "y": 2}, "an odd thing", [1, 2]]',
        ),
        (Item(sku="a"), '{"sku": "a", "amount": 1}'),
        (Point(1, 2), '{"x": 1, "y": 2}'),
        (Odd(), "an odd thing"),
        (b"\x00\x01", "(2 bytes of binary data)"),
        (CIRCLE, "[[...]]"),
        ({(1, 2): 3}, "{(1, 2): 3}"),
        ("half \ud800 pair", "half ? pair"),
        (ToolResult("given", ok=False), "given"),
    ],
)
@pytest.mark.parametrize("in_loop", [False, True], ids=["def", "async def"])
async def test_any_result_becomes_text(start: Start, value: Any, text: str, in_loop: bool) -> None:
    session = await start()

    @tool
    def give() -> Any:
        """Give it."""
        return value

    @tool(name="give")
    async def give_async() -> Any:
        """Give it."""
        return value

    result = await call(give_async if in_loop else give, "{}", session.context, name="give")
    assert result.text == text
    assert result.error == ("failed" if isinstance(value, ToolResult) else None)


class DeliberateError(Exception):
    pass


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (DeliberateError("it broke"), "DeliberateError: it broke (test_tool_door.py:"),
        (ValueError(), "ValueError (test_tool_door.py:"),
        (SystemExit(3), "SystemExit: 3"),
        (BaseExceptionGroup("g", [SystemExit(3)]), "BaseExceptionGroup: g"),
        (StopIteration("x"), ": "),
        (TimeoutError("of its own"), "TimeoutError: of its own"),
        (asyncio.CancelledError(), "it was cancelled from within"),
        (RecursionError("too deep"), "RecursionError: too deep"),
        (DeliberateError(Unshowable()), "DeliberateError (test_tool_door.py:"),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("in_loop", [False, True], ids=["def", "async def"])
async def test_a_tool_that_raises_is_an_answer(start: Start, error: BaseException, text: str, in_loop: bool) -> None:
    session = await start()

    @tool
    def fail() -> None:
        """Fail."""
        raise error

    @tool(name="fail")
    async def fail_async() -> None:
        """Fail."""
        raise error

    result = await call(fail_async if in_loop else fail, "{}", session.context, name="fail")
    assert (result.ok, result.error) == (False, "failed")
    assert result.text.startswith("fail failed: ")
    assert text in result.text
    [event] = session.of(ToolCalled)
    assert isinstance(event, ToolCalled)
    assert event.error == "failed"


async def test_an_unshowable_result_is_an_answer(start: Start) -> None:
    session = await start()

    @tool
    def give() -> Any:
        """Give it."""
        return Unshowable()

    result = await call(give, "{}", session.context, name="give")
    assert (result.error, "no text for me" in result.text) == ("failed", True)


@pytest.mark.parametrize(
    "error",
    [
        BudgetExceededError("usd", "run", allowed=1, needed=2),
        RunCancelledError("stop"),
        FencedError("taken over"),
        StorageError("disk full"),
    ],
    ids=lambda error: error.code,
)
async def test_what_stops_the_run_passes_through(start: Start, error: Exception) -> None:
    session = await start()

    @tool
    def stop() -> None:
        """Stop."""
        raise error

    with pytest.raises(type(error)):
        await call(stop, "{}", session.context, name="stop")


async def test_an_interrupted_tool_cancels_the_run(start: Start) -> None:
    session = await start()

    @tool
    async def interrupted() -> None:
        """Be interrupted."""
        raise KeyboardInterrupt

    with pytest.raises(RunCancelledError, match="interrupted"):
        await call(interrupted, "{}", session.context, name="interrupted")


async def test_a_cancelled_run_starts_no_tool(start: Start) -> None:
    session = await start()
    session.run.cancel()
    with pytest.raises(RunCancelledError):
        await call(price, '{"item": {"sku": "a"}}', session.context, name="price")


async def test_a_hanging_function_is_left_behind_and_the_loop_lives(start: Start) -> None:
    session = await start()
    release = threading.Event()

    @tool(timeout=0.05)
    def hang() -> str:
        """Hang."""
        release.wait()
        return "late"

    try:
        results = await asyncio.gather(*(call(hang, "{}", session.context, name="hang") for _ in range(40)))
        assert {r.error for r in results} == {"timeout"}
        text = "hang did not finish within 0.05 s; its thread `crewmix-tool-hang` cannot be stopped"
        assert all(text in r.text for r in results)
        assert sum(t.name == "crewmix-tool-hang" for t in threading.enumerate()) == 40
        assert all(t.daemon for t in threading.enumerate() if t.name == "crewmix-tool-hang")
        alive = await call(price, '{"item": {"sku": "a"}}', session.context, name="price")
        assert alive.ok
    finally:
        release.set()


@pytest.mark.parametrize("stubborn", [False, True])
async def test_a_hanging_coroutine_is_cancelled(start: Start, stubborn: bool) -> None:
    session = await start()
    cancelled, never = asyncio.Event(), asyncio.Event()

    @tool(timeout=0.05)
    async def hang() -> None:
        """Hang."""
        try:
            await never.wait()
        except asyncio.CancelledError:
            cancelled.set()
            if not stubborn:
                raise
            await never.wait()

    result = await call(hang, "{}", session.context, name="hang")
    assert (result.error, result.text) == ("timeout", "hang did not finish within 0.05 s")
    await asyncio.wait_for(cancelled.wait(), 5)
    never.set()


async def test_cancelling_the_caller_cancels_the_tool(start: Start) -> None:
    session = await start()
    running, cancelled = asyncio.Event(), asyncio.Event()

    @tool
    async def hang() -> None:
        """Hang."""
        running.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    turn = asyncio.create_task(call(hang, "{}", session.context, name="hang"))
    await running.wait()
    turn.cancel()
    with pytest.raises(asyncio.CancelledError):
        await turn
    await asyncio.wait_for(cancelled.wait(), 5)


async def test_a_huge_result_is_clipped_head_and_tail_kept(start: Start) -> None:
    session = await start()

    @tool
    def flood() -> str:
        """Flood."""
        return "begin " + "x" * 10_000_000 + " end"

    result = await call(flood, "{}", session.context, name="flood")
    assert result.clipped
    assert result.ok
    assert len(result.text) <= LIMIT
    assert result.text.startswith("begin xxx")
    assert result.text.endswith("xxx end")
    head, tail = result.text.split("\n… [9,984,110 characters left out here; ask for less at a time] …\n")
    assert len(head) + len(tail) + 9_984_110 == 10_000_010
    [event] = session.of(ToolCalled)
    assert isinstance(event, ToolCalled)
    assert event.clipped


async def test_a_huge_error_and_huge_data_are_clipped_too(start: Start) -> None:
    session = await start()

    @tool
    def flood(fail: bool) -> Any:
        """Flood."""
        if fail:
            raise ValueError("x" * 10_000_000)
        return {"rows": ["y" * 1000] * 10_000}

    for fail in (True, False):
        result = await call(flood, {"fail": fail}, session.context, name="flood")
        assert (len(result.text) <= LIMIT, result.clipped, result.ok) == (True, True, not fail)


@pytest.mark.parametrize("position", [0, 11_990, 11_999, 500_000, -3_905, -20])
async def test_no_secret_gets_out_not_even_half_of_one(start: Start, position: int) -> None:
    secret = "correct-horse-battery"
    session = await start(secrets=(secret,))
    text = list("." * 1_000_000)
    at = position % len(text)
    text[at : at + len(secret)] = secret

    @tool
    def leak() -> ToolResult:
        """Leak."""
        return ToolResult("".join(text), sources=(Source("a.md", "1", f"key {secret}"),))

    result = await call(leak, "{}", session.context, name="leak")
    shown = result.text + result.sources[0].quote + str(session.events)
    assert not [n for n in range(4, len(secret) + 1) if secret[:n] in shown or secret[-n:] in shown]
    assert result.sources[0].quote == "key [redacted]"


async def test_blocking_tools_run_at_the_same_time(start: Start) -> None:
    session = await start()
    together = threading.Barrier(8, timeout=20)

    @tool
    def meet(number: int) -> int:
        """Wait for the others."""
        together.wait()
        return number

    calls = (call(meet, {"number": n}, session.context, name="meet") for n in range(8))
    assert [r.text for r in await asyncio.gather(*calls)] == [str(n) for n in range(8)]


async def test_the_tool_gets_its_context(start: Start) -> None:
    session = await start()

    @tool
    def where(context: ToolContext, again: ToolContext) -> str:
        """Where we are."""
        return f"{context.scope.path} {context.scope.role} {context is again}"

    assert (await call(where, "{}", session.context, name="where")).text == "task.1/turn coder True"


# -- journal ---------------------------------------------------------------------------------------------------------------


async def test_a_resumed_run_neither_calls_nor_asks_again(start: Start) -> None:
    calls: list[str] = []
    questions: list[str] = []

    async def approve(context: ToolContext, tool: Tool, arguments: Any) -> bool | str:
        questions.append(tool.name)
        return "no writing to b" if arguments["path"] == "b" else True

    @tool(risk="write", name="write")
    def write_once(path: str) -> ToolResult:
        """Write a file."""
        calls.append(path)
        if path == "c":
            raise OSError("disk full")
        return ToolResult(f"wrote {path} {len(calls)}", sources=(Source(path, "1-2", "quote"),))

    async def work(session: Any) -> list[ToolResult]:
        return [await call(write_once, {"path": p}, session.context, name="write") for p in ("a", "a", "b", "c")]

    first = await start(people=People(approve=approve))
    before = await work(first)
    assert [r.text for r in before[:2]] == ["wrote a 1", "wrote a 2"]
    second = await start(people=People(approve=approve))
    assert await work(second) == before
    assert calls == ["a", "a", "c"]
    assert len(questions) == 4
    assert second.run.performed == 0
    assert [e.recalled for e in second.of(ToolCalled) if isinstance(e, ToolCalled)] == [True, True, False, True]
    # and what the first run had not done yet is done
    later = await call(write_once, {"path": "d"}, second.context, name="write")
    assert later.text == "wrote d 4"


async def test_a_redacted_result_is_the_same_after_resuming(start: Start) -> None:
    secret = "correct-horse-battery"

    @tool
    def leak() -> str:
        """Leak."""
        return f"the key is {secret}"

    first = await call(leak, "{}", (await start(secrets=(secret,))).context, name="leak")
    again = await call(leak, "{}", (await start(secrets=(secret,))).context, name="leak")
    assert first == again
    assert first.text == "the key is [redacted]"


@given(st.lists(st.sampled_from("abc"), max_size=8), st.data())
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_parallel_calls_resume_in_any_order(tmp_path_factory: Any, wanted: list[str], data: Any) -> None:
    from crewmix.journal.run import Run
    from crewmix.journal.scope import Scope
    from crewmix.journal.store import SqliteStore

    folder = tmp_path_factory.mktemp("run")
    performed: list[str] = []

    @tool
    async def echo(text: str) -> str:
        """Echo."""
        performed.append(text)
        return text.upper()

    async def work(epoch: int, order: list[str]) -> list[str]:
        store = SqliteStore(folder / "journal.db")
        try:
            await (store.create_run("r", "c", "g", {}) if epoch == 1 else store.claim("r"))
            context = ToolContext(Scope(Run("r", store, epoch), "turn"), folder)
            return [
                r.text for r in await asyncio.gather(*(call(echo, {"text": t}, context, name="echo") for t in order))
            ]
        finally:
            store.close()

    asyncio.run(work(1, wanted))
    shuffled = data.draw(st.permutations(wanted))
    assert asyncio.run(work(2, shuffled)) == [t.upper() for t in shuffled]
    assert sorted(performed) == sorted(wanted)
