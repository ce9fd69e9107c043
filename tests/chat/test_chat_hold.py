"""What users get from a chat, whichever engine holds it."""

import asyncio
import contextvars
import logging
import subprocess
import sys

import pytest

from crewmix.agents.base import Contribution, Failure
from crewmix.chat.base import Member, View
from crewmix.chat.hold import hold
from crewmix.chat.in_turn import RoundRobin
from crewmix.errors import (
    BudgetExceededError,
    FencedError,
    ModelSetupError,
    ModelUnavailableError,
    QuorumError,
    ReplayMissError,
    RunCancelledError,
    StorageError,
    UsageError,
)
from crewmix.journal.events import MemberFailed, MessageSpoken, TurnStarted
from support.chat_parts import Paid, Rounds, Waiting, echo, failing, member, running

OVER_BUDGET = BudgetExceededError("calls", "run", allowed=1, needed=2)


def lines(talk):
    return [f"{m.round} {m.role} {m.text or m.contribution.failure.code}" for m in talk.transcript.messages]


async def test_members_speak_in_turn_and_see_what_was_said(engine):
    async with running() as here:
        talk = await hold(here.scope, RoundRobin(("a", "b"), 3), {"a": member(), "b": member()}, engine=engine)
    assert lines(talk) == ["1 a a@1<>", "2 b b@2<a1>", "3 a a@3<a1 b2>"]
    assert (talk.reason, talk.stopped) == ("3 turns", None)


async def test_a_round_is_spoken_in_parallel_and_kept_in_crew_order(engine):
    began = {name: asyncio.Event() for name in "abc"}

    async def speak(view, number, scope):
        began[scope.role].set()
        # Each waits for all: passes only if they speak at the same time. They end in the order c, b, a.
        for event in began.values():
            await event.wait()
        for _ in range({"a": 30, "b": 20, "c": 10}[scope.role]):
            await asyncio.sleep(0)
        return echo(view.messages, number, scope)

    async with running() as here:
        members = {name: Member(speak) for name in "abc"}
        talk = await hold(here.scope, Rounds((("c", "b", "a"), ("a",))), members, engine=engine)
    assert lines(talk) == ["1 a a@1<>", "1 b b@1<>", "1 c c@1<>", "2 a a@2<a1 b1 c1>"]
    assert [e.role for e in here.said(MessageSpoken)] == ["c", "b", "a", "a"]


async def test_a_turn_has_its_own_place_in_the_run(engine):
    seen = {}

    def say(view, number, scope):
        seen[number] = (scope.path, scope.role, scope.task)
        return echo(view, number, scope)

    async with running() as here:
        await hold(here.scope, RoundRobin(("a", "b"), 2), {"a": member(say), "b": member(say)}, engine=engine)
        assert seen == {1: ("task.1/chat/round.1/a", "a", "1"), 2: ("task.1/chat/round.2/b", "b", "1")}
        started = here.said(TurnStarted)[1]
        assert (started.scope, started.role, started.round) == ("task.1/chat/round.2/b", "b", 2)


@pytest.mark.parametrize(
    ("bad", "code", "message"),
    [
        (failing(ModelUnavailableError("it is down")), "model_unavailable", "it is down"),
        (failing(ZeroDivisionError("oh")), "failed", "ZeroDivisionError: oh"),
        (failing(TimeoutError("slow socket")), "failed", "TimeoutError: slow socket"),
        (failing(asyncio.CancelledError()), "failed", "RuntimeError: the work was cancelled from within"),
        (member(lambda *_: Contribution("b", "  \n")), "empty", "the answer was empty"),
        (member(lambda *_: Contribution("b", "", failure=Failure("tool", "no"))), "tool", "no"),
    ],
)
async def test_a_failed_member_costs_its_turn_and_not_the_chat(engine, bad, code, message):
    async with running() as here:
        members = {"a": member(), "b": bad, "c": member()}
        talk = await hold(here.scope, Rounds((("a", "b", "c"), ("c",))), members, engine=engine)
    assert lines(talk) == ["1 a a@1<>", f"1 b {code}", "1 c c@1<>", "2 c c@2<a1 c1>"]
    [failed] = here.said(MemberFailed)
    assert (failed.role, failed.round, failed.code, failed.message) == ("b", 1, code, message)


