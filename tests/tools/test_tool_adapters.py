"""Tools of crewAI and AutoGen as ours, and ours as theirs: the model gets the same texts either way."""

from __future__ import annotations

import asyncio
import json
import threading
from pathlib import Path
from typing import Any

import pytest
from autogen_core import CancellationToken
from pydantic import BaseModel, Field

from crewmix import Tool, ToolResult, tool
from crewmix.definitions.project import Project
from crewmix.definitions.spec import ApproveSpec
from crewmix.errors import ToolDefinitionError
from crewmix.models.adapters.crewai_silence import load_crewai
from crewmix.tools.door import call
from crewmix.tools.registry import load_tools
from support.tool_session import Session, Start

ALL = (ApproveSpec(tools="*", by="always"),)


@pytest.fixture(scope="module", autouse=True)
def crewai() -> None:
    load_crewai()


class Item(BaseModel):
    sku: str
    amount: int = Field(1, ge=1)


@tool
def price(item: Item, country: str = "de", json: str | None = None) -> str:
    """Work out a price."""
    if item.sku == "gone":
        raise LookupError("sold out")
    return f"{type(item).__name__} {item.sku} * {item.amount} @ {country} {json}"


SCHEMA = {
    "type": "object",
    "properties": {"q": {"type": "string", "maxLength": 5}, "copy": {"type": "integer"}},
    "required": ["q"],
    "additionalProperties": False,
}
by_schema = Tool("by_schema", "Echoes.", SCHEMA, lambda arguments, context: dict(arguments))


def crewai_tools() -> dict[str, Any]:
    from crewai.tools import BaseTool
    from crewai.tools import tool as crewai_tool
    from crewai.tools.tool_failure import ToolFailure

    class UpperCase(BaseTool):
        name: str = "Upper Case"
        description: str = "Upper-case a text."

        def _run(self, text: str, times: int = 1) -> Any:
            if text == "boom":
                raise RuntimeError("it broke")
            if text == "fail":
                return ToolFailure(message="declared failure")
            return text.upper() * times + f" in {threading.current_thread().name}"

    class Sku(BaseModel):
        sku: str

    class PriceArguments(BaseModel):
        item: Sku
        currency: str | None = None

    class Price(BaseTool):
        name: str = "getPrice"
        description: str = "A price."
        args_schema: type[BaseModel] = PriceArguments

        async def _run(self, item: Any, currency: str | None = None) -> str:
            return f"{item} {currency} {asyncio.get_running_loop() is not None}"

    class NeedsKey(BaseTool):
        name: str = "needs key"
        description: str = "Needs a key."
        key: str

        def _run(self) -> str:
            return self.key

    @crewai_tool("Add Numbers")
    def add(a: int, b: int) -> int:
        """Add two numbers."""
        return a + b

    return {"upper": UpperCase, "price": Price, "key": NeedsKey, "add": add}


async def test_crewai_tools_become_ours(start: Start, tmp_path: Path) -> None:
    theirs = crewai_tools()
    tools = load_tools(
        ["upper_case", "get_price", "Add Numbers"],
        Project(tmp_path),
        [theirs["upper"](), theirs["price"], theirs["add"]],
    )
    upper, price, add = tools["upper_case"], tools["get_price"], tools["Add Numbers"]
    assert (upper.description, upper.risk) == ("Upper-case a text.", "net")
    session = await start(rules=ALL)

    async def text(used: Tool, **arguments: Any) -> str:
        return (await call(used, arguments, session.context, name=used.name)).text

    assert await text(upper, text="hey", times=2) == "HEYHEY in crewmix-tool-upper_case"
    assert await text(price, item={"sku": "a"}) == "{'sku': 'a'} None True"
    assert await text(add, a=2, b=3) == "5"
    assert (await text(upper, text="boom")).startswith("upper_case failed: RuntimeError: it broke")
    assert await text(upper, text="fail") == "declared failure"
    wrong = await text(upper, text="hey", times="many")
    assert wrong.startswith('Wrong arguments for upper_case: "times": ')
    assert "It takes: text (string, required), times (integer, default 1)." in wrong


async def test_unknown_risk_needs_consent(start: Start) -> None:
    from crewmix.tools.adapters.crewai import from_crewai

    session = await start()
    add = crewai_tools()["add"]
    assert (await call(from_crewai(add), {"a": 1, "b": 2}, session.context, name="add")).error == "denied"
    assert (await call(from_crewai(add, risk="read"), {"a": 1, "b": 2}, session.context, name="add")).text == "3"


def test_a_crewai_class_that_needs_settings_says_so(tmp_path: Path) -> None:
    with pytest.raises(ToolDefinitionError, match="NeedsKey cannot be made without arguments") as caught:
        load_tools([], Project(tmp_path), [crewai_tools()["key"]])
    assert "NeedsKey(…)" in str(caught.value.hint)


def test_a_project_file_may_define_crewai_tools(tmp_path: Path) -> None:
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "theirs.py").write_text(
        "from crewai.tools import BaseTool\n"
        "class Shout(BaseTool):\n"
        "    name: str = 'Shout Loud'\n"
        "    description: str = 'Shouts.'\n"
        "    def _run(self, text: str) -> str:\n"
        "        return text.upper()\n"
        "class WhisperTool(Shout):\n"
        "    name: str = 'x'\n"
        "whisper = WhisperTool()\n"
    )
    tools = load_tools(["shout_loud", "whisper"], Project(tmp_path))
    assert [(t.name, t.source) for t in tools.values()] == [(n, "tools/theirs.py") for n in ("shout_loud", "whisper")]


