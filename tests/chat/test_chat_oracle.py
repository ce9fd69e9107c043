"""The AutoGen engine gives the very transcript of the plain one, whatever finishes first."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from crewmix.chat import autogen_chat, native
from crewmix.chat.base import Member
from crewmix.chat.hold import hold
from crewmix.errors import ModelUnavailableError
from support.chat_parts import Rounds, echo, running

NAMES = tuple("abcdef")


class Conductor:
    """Lets the speakers of a round finish in a given order: all begin, then each is released when the one before is done."""

    def __init__(self, rounds, order, failing):
        self.rounds = rounds
        self.order = order
        self.failing = failing
        self.waiting = {}
        self.finished = []

    async def speak(self, view, number, scope):
        gate = asyncio.get_running_loop().create_future()
        self.waiting[scope.role] = gate
        if len(self.waiting) == len(self.rounds[number - 1]):
            self._release(number)
        await gate
        self.finished.append((number, scope.role))
        self._release(number)
        if (number, scope.role) in self.failing:
            raise ModelUnavailableError(f"{scope.role} is down")
        return echo(view.messages, number, scope)

    def _release(self, number):
        if self.waiting:
            first = min(self.waiting, key=self.order[number - 1].index)
            self.waiting.pop(first).set_result(None)


async def transcript(engine, rounds, order, failing):
    conductor = Conductor(rounds, order, failing)
    async with running() as here:
        members = {name: Member(conductor.speak) for name in NAMES}
        talk = await hold(here.scope, Rounds(rounds), members, quorum=0, engine=engine)
    wanted = [(n, r) for n, speakers in enumerate(rounds, 1) for r in order[n - 1] if r in speakers]
    assert conductor.finished == wanted, "the members did not finish in the order of this example"
    return talk


chats = st.lists(st.lists(st.sampled_from(NAMES), unique=True, min_size=1).map(tuple), max_size=5).map(tuple)


@settings(max_examples=60, deadline=None)
@given(rounds=chats, data=st.data())
def test_both_engines_give_the_same_transcript(rounds, data):
    failing = data.draw(st.sets(st.tuples(st.integers(1, 5), st.sampled_from(NAMES)), max_size=6))
    orders = [[data.draw(st.permutations(NAMES)) for _ in rounds] for _ in range(2)]
    first = asyncio.run(transcript(native.converse, rounds, orders[0], failing))
    second = asyncio.run(transcript(autogen_chat.converse, rounds, orders[1], failing))
    assert first == second
    assert len(first.transcript.messages) == sum(map(len, rounds))