async def test_a_late_member_is_given_up(engine):
    late = Waiting()
    async with running() as here:
        members = {"a": member(), "b": late.member}
        talk = await hold(here.scope, RoundRobin(("a", "b"), 3), members, turn_seconds=0.02, engine=engine)
    assert late.cancelled
    assert lines(talk) == ["1 a a@1<>", "2 b timeout", "3 a a@3<a1>"]
    assert here.said(MemberFailed)[0].message == "no answer within 0.02 seconds"


async def test_a_member_that_ignores_cancelling_is_left_behind(engine):
    free = asyncio.Event()

    async def stubborn(view, number, scope):
        while not free.is_set():
            try:
                await free.wait()
            except asyncio.CancelledError:
                continue
        raise ValueError("too late to matter")

    async with running() as here:
        members = {"a": member(), "b": Member(stubborn)}
        talk = await hold(here.scope, Rounds((("a", "b"),)), members, turn_seconds=0.02, engine=engine)
        free.set()
    assert lines(talk) == ["1 a a@1<>", "1 b timeout"]


async def test_a_used_up_budget_ends_the_chat_when_the_calls_beside_it_are_answered(engine):
    over = asyncio.Event()

    async def finishes(view, number, scope):
        if number > 1:
            await over.wait()
            await asyncio.sleep(0)
        return echo(view.messages, number, scope)

    async def overspends(view, number, scope):
        over.set()
        raise OVER_BUDGET

    async with running() as here:
        members = {"a": Member(finishes), "b": Member(overspends), "c": Member(finishes)}
        talk = await hold(here.scope, Rounds((("a",), ("b", "a", "c"), ("a",))), members, quorum=3, engine=engine)
    assert talk.stopped is OVER_BUDGET
    assert talk.reason == OVER_BUDGET.message
    assert lines(talk) == ["1 a a@1<>", "2 a a@2<a1>", "2 c c@2<a1>"]
    assert here.said(MemberFailed) == []


async def test_when_the_time_is_over_the_chat_ends_at_once_and_keeps_what_was_said(engine):
    waiting = Waiting()
    done = asyncio.Event()
    late = BudgetExceededError("seconds", "run", allowed=1, needed=1)

    async def finishes(view, number, scope):
        done.set()
        return echo(view.messages, number, scope)

    async def overspends(view, number, scope):
        await waiting.began.wait()
        await done.wait()
        raise late

    async with running() as here:
        members = {"a": Member(finishes), "b": Member(overspends), "c": waiting.member}
        talk = await hold(here.scope, Rounds((("a",), ("a", "b", "c"), ("a",))), members, quorum=3, engine=engine)
    assert talk.stopped is late
    assert lines(talk) == ["1 a a@1<>", "2 a a@2<a1>"]
    assert waiting.cancelled
    assert here.said(MemberFailed) == []


@pytest.mark.parametrize(
    "error",
    [
        RunCancelledError("stop"),
        FencedError("taken over"),
        StorageError("disk full"),
        ReplayMissError("not recorded"),
        ModelSetupError("no key"),
    ],
    ids=lambda e: e.code,
)
async def test_what_stops_a_run_surfaces_as_itself_and_stops_the_others(engine, error):
    waiting = Waiting()

    async def stops(view, number, scope):
        await waiting.began.wait()
        raise error

    async with running() as here:
        with pytest.raises(type(error)) as caught:
            await hold(
                here.scope, Rounds((("a", "b"), ("a",))), {"a": waiting.member, "b": Member(stops)}, engine=engine
            )
        assert len(here.said(TurnStarted)) == 2
    assert caught.value is error
    assert waiting.cancelled


