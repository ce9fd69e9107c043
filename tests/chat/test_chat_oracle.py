"""The AutoGen engine gives the very transcript of the plain one, whatever finishes first, for every pattern."""

import asyncio
import random
from dataclasses import dataclass, field
from zlib import crc32

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crewmix.agents.base import Contribution
from crewmix.chat import autogen_chat, native
from crewmix.chat.base import Choose, Judge, Member, Speakers
from crewmix.chat.hold import hold
from crewmix.chat.patterns import make_pattern
from crewmix.definitions.names import PATTERNS
from crewmix.definitions.seats import seats
from crewmix.definitions.spec import SynthesisSpec
from crewmix.definitions.spec_chat import ChatSpec, EdgeSpec, LayerSpec, NodeSpec, StopSpec
from crewmix.errors import ModelUnavailableError, QuorumError
from support.chat_parts import Rounds, echo, roles, running

NAMES = tuple("abcdef")
CREW = roles("a", "b", "c", critics=["critic"])
NUMBER = SynthesisSpec(method="majority", answer="number")


class Own:
    """A pattern of one's own with parallel rounds and picks."""

    def next(self, chat):
        return [["c", "a"], Choose(("a", "b")), ["a", "b", "critic"], None][chat.round]


@dataclass
class Conductor:
    """Holds back all who speak or judge at the same time until each has begun, then lets them finish in an order of its own."""

    pattern: object
    order: random.Random
    expected: int = 0
    begun: bool = False
    busy: bool = False
    waiting: dict = field(default_factory=dict)
    finished: list = field(default_factory=list)

    def next(self, chat):
        step = self.pattern.next(chat)
        self.expected = len(step.roles) if isinstance(step, Speakers) else 0
        self.expected = len(step.revisions) if isinstance(step, Judge) else self.expected
        self.begun = False
        return step

    def view(self, chat, role):
        return self.pattern.view(chat, role)

    def drafts(self, chat):
        return self.pattern.drafts(chat)

    async def turn(self, name):
        self.waiting[name] = gate = asyncio.get_running_loop().create_future()
        self.begun = self.begun or len(self.waiting) == self.expected
        self._release()
        await gate
        self.busy = False
        self.finished.append(name)
        self._release()

    def _release(self):
        if self.begun and not self.busy and self.waiting:
            self.busy = True
            self.waiting.pop(self.order.choice(list(self.waiting))).set_result(None)


def chance(*what):
    return crc32(repr(what).encode())


async def transcript(engine, pattern, members, order, seed, critics):
    """A chat in which replies depend on nothing but who speaks, the round, what is seen, and `seed`."""
    conductor = Conductor(pattern, random.Random(order))

    async def speak(view, number, scope):
        await conductor.turn(scope.role)
        seen = [(m.role, m.round, m.text) for m in (*view.messages, *view.drafts)]
        dice = chance(seed, scope.path, seen, view.ask)
        if dice % 7 == 0:
            raise ModelUnavailableError(f"{scope.role} is down")
        if dice % 11 == 0:
            return Contribution(scope.role, " ")
        verdict = ("approve" if dice % 3 == 0 else "revise") if scope.role in critics else None
        passed_to = (*view.pass_to, None)[dice % (len(view.pass_to) + 1)]
        text = f"{scope.path} after {chance(seen)}\nAnswer: {dice % 3}"
        return Contribution(scope.role, text, verdict, passed_to=passed_to)

    async def judge(revision, scope):
        await conductor.turn(scope.path)
        dice = chance(seed, revision.standing.text, revision.revised.text)
        if dice % 5 == 0:
            raise ModelUnavailableError("the judge is down")
        return dice % 2 == 0

    async def choose(chat, choice, scope):
        return choice.candidates[chance(seed, chat.round) % len(choice.candidates)]

    async with running() as here:
        table = {name: Member(speak, stand_in=speak if chance(seed, name) % 2 else None) for name in members}
        try:
            talk = await hold(here.scope, conductor, table, chooser=choose, reviser=judge, quorum=0, engine=engine)
        except QuorumError as error:
            return error.message, conductor.finished
    return (talk, pattern.drafts(talk.transcript)), conductor.finished


