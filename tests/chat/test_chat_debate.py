"""Debates: who sees what, which drafts stand, and what ends it."""

import asyncio

import pytest

from crewmix.agents.base import Contribution
from crewmix.chat.hold import hold
from crewmix.chat.patterns import make_pattern
from crewmix.definitions.spec import SynthesisSpec
from crewmix.definitions.spec_chat import ChatSpec, StopSpec
from crewmix.errors import (
    BudgetExceededError,
    FencedError,
    ModelUnavailableError,
    QuorumError,
    RunCancelledError,
    UsageError,
)
from crewmix.journal.events import MemberFailed, RevisionJudged, Warned
from support.chat_parts import Paid, dead, failing, member, play, roles, running, texts

NUMBER = SynthesisSpec(method="majority", answer="number")
DOWN = ModelUnavailableError("it is down")
AB = ("a", "b")
ABC = ("a", "b", "critic")


def debate(*names, critics=(), **fields):
    return make_pattern(ChatSpec(pattern="debate", **fields), roles(*names, critics=critics), NUMBER)


def tagged(name, number, view):
    return f"{name}{number}"


def test_debaters_draft_alone_and_then_see_everyones_standing_draft_by_name():
    views = {}
    played = play(debate(*AB), AB, lambda n, r, v: views.update({(n, r): v}) or tagged(n, r, v))
    assert played.rounds == [AB, AB, AB]
    assert played.judged == [AB, AB]
    assert (views["a", 1].messages, views["a", 1].ask) == ((), "")
    assert [(m.role, m.text) for m in views["a", 2].messages] == [("a", "a1"), ("b", "b1")]
    assert [(m.role, m.text) for m in views["b", 3].messages] == [("a", "a2"), ("b", "b2")]
    assert "Answer the others" in views["a", 2].ask
    assert all(view.drafts == () for view in views.values())
    assert texts(debate(*AB).drafts(played.chat)) == ["a3", "b3"]
    assert played.done.reason == "3 rounds"


def test_a_revision_that_is_not_better_does_not_replace_the_draft():
    views = {}
    better = {("a", 2): True, ("b", 2): False, ("a", 3): False, ("b", 3): True}
    pattern = debate(*AB)
    played = play(
        pattern,
        AB,
        lambda n, r, v: views.update({(n, r): v}) or tagged(n, r, v),
        lambda revision: better[revision.role, revision.revised.round],
    )
    assert texts(views["a", 3].messages) == ["a2", "b1"]
    assert texts(pattern.drafts(played.chat)) == ["a2", "b3"]


def test_the_debate_ends_when_no_revision_is_better():
    pattern = debate(*AB, rounds=9)
    played = play(pattern, AB, tagged, lambda revision: revision.revised.round < 3)
    assert (len(played.rounds), played.done.reason) == (3, "no revision was better")
    assert texts(pattern.drafts(played.chat)) == ["a2", "b2"]


def test_whoever_repeats_a_draft_costs_no_judgement():
    played = play(debate(*AB, rounds=9), AB, lambda n, r, v: "same  words" if r == 1 else "same words\n")
    assert (played.judged, len(played.rounds), played.done.reason) == ([], 2, "no revision was better")
    played = play(debate(*AB), AB, lambda n, r, v: f"a{r}" if n == "a" else "always b")
    assert played.judged == [("a",), ("a",)]


def test_without_a_judge_every_revision_stands():
    pattern = debate(*AB, accept="always")
    played = play(pattern, AB, tagged)
    assert (played.judged, texts(pattern.drafts(played.chat))) == ([], ["a3", "b3"])


def test_critics_review_what_stands_and_the_next_round_answers_them():
    views = {}

    def answer(name, number, view):
        views[name, number] = view
        return Contribution(name, tagged(name, number, view), "revise" if name == "critic" else None)

    pattern = debate(*AB, critics=["critic"])
    played = play(pattern, ABC, answer, lambda revision: revision.role == "a")
    assert played.rounds == [AB, ("critic",), AB, ("critic",), AB]
    assert texts(views["critic", 2].messages) == ["a1", "b1"]
    assert texts(views["a", 3].messages) == ["a1", "b1", "critic2"]
    assert texts(views["critic", 4].messages) == ["a3", "b1", "critic2"]
    assert texts(views["b", 5].messages) == ["a3", "b1", "critic4"]
    assert texts(pattern.drafts(played.chat)) == ["a5", "b1"]