async def test_cancelling_stops_every_member_and_leaves_nothing_running(engine):
    before = asyncio.all_tasks()
    first, second = Waiting(), Waiting()
    async with running() as here:
        members = {"a": first.member, "b": second.member, "c": member()}
        chat = asyncio.create_task(hold(here.scope, Rounds((("a", "b"), ("c",))), members, engine=engine))
        await asyncio.gather(first.began.wait(), second.began.wait())
        chat.cancel()
        with pytest.raises(asyncio.CancelledError):
            await chat
        assert len(here.said(TurnStarted)) == 2
    assert first.cancelled
    assert second.cancelled
    assert asyncio.all_tasks() == before


async def test_a_timeout_around_a_chat_holds(engine):
    waiting = Waiting()
    async with running() as here:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await hold(here.scope, Rounds((("a", "b"),)), {"a": waiting.member, "b": member()}, engine=engine)
    assert waiting.cancelled


async def test_cancelling_stops_a_pick(engine):
    began = asyncio.Event()

    class Picks(Rounds):
        def next(self, chat):
            from crewmix.chat.base import Choose

            return Choose(("a", "b"))

    async def chooser(chat, choice, scope):
        began.set()
        await asyncio.get_running_loop().create_future()

    async with running() as here:
        members = {"a": member(), "b": member()}
        chat = asyncio.create_task(hold(here.scope, Picks(()), members, chooser=chooser, engine=engine))
        await began.wait()
        chat.cancel()
        with pytest.raises(asyncio.CancelledError):
            await chat
        assert here.events == []


async def test_too_few_drafts_are_an_error_that_says_who_and_why(engine):
    members = {
        "a": member(),
        "b": failing(ModelUnavailableError("it is down")),
        "critic": member(),
        "d": member(),
    }
    async with running() as here:
        pattern = RoundRobin(tuple(members), 3, frozenset({"critic"}))
        with pytest.raises(QuorumError) as caught:
            await hold(here.scope, pattern, members, quorum=2, engine=engine)
    assert caught.value.message == (
        "only 1 of at least 2 members gave a draft\n  b failed: it is down [model_unavailable]\n  d had no turn"
    )


async def test_a_round_below_its_quorum_ends_the_chat(engine):
    members = {"a": member(), "b": failing(ModelUnavailableError("it is down"))}
    async with running() as here:
        with pytest.raises(QuorumError, match="only 1 of at least 2 members answered"):
            await hold(here.scope, Rounds((("a", "b"), ("a",)), quorum=2), members, engine=engine)
        assert [e.round for e in here.said(TurnStarted)] == [1, 1]


async def test_drafts_are_the_last_words_of_those_who_do_not_review(engine):
    members = {"a": member(), "critic": member(), "b": failing(ValueError("x"))}
    async with running() as here:
        talk = await hold(here.scope, RoundRobin(tuple(members), 5), members, engine=engine)
    assert [(m.role, m.round) for m in talk.transcript.last_drafts({"critic"})] == [("a", 4)]
    assert [m.role for m in talk.transcript.last_drafts({"a", "b", "critic"})] == ["a", "critic"]


async def test_members_see_only_what_the_pattern_shows(engine):
    class Blind(Rounds):
        def view(self, chat, role):
            return View(tuple(m for m in chat.spoken if m.role == role))

    async with running() as here:
        members = {"a": member(), "b": member()}
        talk = await hold(here.scope, Blind((("a", "b"), ("a",), ("b",))), members, engine=engine)
    assert lines(talk)[2:] == ["2 a a@2<a1>", "3 b b@3<b1>"]


@pytest.mark.parametrize("named", [("a", "zoe"), (), ("a", "a")])
async def test_a_pattern_that_names_impossible_speakers_is_told(engine, named):
    async with running() as here:
        with pytest.raises(UsageError, match="named"):
            await hold(here.scope, Rounds((named,)), {"a": member(), "b": member()}, engine=engine)


