"""Users' own AutoGen agents on the crew's models: metered, journaled, cancelled."""

import asyncio

import pytest
from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.conditions import MaxMessageTermination
from autogen_agentchat.teams import RoundRobinGroupChat
from autogen_core import CancellationToken, FunctionCall, Image
from autogen_core.models import (
    AssistantMessage,
    CreateResult,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    SystemMessage,
    UserMessage,
)
from autogen_core.tools import FunctionTool
from pydantic import BaseModel

from crewmix.errors import BudgetExceededError, ModelUnavailableError, NotFoundError, UsageError
from crewmix.journal.budget import Ledger, Limits
from crewmix.journal.events import ModelCalled
from crewmix.models.adapters.autogen_client import GatewayChatCompletionClient
from crewmix.models.drivers.scripted import Rule, ScriptedCall, ScriptedModel, ScriptedUsage
from crewmix.models.gateway import Gateway
from crewmix.models.profile import Profile
from crewmix.models.types import ChatMessage, ToolCall
from support.chat_parts import running

HELLO = [UserMessage(content="hello", source="user")]


class Recording:
    """Remembers what the model was asked; waits forever when it has nothing to say."""

    def __init__(self, *rules):
        self.script = ScriptedModel(rules) if rules else None
        self.requests = []
        self.cancelled = asyncio.Event()
        self.loop = None

    async def complete(self, request, on_delta=None):
        self.requests.append(request)
        if self.script is not None:
            return await self.script.complete(request, on_delta)
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self.loop.call_soon_threadsafe(self.cancelled.set)


def client_of(here, *rules, ledger=None, window=1000):
    model = Recording(*rules)
    model.loop = asyncio.get_running_loop()
    profile = Profile(
        "default", "python/test", "python", "test", local=True, attempts=1, declared_window=window, driver=model
    )
    client = GatewayChatCompletionClient(
        Gateway({"default": profile}), here.scope.at("mine", role="me").charged_to(ledger)
    )
    return client, model


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


ADD = FunctionTool(add, description="Add two numbers.")


async def test_a_call_is_answered_metered_and_announced():
    async with running() as here:
        ledger = Ledger("run")
        usage = ScriptedUsage(input_tokens=7, output_tokens=3)
        client, _ = client_of(here, Rule(text="hi", usage=usage), ledger=ledger)
        result = await client.create(HELLO)
        [called] = here.said(ModelCalled)
    assert (result.content, result.finish_reason, result.cached, result.thought) == ("hi", "stop", False, None)
    assert (result.usage.prompt_tokens, result.usage.completion_tokens) == (7, 3)
    assert (ledger.calls, ledger.tokens) == (1, 10)
    assert (called.role, called.model, called.scope) == ("me", "python/test", "task.1/chat/mine")
    for total in (client.total_usage(), client.actual_usage()):
        assert (total.prompt_tokens, total.completion_tokens) == (7, 3)
    await client.close()


async def test_every_kind_of_message_is_understood():
    async with running() as here:
        client, model = client_of(here, Rule(text="ok"))
        await client.create(
            [
                SystemMessage(content="be brief"),
                UserMessage(content="first", source="ann"),
                UserMessage(content=["second", "part"], source="bob"),
                AssistantMessage(content=[FunctionCall("c1", '{"a":1}', "add")], thought="let me see", source="me"),
                FunctionExecutionResultMessage(
                    content=[FunctionExecutionResult(content="2", name="add", call_id="c1", is_error=False)]
                ),
                AssistantMessage(content="it is 2", source="me"),
                UserMessage(content="third", source="ann"),
                UserMessage(content="fourth", source="ann"),
            ]
        )
    assert model.requests[0].messages == (
        ChatMessage("system", "be brief"),
        ChatMessage("user", "ann:\nfirst\n\nbob:\nsecond\npart"),
        ChatMessage("assistant", "let me see", tool_calls=(ToolCall("c1", "add", '{"a":1}'),)),
        ChatMessage("tool", "2", tool_call_id="c1", name="add"),
        ChatMessage("assistant", "it is 2"),
        ChatMessage("user", "third\n\nfourth"),
    )


async def test_tools_are_offered_and_called():
    async with running() as here:
        rule = Rule(text="", tool_calls=(ScriptedCall(name="add", arguments={"a": 1, "b": 2}),))
        client, model = client_of(here, rule)
        result = await client.create(HELLO, tools=[ADD, {"name": "bare"}])
        await client.create(HELLO, tools=[ADD, {"name": "bare"}], tool_choice=ADD)
    [call] = result.content
    assert (call.name, call.arguments, result.finish_reason) == ("add", '{"a": 1, "b": 2}', "function_calls")
    first, second = model.requests
    assert [t.name for t in first.tools] == ["add", "bare"]
    assert set(first.tools[0].parameters["properties"]) == {"a", "b"}
    assert [t.name for t in second.tools] == ["add"]


async def test_no_tool_is_offered_when_none_may_be_called():
    async with running() as here:
        client, model = client_of(here, Rule(text="ok"))
        await client.create(HELLO, tools=[ADD], tool_choice="none")
    assert model.requests[0].tools == ()