KINDS = {
    "round_robin": ChatSpec(stop_when="approved"),
    "selector": ChatSpec(pattern="selector", max_turns=6),
    "layers": ChatSpec(pattern="layers", layers=3, samples=2, shuffle=True),
    "per_layer": ChatSpec(
        pattern="layers", layers=3, per_layer=(LayerSpec(proposers=("a", "b", "c")), LayerSpec(proposers=("b", "c")))
    ),
    "vote": ChatSpec(pattern="vote", samples=2, stop=StopSpec(agree=3)),
    "debate": ChatSpec(pattern="debate", rounds=3),
    "always": ChatSpec(pattern="debate", accept="always", stop_when="approved", stop=StopSpec(agree=3)),
    "handoff": ChatSpec(pattern="handoff"),
    "graph": ChatSpec(
        pattern="graph",
        nodes={
            "plan": NodeSpec(role="a", next=("left", "right")),
            "left": NodeSpec(role="b", next=("check",)),
            "right": NodeSpec(role="c", next=("check",)),
            "check": NodeSpec(role="critic", next=(EdgeSpec(to="plan", when={"verdict": "revise"}),)),
        },
    ),
    "own": ChatSpec(),
}

ONE_AT_A_TIME = {"round_robin", "selector", "handoff"}


def make(kind):
    """A pattern and its members; nothing of it is kept between two chats."""
    chat = KINDS[kind]
    table = seats(chat, CREW)
    names = tuple(seat.name for seat in table)
    critics = {seat.name for seat in table if seat.role.approves}
    return make_pattern(chat, CREW, NUMBER, own=Own if kind == "own" else None), names, critics


def test_every_pattern_is_among_those_tried():
    assert {chat.pattern for chat in KINDS.values()} == set(PATTERNS)


@pytest.mark.parametrize("kind", KINDS)
def test_the_order_in_which_members_finish_changes_nothing(kind):
    """1,008 random orders of chats with parallel rounds, on both engines in turn, each against an order of the plain engine."""

    @settings(max_examples=5 if kind in ONE_AT_A_TIME else 36, deadline=None)
    @given(seed=st.integers(0, 10**6), orders=st.lists(st.integers(0, 10**6), min_size=4, max_size=4, unique=True))
    def held(seed, orders):
        pattern, members, critics = make(kind)
        outcome, _ = asyncio.run(transcript(native.converse, pattern, members, "first", seed, critics))
        for place, order in enumerate(orders):
            engine = (autogen_chat.converse, native.converse)[place % 2]
            again = asyncio.run(transcript(engine, make(kind)[0], members, order, seed, critics))
            assert again[0] == outcome

    held()


def test_the_orders_tried_are_different_orders():
    pattern, members, critics = make("layers")
    finished = {
        tuple(asyncio.run(transcript(native.converse, pattern, members, order, 1, critics))[1]) for order in range(20)
    }
    assert len(finished) > 15


chats = st.lists(st.lists(st.sampled_from(NAMES), unique=True, min_size=1).map(tuple), max_size=5).map(tuple)


@settings(max_examples=60, deadline=None)
@given(rounds=chats, orders=st.tuples(st.integers(), st.integers()), data=st.data())
def test_both_engines_give_the_same_transcript_of_any_rounds(rounds, orders, data):
    failing = data.draw(st.sets(st.tuples(st.integers(1, 5), st.sampled_from(NAMES)), max_size=6))

    async def held(engine, order):
        conductor = Conductor(Rounds(rounds), random.Random(order))

        async def speak(view, number, scope):
            await conductor.turn(scope.role)
            if (number, scope.role) in failing:
                raise ModelUnavailableError(f"{scope.role} is down")
            return echo(view.messages, number, scope)

        async with running() as here:
            return await hold(here.scope, conductor, {n: Member(speak) for n in NAMES}, quorum=0, engine=engine)

    first = asyncio.run(held(native.converse, orders[0]))
    assert first == asyncio.run(held(autogen_chat.converse, orders[1]))
    assert len(first.transcript.messages) == sum(map(len, rounds))