async def test_an_error_in_a_pattern_surfaces_as_itself(engine):
    class Broken(Rounds):
        def view(self, chat, role):
            raise KeyError("view")

    class Broken2(Rounds):
        def next(self, chat):
            raise KeyError("next")

    members = {"a": member(), "b": member()}
    async with running() as here:
        with pytest.raises(KeyError, match="view"):
            await hold(here.scope, Broken((("a", "b"),)), members, engine=engine)
        with pytest.raises(KeyError, match="next"):
            await hold(here.scope, Broken2(()), members, engine=engine)


async def test_an_engine_that_breaks_is_a_run_error():
    from crewmix.errors import RunError

    async def breaks(floor):
        raise RuntimeError("no runtime")

    async def gives_up(floor):
        raise asyncio.CancelledError

    async with running() as here:
        with pytest.raises(RunError, match="the group chat broke down: no runtime"):
            await hold(here.scope, Rounds(()), {"a": member()}, engine=breaks)
        with pytest.raises(RunError, match="cancelled from within"):
            await hold(here.scope, Rounds(()), {"a": member()}, engine=gives_up)


async def test_contextvars_reach_the_members(engine):
    tenant = contextvars.ContextVar("tenant", default="nobody")
    tenant.set("me")
    async with running() as here:
        say = member(lambda *_: Contribution("a", tenant.get()))
        talk = await hold(here.scope, Rounds((("a", "b"),)), {"a": say, "b": say}, engine=engine)
    assert lines(talk) == ["1 a me", "1 b me"]


async def test_fifty_members_with_names_of_any_script(engine):
    names = [f"Erzähler 第{n}" for n in range(48)] + ["end", "PatternManager"]
    members = {name: member() for name in names}
    async with running() as here:
        talk = await hold(here.scope, Rounds((tuple(reversed(names)), (names[0],))), members, quorum=50, engine=engine)
    assert [m.role for m in talk.transcript.messages] == [*names, names[0]]
    assert talk.transcript.messages[-1].text.count("1") >= 50


async def test_chats_side_by_side_stay_apart(engine):
    async with running() as here:

        async def one(n):
            members = {name: member() for name in (f"a{n}", f"b{n}")}
            return await hold(here.scope.at(str(n)), RoundRobin(tuple(members), 4), members, engine=engine)

        talks = await asyncio.gather(*map(one, range(20)))
    for n, talk in enumerate(talks):
        assert lines(talk)[2] == f"3 a{n} a{n}@3<a{n}1 b{n}2>"


async def test_nothing_is_printed_or_logged(engine, capfd, caplog):
    caplog.set_level(logging.INFO)
    members = {"a": member(), "b": failing(ValueError("bad")), "c": member()}
    async with running() as here:
        await hold(here.scope, RoundRobin(tuple(members), 6), members, engine=engine)
        with pytest.raises(FencedError):
            await hold(
                here.scope.at("2"), Rounds((("a", "b"),)), {**members, "b": failing(FencedError("x"))}, engine=engine
            )
    assert capfd.readouterr() == ("", "")
    assert [r for r in caplog.records if not r.name.startswith("asyncio")] == []