def test_several_critics_review_in_parallel_without_each_other():
    members = (*AB, "x", "y")
    views = {}

    def answer(name, number, view):
        views[name, number] = texts(view.messages)
        return Contribution(name, tagged(name, number, view), "revise" if name in "xy" else None)

    played = play(debate(*AB, critics="xy", rounds=2), members, answer)
    assert played.rounds == [AB, ("x", "y"), AB]
    assert views["x", 2] == ["a1", "b1"]
    assert views["a", 3] == ["a1", "b1", "x2", "y2"]


@pytest.mark.parametrize(("stop", "rounds"), [("approved", 2), (None, 5)])
def test_a_critic_that_approves_ends_it_where_that_is_asked_for(stop, rounds):
    def answer(name, number, view):
        return Contribution(name, tagged(name, number, view), "approve" if name == "critic" else None)

    played = play(debate(*AB, critics=["critic"], stop_when=stop), ABC, answer)
    assert len(played.rounds) == rounds
    assert played.done.reason == ("critic approved" if stop else "3 rounds")


def test_agreement_of_the_standing_drafts_ends_it():
    pattern = debate(*"abc", stop=StopSpec(agree=2))
    apart = {"a": 1, "b": 2, "c": 3}
    played = play(pattern, tuple("abc"), lambda n, r, v: f"Answer: {apart[n] if r == 1 else 7}")
    assert played.done.reason == "3 of 3 drafts agree after 2 rounds"
    played = play(pattern, tuple("abc"), lambda n, r, v: "Answer: 7" if n in "ab" else "Answer: 8")
    assert (len(played.rounds), played.done.reason) == (1, "2 of 3 drafts agree after 1 round")


def test_refused_revisions_do_not_make_drafts_agree():
    pattern = debate(*AB, stop=StopSpec(agree=2), rounds=2)
    apart = {"a": 1, "b": 2}
    played = play(pattern, AB, lambda n, r, v: f"Answer: {apart[n] if r == 1 else 7}", lambda revision: False)
    assert played.done.reason == "no revision was better"
    assert texts(pattern.drafts(played.chat)) == ["Answer: 1", "Answer: 2"]


def test_a_debater_that_fails_keeps_its_draft_and_one_that_comes_late_gets_one():
    pattern = debate(*AB)
    down = {("b", 1), ("a", 2)}
    played = play(pattern, AB, lambda n, r, v: dead(n) if (n, r) in down else tagged(n, r, v), lambda r: False)
    assert played.judged == [AB]
    assert texts(pattern.drafts(played.chat)) == ["a1", "b2"]


def test_a_debate_of_one_is_a_review_loop():
    views = {}

    def answer(name, number, view):
        views[name, number] = view
        return Contribution(name, f"{name}{number}", "revise" if name == "critic" else None)

    played = play(debate("a", critics=["critic"], rounds=2), ("a", "critic"), answer)
    assert played.rounds == [("a",), ("critic",), ("a",)]
    assert "what was said about it" in views["a", 3].ask


def test_when_nobody_drafts_the_critics_are_not_asked():
    played = play(debate(*AB, critics=["critic"]), ABC, lambda n, r, v: dead(n))
    assert (played.rounds, played.done.reason) == ([AB], "nobody gave a draft")


def test_a_debate_of_reviewers_is_told():
    with pytest.raises(UsageError, match="needs a role that drafts"):
        debate(critics=["x", "y"])


# -- whole debates -----------------------------------------------------------------------------------------------------


async def longer(revision, scope):
    return len(revision.revised.text) > len(revision.standing.text)


async def test_a_judge_decides_on_each_revision_at_its_own_place(engine):
    places, both = [], asyncio.Event()

    async def judge(revision, scope):
        places.append(scope.path)
        if len(places) == 2:
            both.set()
        await both.wait()  # passes only if the revisions are judged at the same time
        return revision.role == "b"

    async with running() as here:
        pattern = debate(*AB, rounds=2)
        members = {name: member(lambda v, n, s: Contribution(s.role, f"{s.role}{n}")) for name in AB}
        talk = await hold(here.scope, pattern, members, reviser=judge, engine=engine)
        assert sorted((e.role, e.round, e.better, e.task) for e in here.said(RevisionJudged)) == [
            ("a", 2, False, "1"),
            ("b", 2, True, "1"),
        ]
    assert sorted(places) == ["task.1/chat/judge.2/a", "task.1/chat/judge.2/b"]
    assert texts(pattern.drafts(talk.transcript)) == ["a1", "b2"]
    assert [(r.role, r.round, r.better) for r in talk.transcript.rulings] == [("a", 2, False), ("b", 2, True)]


async def never(revision, scope):
    await asyncio.get_running_loop().create_future()


async def down(revision, scope):
    raise DOWN