def blocking(session: Session) -> Any:
    """A `call` as the crewAI actor provides it: from worker threads to the test's loop."""
    loop = asyncio.get_running_loop()

    def wait(used: Tool, arguments: dict[str, Any]) -> ToolResult:
        work = call(used, arguments, session.context, name=used.name)
        return asyncio.run_coroutine_threadsafe(work, loop).result()

    return wait


async def test_our_tools_inside_crewai(start: Start) -> None:
    from crewai.tools.tool_failure import ToolFailure, ToolFailureReason

    from crewmix.tools.adapters.crewai import to_crewai

    session = await start()
    theirs = to_crewai(price, blocking(session))
    assert (theirs.name, theirs.description) == ("price", "Work out a price.")
    assert theirs.args_schema.model_json_schema()["properties"].keys() == {"item", "country", "json"}
    assert theirs.cache_function({}, "") is False
    arguments = {"item": {"sku": "a"}, "country": None, "json": "j"}
    assert await asyncio.to_thread(theirs.run, **arguments) == "Item a * 1 @ de j"
    assert await theirs.arun(**arguments) == "Item a * 1 @ de j"
    wrong = await asyncio.to_thread(theirs.run, item={"sku": "a", "amount": 0})
    assert isinstance(wrong, ToolFailure)
    assert (wrong.reason, wrong.code) == (ToolFailureReason.INVALID_INPUT, "bad_args")
    assert "greater than or equal to 1" in wrong.message
    failed = await asyncio.to_thread(theirs.run, item={"sku": "gone"})
    assert isinstance(failed, ToolFailure)
    assert (failed.reason, failed.code) == (ToolFailureReason.TOOL_REPORTED, "failed")
    assert "sold out" in failed.message


async def test_a_tool_with_only_a_schema_inside_crewai(start: Start) -> None:
    from crewmix.tools.adapters.crewai import to_crewai

    session = await start()
    theirs = to_crewai(by_schema, blocking(session))
    assert theirs.args_schema.model_json_schema() == SCHEMA
    assert json.loads(await asyncio.to_thread(theirs.run, q="hey", copy=1)) == {"q": "hey", "copy": 1}
    failed = await asyncio.to_thread(theirs.run, q="too long")
    assert failed.code == "bad_args"
    # the way crewAI takes when a model cannot call tools natively
    structured = theirs.to_structured_tool()
    assert json.loads(await asyncio.to_thread(structured.invoke, {"q": "hey"})) == {"q": "hey"}


async def test_autogen_tools_become_ours(start: Start, tmp_path: Path) -> None:
    from autogen_core.tools import FunctionTool

    async def add(a: int, b: int = 1) -> int:
        if a < 0:
            raise ValueError("too small")
        return a + b

    theirs = FunctionTool(add, description="Add two numbers.", name="addNumbers")
    ours = load_tools(["add_numbers"], Project(tmp_path), [theirs])["add_numbers"]
    session = await start(rules=ALL)
    assert (ours.risk, ours.description) == ("net", "Add two numbers.")
    assert (await call(ours, {"a": 2, "b": 3}, session.context, name=ours.name)).text == "5"
    assert (await call(ours, {"a": 2, "b": None}, session.context, name=ours.name)).text == "3"
    assert "ValueError: too small" in (await call(ours, {"a": -1}, session.context, name=ours.name)).text
    wrong = await call(ours, {"a": "x"}, session.context, name=ours.name)
    assert (wrong.error, "'x' is not of type 'integer'" in wrong.text) == ("bad_args", True)


async def test_a_hanging_autogen_tool_sees_its_token_cancelled(start: Start) -> None:
    from autogen_core.tools import FunctionTool

    from crewmix.tools.adapters.autogen import from_autogen

    tokens: list[CancellationToken] = []
    reached = asyncio.Event()

    async def hang(cancellation_token: CancellationToken) -> str:
        tokens.append(cancellation_token)
        try:
            await asyncio.Event().wait()
        finally:
            reached.set()
        return "never"

    ours = from_autogen(FunctionTool(hang, description="Hangs."), risk="read", timeout=0.05)
    session = await start()
    assert (await call(ours, {}, session.context, name="hang")).error == "timeout"
    await asyncio.wait_for(reached.wait(), 5)
    assert tokens[0].is_cancelled()


@pytest.mark.parametrize("used", [price, by_schema], ids=["model", "schema"])
async def test_our_tools_inside_autogen(start: Start, used: Tool) -> None:
    from autogen_core.tools import StaticWorkbench

    from crewmix.tools.adapters.autogen import to_autogen

    session = await start()

    async def through_door(used: Tool, arguments: dict[str, Any]) -> ToolResult:
        return await call(used, arguments, session.context, name=used.name)

    theirs = to_autogen(used, through_door)
    assert theirs.schema["parameters"] == used.parameters
    assert theirs.schema["strict"] is False
    workbench = StaticWorkbench([theirs])
    arguments: dict[str, Any] = {"item": {"sku": "a"}, "json": "j"} if used is price else {"q": "hey"}
    good = await workbench.call_tool(used.name, arguments)
    assert (good.is_error, good.to_text()) == (False, "Item a * 1 @ de j" if used is price else '{"q": "hey"}')
    bad = await workbench.call_tool(used.name, {"nonsense": 1})
    assert bad.is_error
    assert f"Wrong arguments for {used.name}" in bad.to_text()