async def test_json_of_a_wanted_shape():
    class City(BaseModel):
        name: str

    async with running() as here:
        client, model = client_of(here, Rule(json={"name": "Porto"}))
        result = await client.create(HELLO, json_output=City)
        assert City.model_validate_json(result.content).name == "Porto"
        await client.create(HELLO, json_output=True)
        await client.create(HELLO, json_output=False)
    assert [r.schema_name for r in model.requests] == ["City", "reply", "reply"]
    assert [r.schema is None for r in model.requests] == [False, False, True]


async def test_options_are_passed_on():
    async with running() as here:
        client, model = client_of(here, Rule(text="ok"))
        extra = {"temperature": 0.5, "max_tokens": 9, "stop": "END", "seed": 4}
        await client.create(HELLO, extra_create_args=extra)
    request = model.requests[0]
    assert (request.temperature, request.max_output_tokens, request.stop, request.seed) == (0.5, 9, ("END",), 4)


async def test_a_stream_gives_the_pieces_and_then_the_result():
    async with running() as here:
        client, _ = client_of(here, Rule(stream=("a ", "b ", "c")))
        pieces = [piece async for piece in client.create_stream(HELLO)]
    assert pieces[:-1] == ["a ", "b ", "c"]
    assert isinstance(pieces[-1], CreateResult)
    assert pieces[-1].content == "a b c"


async def test_an_error_ends_a_stream():
    async with running() as here:
        client, _ = client_of(here, Rule(error="unavailable"))
        with pytest.raises(ModelUnavailableError):
            [piece async for piece in client.create_stream(HELLO)]


async def test_a_token_cancels_the_call():
    async with running() as here:
        client, model = client_of(here)
        token = CancellationToken()
        call = asyncio.create_task(client.create(HELLO, cancellation_token=token))
        while not model.requests:
            await asyncio.sleep(0)
        token.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await model.cancelled.wait()


async def test_leaving_a_stream_cancels_the_call():
    async with running() as here:
        client, model = client_of(here)
        stream = client.create_stream(HELLO)
        piece = asyncio.ensure_future(anext(stream))
        while not model.requests:
            await asyncio.sleep(0)
        piece.cancel()
        with pytest.raises(asyncio.CancelledError):
            await piece
        await model.cancelled.wait()


async def test_tokens_are_counted_without_asking_the_model():
    async with running() as here:
        client, model = client_of(here, Rule(text="ok"), window=5000)
        short, long = [UserMessage(content="word " * n, source="u") for n in (10, 1000)]
        assert client.count_tokens([short]) < client.count_tokens([long]) < 2000
        assert client.count_tokens([short]) < client.count_tokens([short], tools=[ADD])
        assert client.remaining_tokens([long]) <= 5000 - client.count_tokens([long])
    assert model.requests == []


async def test_what_cannot_be_done_is_said():
    pixel = Image.from_base64(
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
    )
    async with running() as here:
        client, model = client_of(here, Rule(text="ok"))
        with pytest.raises(UsageError, match="images"):
            await client.create([UserMessage(content=["look", pixel], source="u")])
        with pytest.raises(UsageError, match="required"):
            await client.create(HELLO, tools=[ADD], tool_choice="required")
        with pytest.raises(UsageError, match="'logit_bias'"):
            await client.create(HELLO, extra_create_args={"logit_bias": {}})
        with pytest.raises(NotFoundError):
            GatewayChatCompletionClient(Gateway({}), here.scope)
    assert model.requests == []


async def test_what_the_model_can_do_is_known_to_agents():
    async with running() as here:
        client, _ = client_of(here, Rule(text="ok"))
    assert client.model_info["function_calling"]
    assert not client.model_info["vision"]
    assert client.capabilities == client.model_info


async def test_an_assistant_works_on_the_crews_model_within_its_budget():
    rules = (
        Rule(contains="3", text="it is 3"),
        Rule(text="", tool_calls=(ScriptedCall(name="add", arguments={"a": 1, "b": 2}),)),
    )
    async with running() as here:
        ledger = Ledger("run", Limits(calls=3))
        client, _ = client_of(here, *rules, ledger=ledger)
        agent = AssistantAgent("calculator", client, tools=[ADD], reflect_on_tool_use=True)
        result = await agent.run(task="add one and two")
        assert result.messages[-1].content == "it is 3"
        assert ledger.calls == 2
        team = RoundRobinGroupChat([agent], termination_condition=MaxMessageTermination(9))
        with pytest.raises(RuntimeError, match="BudgetExceededError"):
            await team.run(task="add one and two")
        assert ledger.calls == 3
        with pytest.raises(BudgetExceededError):
            await client.create(HELLO)


async def test_a_resumed_run_pays_no_call_twice(tmp_path):
    for text, asked in (("first", 1), ("second", 0)):
        async with running(tmp_path / "j.db") as here:
            client, model = client_of(here, Rule(text=text))
            result = await client.create(HELLO)
            streamed = [piece async for piece in client.create_stream(HELLO)]
        assert result.content == streamed[-1].content == "first"
        assert len(model.requests) == 2 * asked