@pytest.mark.parametrize(("judge", "why"), [(down, "it is down"), (never, "no ruling within 0.02 seconds")])
async def test_a_judge_that_fails_leaves_the_standing_draft_and_says_so(engine, judge, why):
    async with running() as here:
        pattern = debate(*AB, rounds=2)
        members = {name: member(lambda v, n, s: Contribution(s.role, f"{s.role}{n}")) for name in AB}
        talk = await hold(here.scope, pattern, members, reviser=judge, turn_seconds=0.02, engine=engine)
        warnings = [e.message for e in here.said(Warned)]
        assert [e.better for e in here.said(RevisionJudged)] == [False, False]
    assert texts(pattern.drafts(talk.transcript)) == ["a1", "b1"]
    assert warnings[0] == f"the draft of a was kept, because its revision of round 2 could not be judged: {why}"
    assert len(warnings) == 2


async def test_a_resumed_debate_takes_a_failed_judgement_as_settled(engine, tmp_path):
    asked = []

    async def judge(revision, scope):
        asked.append((revision.role, revision.revised.round))
        if (revision.role, revision.revised.round) == ("a", 2):
            raise DOWN

        async def call():
            return True

        better, _ = await scope.effect("model", {"revised": revision.revised.text}, call)
        return better

    pattern = debate(*AB)
    async with running(tmp_path / "j.db") as here:
        members = {"a": Paid().member, "b": Paid({3: RunCancelledError("stop")}).member}
        with pytest.raises(RunCancelledError):
            await hold(here.scope, pattern, members, reviser=judge, engine=engine)
        before = list(asked)
    asked.clear()
    async with running(tmp_path / "j.db") as here:
        a, b = Paid(), Paid()
        talk = await hold(here.scope, pattern, {"a": a.member, "b": b.member}, reviser=judge, engine=engine)
        assert len(here.said(Warned)) == 1
    assert sorted(before) == [("a", 2), ("b", 2)]
    assert sorted(asked) == [("a", 3), ("b", 2), ("b", 3)]
    assert 1 not in a.paid
    assert 2 not in a.paid
    assert b.paid == [3]
    assert texts(talk.transcript.messages)[2:] == ["a@2<a1 b1>", "b@2<a1 b1>", "a@3<a1 b2>", "b@3<a1 b2>"]


@pytest.mark.parametrize("error", [FencedError("taken"), BudgetExceededError("seconds", "run", allowed=1, needed=2)])
async def test_what_stops_a_run_stops_the_judges(engine, error):
    before = asyncio.all_tasks()
    began = asyncio.Event()

    async def judge(revision, scope):
        if revision.role == "a":
            began.set()
            await asyncio.get_running_loop().create_future()
        await began.wait()
        raise error

    async with running() as here:
        members = {name: member(lambda v, n, s: Contribution(s.role, f"{s.role}{n}")) for name in AB}
        chat = hold(here.scope, debate(*AB), members, reviser=judge, engine=engine)
        if isinstance(error, BudgetExceededError):
            talk = await chat
            assert talk.stopped is error
            assert texts(debate(*AB).drafts(talk.transcript)) == ["a1", "b1"]
        else:
            with pytest.raises(FencedError):
                await chat
    assert asyncio.all_tasks() == before


async def test_a_used_up_budget_keeps_the_rulings_that_are_paid_for(engine):
    over = BudgetExceededError("calls", "run", allowed=1, needed=2)
    refused = asyncio.Event()

    async def judge(revision, scope):
        if revision.role == "a":
            refused.set()
            raise over
        await refused.wait()
        await asyncio.sleep(0)
        return True

    async with running() as here:
        members = {name: member(lambda v, n, s: Contribution(s.role, f"{s.role}{n}")) for name in AB}
        talk = await hold(here.scope, debate(*AB), members, reviser=judge, engine=engine)
    assert talk.stopped is over
    assert texts(debate(*AB).drafts(talk.transcript)) == ["a1", "b2"]


async def test_a_debate_without_a_judge_at_hand_is_told(engine):
    async with running() as here:
        members = {name: member(lambda v, n, s: Contribution(s.role, f"{s.role}{n}")) for name in AB}
        with pytest.raises(UsageError, match="someone who judges"):
            await hold(here.scope, debate(*AB), members, engine=engine)


async def test_a_debate_in_which_all_fail_is_an_error_that_names_them(engine):
    async with running() as here:
        members = {"a": failing(DOWN), "b": failing(DOWN), "critic": member()}
        with pytest.raises(QuorumError, match="a failed: it is down"):
            await hold(here.scope, debate(*AB, critics=["critic"]), members, reviser=longer, engine=engine)
        assert {e.role for e in here.said(MemberFailed)} == {"a", "b"}
