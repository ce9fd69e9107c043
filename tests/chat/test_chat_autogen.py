"""What we rely on in AutoGen 0.7.5: mostly private, so each point is pinned here."""

import asyncio
import gc
import inspect
import logging
import subprocess
import sys
import weakref
from importlib.metadata import version

import pytest
from autogen_agentchat.messages import StopMessage
from autogen_agentchat.teams import BaseGroupChat
from autogen_agentchat.teams._group_chat._base_group_chat_manager import BaseGroupChatManager
from autogen_agentchat.teams._group_chat._chat_agent_container import ChatAgentContainer

from crewmix.agents.base import Contribution
from crewmix.chat import autogen_chat
from crewmix.chat.floor import Floor
from crewmix.chat.hold import hold
from support.chat_parts import Rounds, Waiting, member, running


def floor_of(here, rounds, members):
    return Floor(here.scope, Rounds(rounds), members, chooser=None, quorum=0, turn_seconds=60)


@pytest.fixture
def calls(monkeypatch):
    """Every call of the manager's hooks, in order."""
    seen = []
    for name in ("validate_group_state", "update_message_thread", "_transition_to_next_speakers", "select_speaker"):
        hook = getattr(autogen_chat.PatternManager, name)

        async def recorded(self, *args, _hook=hook, _name=name, **kwargs):
            seen.append((_name, len(self._active_speakers)))
            return await _hook(self, *args, **kwargs)

        monkeypatch.setattr(autogen_chat.PatternManager, name, recorded)
    return seen


def test_upstream_is_the_release_this_was_written_for():
    assert (version("autogen-agentchat"), version("autogen-core")) == ("0.7.5", "0.7.5")


async def test_a_run_without_a_task_begins_with_the_transition_hook(calls):
    async with running() as here:
        await autogen_chat.converse(floor_of(here, (("a", "b"), ("b",)), {"a": member(), "b": member()}))
    names = [name for name, _ in calls]
    assert names == [
        "validate_group_state",
        "_transition_to_next_speakers",
        "select_speaker",
        "update_message_thread",
        "update_message_thread",
        "_transition_to_next_speakers",
        "select_speaker",
        "update_message_thread",
        "_transition_to_next_speakers",
    ]


async def test_the_transition_hook_waits_for_all_speakers_of_a_round(calls):
    async with running() as here:
        members = {name: member() for name in "abc"}
        await autogen_chat.converse(floor_of(here, (("a", "b", "c"),), members))
    assert [left for name, left in calls if name == "update_message_thread"] == [3, 2, 1]
    assert [left for name, left in calls if name == "_transition_to_next_speakers"] == [0, 0]


async def test_what_a_member_brought_arrives_as_the_very_object(monkeypatch):
    brought = Contribution("a", "text")
    received = []
    original = Floor.next

    async def spy(self, said=()):
        received.extend(said)
        return await original(self, said)

    monkeypatch.setattr(Floor, "next", spy)
    async with running() as here:
        floor = floor_of(here, (("a", "b"),), {"a": member(), "b": member()})

        async def turn(role):
            return brought if role == "a" else None

        monkeypatch.setattr(floor, "turn", turn)
        await autogen_chat.converse(floor)
    assert len(received) == 2
    assert any(said is brought for said in received)
    assert None in received


def test_the_manager_takes_what_the_group_chat_gives():
    given = [n for n in inspect.signature(BaseGroupChat._create_group_chat_manager_factory).parameters if n != "self"]
    taken = inspect.signature(BaseGroupChatManager.__init__).parameters
    assert set(given) <= set(taken)
    assert taken["emit_team_events"].default is False


def test_messages_to_a_member_are_of_registered_types_only():
    source = inspect.getsource(ChatAgentContainer._buffer_message)
    assert "is_registered" in source


async def test_messages_carry_the_text_and_leave_the_rest_out_of_logs():
    said = Contribution("a", "hello")
    message = autogen_chat.Spoken(content="hello", source="a_1", contribution=said)
    assert message.contribution is said
    dumped = message.dump()
    assert dumped["content"] == "hello"
    assert "contribution" not in dumped
    assert message.to_model_message().content == "hello"


async def test_names_become_distinct_identifiers():
    names = ["Ärztin", "Arztin!", "第一", "第二", "a-b", "a_b", "1", "PatternManager"]
    async with running() as here:
        chat = autogen_chat.PatternGroupChat(floor_of(here, (), {name: member() for name in names}))
    seats = list(chat._seats.values())
    assert list(chat._seats) == names
    assert len(set(seats)) == len(names)
    assert all(seat.isidentifier() and seat.isascii() for seat in seats)


async def test_a_termination_signal_ends_the_run_and_its_runtime():
    async with running() as here:
        chat = autogen_chat.PatternGroupChat(floor_of(here, (("a",),), {"a": member()}))
        result = await chat.run()
        assert result.stop_reason == "the chat is over"
        assert [m.source for m in result.messages] == ["a_1"]
        assert chat._embedded_runtime
        assert chat._runtime._run_context is None
    assert isinstance(StopMessage(content="x", source="y"), StopMessage)


async def test_a_chat_that_is_over_leaves_nothing_behind():
    chats = []
    before = asyncio.all_tasks()
    async with running() as here:
        for _ in range(5):
            chat = autogen_chat.PatternGroupChat(floor_of(here, (("a", "b"),), {"a": member(), "b": member()}))
            chats.append(weakref.ref(chat))
            await chat.run()
        del chat
    assert asyncio.all_tasks() == before
    gc.collect()
    assert [ref() for ref in chats] == [None] * 5


async def test_a_stopped_floor_ends_the_group_chat_without_errors():
    waiting = Waiting()
    async with running() as here:
        floor = floor_of(here, (("a", "b"), ("a",)), {"a": waiting.member, "b": member()})
        chat = asyncio.create_task(autogen_chat.converse(floor))
        await waiting.began.wait()
        floor.stop()
        await chat
    assert waiting.cancelled
    assert [m.role for m in floor.transcript.messages] == ["b"]


def test_autogen_logs_warnings_and_worse_only():
    for name in ("autogen_core", "autogen_core.events", "autogen_agentchat", "autogen_agentchat.events"):
        assert logging.getLogger(name).getEffectiveLevel() >= logging.WARNING


def test_traces_hold_one_span_a_turn_and_no_text():
    pytest.importorskip("opentelemetry.sdk")
    script = """
import asyncio, sys
sys.path.insert(0, "tests")
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
spans = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(spans))
trace.set_tracer_provider(provider)
from support.chat_parts import Rounds, member, running
from crewmix.chat.hold import hold
async def main():
    async with running() as here:
        await hold(here.scope, Rounds((("a", "b"), ("a",))), {"a": member(), "b": member()})
asyncio.run(main())
made = spans.get_finished_spans()
names = sorted(s.name for s in made)
assert names[:2] == ["create_agent a_1", "create_agent b_2"], names
assert names[2:] == ["invoke_agent a_1", "invoke_agent a_1", "invoke_agent b_2"], names
assert "@" not in str([dict(s.attributes) for s in made])
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


async def test_a_loop_of_its_own_serves_every_chat():
    async with running() as here:
        for n in range(3):
            talk = await hold(here.scope.at(str(n)), Rounds((("a", "b"),)), {"a": member(), "b": member()})
            assert len(talk.transcript.messages) == 2


def test_the_runtime_traces_through_the_helper_that_is_replaced():
    from autogen_core import SingleThreadedAgentRuntime

    helper = SingleThreadedAgentRuntime()._tracer_helper
    assert callable(helper.trace_block)
