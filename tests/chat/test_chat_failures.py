"""Members that fail: asked again, replaced, given up, and what a resumed run makes of it."""

import asyncio
from dataclasses import replace

import pytest

from crewmix.agents.base import Contribution
from crewmix.chat.base import Done, Member, Speakers, View
from crewmix.chat.hold import hold
from crewmix.chat.in_turn import RoundRobin
from crewmix.errors import BudgetExceededError, ModelUnavailableError, QuorumError, RunCancelledError
from crewmix.journal.events import MemberFailed, MemberReplaced, MessageSpoken, TurnStarted, Warned
from support.chat_parts import Paid, Rounds, Waiting, failing, member, raising, running, speaking, texts

DOWN = ModelUnavailableError("it is down")
STOP = RunCancelledError("stop")


class Flaky:
    """Fails its first tries; each try is an effect of its own place."""

    def __init__(self, *errors):
        self.errors = list(errors)
        self.places = []
        self.paid = []
        self.member = Member(self.speak, model="first/model")

    async def speak(self, view, number, scope):
        self.places.append(scope.path.removeprefix("task.1/chat/"))

        async def call():
            error = self.errors.pop(0) if self.errors else None
            if error is not None:
                raise error
            self.paid.append(self.places[-1])
            return f"{scope.role}@{number}<{' '.join(texts(view.messages))}>"

        text, _ = await scope.effect("model", {"prompt": texts(view.messages)}, call)
        return Contribution(scope.role, text)


async def test_a_failed_turn_is_taken_again_at_a_place_of_its_own(engine):
    async with running() as here:
        b = Flaky(DOWN, DOWN)
        members = {"a": member(), "b": b.member}
        talk = await hold(here.scope, Rounds((("a", "b"),)), members, retries=2, engine=engine)
        assert len(here.said(TurnStarted)) == 2
        assert here.said(MemberFailed) == []
        warnings = {e.message for e in here.said(Warned)}
    assert b.places == ["round.1/b", "round.1/b/again.1", "round.1/b/again.2"]
    assert texts(talk.transcript.messages) == ["a@1<>", "b@1<>"]
    assert warnings == {"b failed in round 1 of task 1 and was asked again: it is down"}


@pytest.mark.parametrize(
    "bad",
    [failing(DOWN), failing(ValueError("oh")), member(lambda v, n, s: Contribution(s.role, "")), Waiting().member],
    ids=["down", "broken", "empty", "late"],
)
async def test_when_all_tries_fail_another_model_takes_the_turn(engine, bad):
    seen = []

    def stands_in(view, number, scope):
        seen.append((scope.path, scope.role))
        return Contribution(scope.role, "from another model", model="other/model")

    async with running() as here:
        b = replace(bad, stand_in=speaking(stands_in), stand_in_model="other/model")
        talk = await hold(
            here.scope, Rounds((("a", "b"),)), {"a": member(), "b": b}, retries=1, turn_seconds=0.03, engine=engine
        )
        [replaced] = here.said(MemberReplaced)
        assert here.said(MemberFailed) == []
        assert [e.role for e in here.said(MessageSpoken)] == ["a", "b"]
        last = here.said(Warned)[-1]
    assert (replaced.role, replaced.round, replaced.model, replaced.task) == ("b", 1, "other/model", "1")
    assert replaced.reason
    assert last.message == f"b failed in round 1 of task 1 and its turn was taken by other/model: {replaced.reason}"
    assert seen == [("task.1/chat/round.1/b/stand_in", "b")]
    assert texts(talk.transcript.messages) == ["a@1<>", "from another model"]


async def test_when_the_stand_in_fails_too_the_turn_is_lost_and_the_reason_named(engine):
    async with running() as here:
        b = replace(
            failing(DOWN), stand_in=speaking(raising(ModelUnavailableError("so is this"))), stand_in_model="o/m"
        )
        talk = await hold(here.scope, Rounds((("a", "b"),)), {"a": member(), "b": b}, retries=1, engine=engine)
        [failed] = here.said(MemberFailed)
    assert (failed.role, failed.code, failed.message) == ("b", "model_unavailable", "so is this")
    assert talk.transcript.messages[1].contribution.failure.message == "so is this"


async def test_a_used_up_budget_is_not_tried_again(engine):
    over = BudgetExceededError("calls", "run", allowed=1, needed=2)
    async with running() as here:
        a = Flaky(over)
        b = replace(a.member, stand_in=speaking())
        talk = await hold(here.scope, Rounds((("a", "b"),)), {"a": member(), "b": b}, retries=5, engine=engine)
        assert here.said(MemberReplaced) == []
    assert talk.stopped is over
    assert a.places == ["round.1/b"]


async def test_every_speaker_has_a_deadline_of_its_own(engine):
    """One is late in round 1; that takes nothing from those who speak after it or beside it."""
    late = Waiting()
    beside = asyncio.Event()

    def say(view, number, scope):
        beside.set()
        return Contribution(scope.role, "in time")

    async with running() as here:
        members = {"a": late.member, "b": member(say), "c": member(say)}
        talk = await hold(
            here.scope, Rounds((("a", "b"), ("c",), ("b", "c"))), members, turn_seconds=0.05, engine=engine
        )
    assert late.cancelled
    assert texts(talk.transcript.messages) == ["", *["in time"] * 4]


async def test_the_warning_of_a_pattern_reaches_the_reader(engine):
    async with running() as here:
        await hold(here.scope, Rounds((("a",),), warning="it was cut"), {"a": member(), "b": member()}, engine=engine)
        [warning] = here.said(Warned)
    assert (warning.message, warning.scope) == ("it was cut", "task.1/chat")