def test_a_chat_of_one_imports_no_autogen():
    script = """
import asyncio, sys
sys.path.insert(0, "tests")
from support.chat_parts import Rounds, member, running
from crewmix.chat.hold import hold
async def main():
    async with running() as here:
        talk = await hold(here.scope, Rounds((("a",),)), {"a": member()})
        assert talk.transcript.messages[0].text == "a@1<>"
        assert not [m for m in sys.modules if m.startswith(("autogen", "crewai"))]
        await hold(here.scope.at("2"), Rounds((("a", "b"),)), {"a": member(), "b": member()})
        assert "autogen_agentchat" in sys.modules
asyncio.run(main())
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


# -- resuming ----------------------------------------------------------------------------------------------------------


async def test_a_resumed_chat_pays_nothing_twice(engine, tmp_path):
    path = tmp_path / "j.db"
    pattern = RoundRobin(("a", "b"), 4)
    async with running(path) as here:
        b = Paid({4: RunCancelledError("stop")})
        with pytest.raises(RunCancelledError):
            await hold(here.scope, pattern, {"a": Paid().member, "b": b.member}, engine=engine)
    async with running(path) as here:
        a, b = Paid(), Paid()
        talk = await hold(here.scope, pattern, {"a": a.member, "b": b.member}, engine=engine)
    assert (a.paid, b.paid) == ([], [4])
    assert lines(talk)[-1] == "4 b b@4<a1 b2 a3>"


async def test_an_accepted_failure_stays_when_the_run_is_resumed(engine, tmp_path):
    path = tmp_path / "j.db"
    pattern = Rounds((("a", "b", "c"), ("a",), ("c",)))
    async with running(path) as here:
        a, b, c = Paid(), Paid({1: ModelUnavailableError("it is down")}), Paid({3: RunCancelledError("stop")})
        with pytest.raises(RunCancelledError):
            await hold(here.scope, pattern, {"a": a.member, "b": b.member, "c": c.member}, engine=engine)
    async with running(path) as here:
        a, b, c = Paid(), Paid(), Paid()
        talk = await hold(here.scope, pattern, {"a": a.member, "b": b.member, "c": c.member}, engine=engine)
        assert here.run.performed == 1
        [failed] = here.said(MemberFailed)
    assert b.asked == []
    assert (a.paid, c.paid) == ([], [3])
    assert (failed.code, failed.message) == ("model_unavailable", "it is down")
    assert lines(talk) == ["1 a a@1<>", "1 b model_unavailable", "1 c c@1<>", "2 a a@2<a1 c1>", "3 c c@3<a1 c1 a2>"]


async def test_a_failure_nobody_built_on_is_tried_again(engine, tmp_path):
    path = tmp_path / "j.db"
    pattern = Rounds((("a", "b"),))
    async with running(path) as here:
        members = {"a": failing(RunCancelledError("stop")), "b": failing(ModelUnavailableError("it is down"))}
        with pytest.raises(RunCancelledError):
            await hold(here.scope, pattern, members, engine=engine)
    async with running(path) as here:
        talk = await hold(here.scope, pattern, {"a": member(), "b": member()}, engine=engine)
    assert lines(talk) == ["1 a a@1<>", "1 b b@1<>"]


async def test_after_too_few_drafts_a_resumed_run_asks_those_that_failed_again(engine, tmp_path):
    path = tmp_path / "j.db"
    pattern = RoundRobin(("a", "b", "c"), 3)
    down = ModelUnavailableError("it is down")
    for _ in range(2):
        async with running(path) as here:
            a, b, c = Paid(), Paid({2: down}), Paid({3: down})
            with pytest.raises(QuorumError):
                members = {"a": a.member, "b": b.member, "c": c.member}
                await hold(here.scope, pattern, members, quorum=2, engine=engine)
            assert (b.asked, c.asked) == ([2], [3])
    async with running(path) as here:
        a, b, c = Paid(), Paid(), Paid({3: down})
        talk = await hold(here.scope, pattern, {"a": a.member, "b": b.member, "c": c.member}, quorum=2, engine=engine)
    assert (a.paid, b.paid) == ([], [2])
    assert lines(talk) == ["1 a a@1<>", "2 b b@2<a1>", "3 c model_unavailable"]
    async with running(path) as here:
        a, b, c = Paid(), Paid(), Paid()
        again = await hold(here.scope, pattern, {"a": a.member, "b": b.member, "c": c.member}, quorum=2, engine=engine)
        assert here.run.performed == 0
    assert again == talk
    assert c.asked == []


async def test_a_contribution_always_carries_the_name_of_its_member(engine):
    async with running() as here:
        say = member(lambda *_: Contribution("somebody else", "hi"))
        talk = await hold(here.scope, Rounds((("a", "b"),)), {"a": say, "b": say}, engine=engine)
    assert [m.contribution for m in talk.transcript.messages] == [Contribution("a", "hi"), Contribution("b", "hi")]
