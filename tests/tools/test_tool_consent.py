"""Consent: which calls need it, who gives it, and what a resumed run makes of it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from pydantic import BaseModel

from crewmix import Tool, ToolContext, tool
from crewmix.definitions.spec import ApproveSpec
from crewmix.errors import WaitingError
from crewmix.journal.events import ApprovalAsked, PersonAsked, ToolCalled
from crewmix.tools.door import call
from crewmix.tools.people import Consent, People, Question
from support.tool_session import Start


class Item(BaseModel):
    sku: str
    amount: int = 1


@tool
def price(item: Item, country: str = "de") -> str:
    """Work out a price."""
    return f"{item.sku} * {item.amount} @ {country}"


@tool(risk="write")
def write(path: str, text: str = "hi") -> str:
    """Write a file."""
    return f"wrote {path}"


async def test_nobody_to_ask_means_no(start: Start) -> None:
    session = await start()
    result = await call(write, {"path": "a"}, session.context, name="write")
    assert (result.error, "nobody can be asked" in result.text) == ("denied", True)
    [asked] = session.of(ApprovalAsked)
    assert isinstance(asked, ApprovalAsked)
    assert (asked.tool, asked.arguments) == ("write", {"path": "a", "text": "hi"})
    assert asked.answer.startswith("no: ")
    assert len(session.of(ToolCalled)) == 1


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (True, None, "wrote a"),
        (False, "denied", "the person in charge said no"),
        ("not on Fridays", "denied", "write was not allowed: not on Fridays"),
        ("", "denied", "the person in charge said no"),
        (1, "denied", "`approve` gave 1 (int) instead of True, False or a text"),
        (None, "denied", "`approve` gave None (NoneType) instead of True"),
        (Consent.ALWAYS, None, "wrote a"),
    ],
)
async def test_a_person_decides(start: Start, answer: Any, error: str | None, words: str) -> None:
    asked: list[Any] = []

    async def approve(context: ToolContext, tool: Tool, arguments: Any) -> Any:
        asked.append((tool.name, dict(arguments)))
        return answer

    session = await start(people=People(approve=approve))
    result = await call(write, {"path": "a"}, session.context, name="write")
    assert result.error == error
    assert words in result.text
    assert asked == [("write", {"path": "a", "text": "hi"})]


async def test_a_question_that_cannot_be_put_means_no_and_is_put_again_when_resumed(start: Start) -> None:
    async def approve(context: ToolContext, tool: Tool, arguments: Any) -> bool:
        raise EOFError("no terminal")

    session = await start(people=People(approve=approve))
    result = await call(write, {"path": "a"}, session.context, name="write")
    assert (result.error, "EOFError: no terminal" in result.text) == ("denied", True)
    session = await start(people=People(approve=lambda *_: True))
    assert (await call(write, {"path": "a"}, session.context, name="write")).ok


async def test_that_nobody_was_there_is_no_answer_but_a_no_is(start: Start) -> None:
    assert not (await call(write, {"path": "a"}, (await start()).context, name="write")).ok
    session = await start(people=People(approve=lambda *_: "not today"))
    assert "not today" in (await call(write, {"path": "a"}, session.context, name="write")).text
    session = await start(people=People(approve=lambda *_: True))
    assert "not today" in (await call(write, {"path": "a"}, session.context, name="write")).text
    assert (await call(write, {"path": "b"}, session.context, name="write")).ok


async def test_always_holds_for_the_tool_and_the_run_also_after_resuming(start: Start) -> None:
    asked: list[str] = []

    def approve(context: ToolContext, tool: Tool, arguments: Any) -> bool | Consent:
        asked.append(f"{tool.name} {arguments['path']}")
        return Consent.ALWAYS if arguments["path"] == "b" else False

    @tool(risk="write")
    def delete(path: str) -> str:
        """Delete a file."""
        return f"deleted {path}"

    async def work(session: Any, *paths: str) -> list[bool]:
        return [(await call(write, {"path": path}, session.context, name="write")).ok for path in paths]

    session = await start(people=People(approve=approve))
    assert await work(session, "a", "b", "c") == [False, True, True]
    assert not (await call(delete, {"path": "a"}, session.context, name="delete")).ok
    again = await start()
    assert await work(again, "a", "b", "c", "d") == [False, True, True, True]
    assert asked == ["write a", "write b", "delete a"]
    asked_of_d = again.of(ApprovalAsked)[-1]
    assert isinstance(asked_of_d, ApprovalAsked)
    assert asked_of_d.answer == "yes, allowed for the whole run"


async def test_a_call_that_hangs_at_the_question_is_cancelled_with_its_caller(start: Start) -> None:
    asked, stopped, never = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def approve(context: ToolContext, tool: Tool, arguments: Any) -> bool:
        asked.set()
        try:
            await never.wait()
        except asyncio.CancelledError:
            stopped.set()
            await never.wait()  # does not want to stop
        return True

    session = await start(people=People(approve=approve))
    work = asyncio.create_task(call(write, {"path": "a"}, session.context, name="write"))
    await asked.wait()
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(work, 1)
    await stopped.wait()
    never.set()
    assert not session.of(ToolCalled)


async def test_a_run_that_waits_keeps_the_question_open(start: Start) -> None:
    session = await start(people=People(wait=True))
    with pytest.raises(WaitingError, match=r"coder wants to run write with .*\"path\":\"a\""):
        await call(write, {"path": "a"}, session.context, name="write")
    assert [event.kind for event in session.of(PersonAsked) if isinstance(event, PersonAsked)] == ["approval"]
    [kept] = session.run.store.recordings("r1")
    assert (kept.key.kind, kept.response, json.loads(kept.failure or "{}")["code"]) == ("approval", None, "waiting")


async def test_the_time_a_person_takes_is_not_the_tools(start: Start) -> None:
    answered = asyncio.Event()
    asked = asyncio.Event()

    async def ask(question: Question) -> str:
        asked.set()
        await answered.wait()
        return f"{question.role} hears: blue"

    @tool(timeout=0.05)
    async def colour(context: ToolContext) -> str:
        """Ask for a colour."""
        return await context.ask("Which colour?")

    session = await start(people=People(ask))
    work = asyncio.create_task(call(colour, {}, session.context, name="colour"))
    await asked.wait()
    late, _ = await asyncio.wait({work}, timeout=0.3)
    assert not late
    answered.set()
    assert (await work).text == "coder hears: blue"


@pytest.mark.parametrize(
    ("rules", "path", "allowed"),
    [
        ([("write", "always", "*")], "a", True),
        ([("w*", "always", '*"path":"out/*')], "out/a", True),
        ([("w*", "always", '*"path":"out/*')], "etc/passwd", False),
        ([("write", "never", "*"), ("*", "always", "*")], "a", False),
        ([("run_*", "always", "*")], "a", False),
        ([("*", "human", "*"), ("*", "always", "*")], "a", False),
        ([("WRITE", "always", "*")], "a", False),
    ],
)
async def test_the_first_rule_that_matches_decides(start: Start, rules: Any, path: str, allowed: bool) -> None:
    session = await start(rules=tuple(ApproveSpec(tools=t, by=by, arguments=a) for t, by, a in rules))
    result = await call(write, {"path": path}, session.context, name="write")
    assert result.ok is allowed
    [asked] = session.of(ApprovalAsked)
    assert isinstance(asked, ApprovalAsked)
    assert asked.answer.startswith("yes" if allowed else "no")


@pytest.mark.parametrize(
    ("by", "globs", "path", "allowed"),
    [
        ("always", {"path": "out/*"}, "out/a", True),
        ("always", {"path": "out/*"}, "out/sub/", True),
        ("always", {"path": "out/*"}, "a/out/b", False),
        ("always", {"path": "out/*"}, "out/../secret", False),
        ("always", '*"path":"out/*', "out/../secret", False),
        ("always", {"path": "out/*", "text": "h?"}, "out/a", True),
        ("always", {"path": "out/*", "text": "HI"}, "out/a", False),
        ("always", {"colour": "*"}, "out/a", False),
        ("never", {"path": "/etc/*"}, "/tmp/../etc/passwd", False),
        ("never", {"path": "/etc/*"}, "//etc/./passwd", False),
        ("never", {"path": "/etc/*"}, "/tmp/etc", True),
        ("always", {"path": "https://a.example/*"}, "https://a.example/x", True),
        ("always", {"path": "https://a.example/*"}, "https://a.example/../x", False),
        ("always", {"path": "https://a.example/x/*"}, "https://a.example/x/../y", False),
    ],
)
async def test_a_rule_can_be_about_one_argument_whatever_way_a_path_takes(
    start: Start, by: Any, globs: Any, path: str, allowed: bool
) -> None:
    otherwise = "never" if by == "always" else "always"
    rules = (ApproveSpec(tools="write", by=by, arguments=globs), ApproveSpec(tools="*", by=otherwise))
    session = await start(rules=rules)
    assert (await call(write, {"path": path}, session.context, name="write")).ok is allowed


async def test_rules_bind_reading_tools_too(start: Start) -> None:
    session = await start(rules=(ApproveSpec(tools="price", by="never", arguments='*"sku":"secret"*'),))
    assert (await call(price, '{"item": {"sku": "a"}}', session.context, name="price")).ok
    assert not session.of(ApprovalAsked)
    # however the model spells it, the rule sees the same text
    sneaky = '{ "item":\t{"sku": "\\u0073ecret"}}'
    assert (await call(price, sneaky, session.context, name="price")).error == "denied"