async def test_the_pattern_says_what_counts_for_the_quorum(engine):
    class LastOnly(Rounds):
        def drafts(self, chat):
            return chat.spoken[-1:]

    async with running() as here:
        members = {"a": member(), "b": member()}
        pattern = LastOnly((("a",), ("b",)))
        assert (await hold(here.scope, pattern, members, quorum=1, engine=engine)).reason == "all rounds held"
        with pytest.raises(QuorumError, match="only 1 of at least 2"):
            await hold(here.scope.at("2"), pattern, members, quorum=2, engine=engine)


# -- resuming ----------------------------------------------------------------------------------------------------------


async def test_a_resumed_run_goes_on_with_the_try_it_was_at(engine, tmp_path):
    pattern = Rounds((("a", "b"), ("a",)))
    async with running(tmp_path / "j.db") as here:
        b = Flaky(DOWN, DOWN)
        members = {"a": Paid({2: STOP}).member, "b": b.member}
        with pytest.raises(RunCancelledError):
            await hold(here.scope, pattern, members, retries=3, engine=engine)
        assert b.paid == ["round.1/b/again.2"]
    async with running(tmp_path / "j.db") as here:
        b, a = Flaky(), Paid()
        talk = await hold(here.scope, pattern, {"a": a.member, "b": b.member}, retries=3, engine=engine)
        assert here.run.performed == 1
        assert len(here.said(Warned)) == 2
    assert b.places == ["round.1/b/again.2"]
    assert (a.paid, b.paid) == ([2], [])
    assert texts(talk.transcript.messages) == ["a@1<>", "b@1<>", "a@2<a1 b1>"]


async def test_a_crash_between_two_tries_does_not_ask_the_first_again(engine, tmp_path):
    pattern = Rounds((("a", "b"),))
    async with running(tmp_path / "j.db") as here:
        b = Flaky(DOWN, STOP)
        with pytest.raises(RunCancelledError):
            await hold(here.scope, pattern, {"a": member(), "b": b.member}, retries=1, engine=engine)
    async with running(tmp_path / "j.db") as here:
        b = Flaky()
        await hold(here.scope, pattern, {"a": member(), "b": b.member}, retries=1, engine=engine)
    assert b.paid == ["round.1/b/again.1"]


async def test_a_stand_in_that_was_paid_stays_the_stand_in(engine, tmp_path):
    pattern = Rounds((("a", "b"), ("b",), ("a",)))
    for attempt in range(2):
        async with running(tmp_path / "j.db") as here:
            first, other = Flaky(DOWN if attempt == 0 else None), Flaky()
            a = Paid({3: STOP} if attempt == 0 else {})
            b = replace(first.member, stand_in=other.speak, stand_in_model="other/model")
            try:
                talk = await hold(here.scope, pattern, {"a": a.member, "b": b}, engine=engine)
            except RunCancelledError:
                assert attempt == 0
            assert [e.round for e in here.said(MemberReplaced)] == [1]
    assert first.places == ["round.2/b"]
    assert (first.paid, other.paid, a.paid) == ([], [], [3])
    assert texts(talk.transcript.messages)[:3] == ["a@1<>", "b@1<>", "b@2<a@1<> b@1<>>"]


async def test_after_a_missed_quorum_what_was_brought_in_a_second_try_is_not_paid_again(engine, tmp_path):
    pattern = Rounds((("a", "b", "c"),))
    async with running(tmp_path / "j.db") as here:
        b, c = Flaky(DOWN), Flaky(DOWN, DOWN)
        members = {"a": Paid().member, "b": b.member, "c": c.member}
        with pytest.raises(QuorumError):
            await hold(here.scope, pattern, members, quorum=3, retries=1, engine=engine)
        assert (b.paid, c.paid) == (["round.1/b/again.1"], [])
    async with running(tmp_path / "j.db") as here:
        a, b, c = Paid(), Flaky(), Flaky()
        members = {"a": a.member, "b": b.member, "c": c.member}
        talk = await hold(here.scope, pattern, members, quorum=3, retries=1, engine=engine)
    assert (a.paid, b.paid, c.paid) == ([], [], ["round.1/c"])
    assert b.places == ["round.1/b/again.1"]
    assert len(talk.transcript.spoken) == 3


async def test_failures_before_a_missed_quorum_are_asked_again_everywhere(engine, tmp_path):
    pattern = RoundRobin(("a", "b"), 4)
    async with running(tmp_path / "j.db") as here:
        members = {"a": Paid({1: DOWN, 3: DOWN}).member, "b": Paid({2: DOWN}).member}
        with pytest.raises(QuorumError):
            await hold(here.scope, pattern, members, quorum=2, engine=engine)
    async with running(tmp_path / "j.db") as here:
        a, b = Paid(), Paid()
        await hold(here.scope, pattern, {"a": a.member, "b": b.member}, quorum=2, engine=engine)
    assert (a.paid, b.paid) == ([1, 3], [2, 4])


async def test_nothing_of_a_view_but_the_view_reaches_a_speaker(engine):
    """A pattern's ask, schema and ways travel to the member as they are."""
    given = []
    shown = View(ask="do this", schema={"type": "object"}, pass_to=("b",))

    class Shows:
        def next(self, chat):
            return Done("over") if chat.round else Speakers(("a", "b"))

        def view(self, chat, role):
            return shown

        def drafts(self, chat):
            return chat.spoken

    async def speak(view, number, scope):
        given.append(view)
        return Contribution(scope.role, "x", data={"n": 1}, passed_to="b")

    async with running() as here:
        talk = await hold(here.scope, Shows(), {"a": Member(speak), "b": Member(speak)}, engine=engine)
    assert all(view is shown for view in given)
    assert [m.contribution.data for m in talk.transcript.messages] == [{"n": 1}, {"n": 1}]
    assert talk.transcript.messages[0].contribution.passed_to == "b"
