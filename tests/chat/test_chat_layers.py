"""Mixture-of-Agents: what each layer sees, and what becomes of members that fail."""

import asyncio

import pytest

from crewmix.agents.base import Contribution
from crewmix.chat.base import Member, Speakers, Transcript
from crewmix.chat.hold import hold
from crewmix.chat.patterns import make_pattern
from crewmix.definitions.spec_chat import ChatSpec, LayerSpec, ProposerSpec
from crewmix.errors import ModelUnavailableError, QuorumError, RunCancelledError, UsageError
from crewmix.journal.events import MemberFailed
from support.chat_parts import Paid, dead, failing, member, play, roles, running, texts

NAMES = ("a", "b", "c")
DOWN = ModelUnavailableError("it is down")


def layers(count=3, crew=NAMES, **fields):
    return make_pattern(ChatSpec(pattern="layers", layers=count, **fields), roles(*crew))


def long_text(name, number):
    return f"{name} in layer {number} says: " + " ".join(f"word{n}" for n in range(200))


def test_every_proposer_sees_the_whole_drafts_of_all_of_the_layer_before_and_of_no_other():
    seen = {}

    def answer(name, number, view):
        seen[name, number] = view
        return long_text(name, number)

    played = play(layers(4), NAMES, answer)
    assert played.rounds == [NAMES, NAMES, NAMES]
    for name in NAMES:
        first = seen[name, 1]
        assert (first.messages, first.drafts, first.ask) == ((), (), "")
        for number in (2, 3):
            view = seen[name, number]
            assert texts(view.drafts) == [long_text(other, number - 1) for other in NAMES]
            assert view.messages == ()
            assert "may be wrong" in view.ask
    assert texts(layers(4).drafts(played.chat)) == [long_text(name, 3) for name in NAMES]
    assert played.done.reason == "3 layers of proposers"


def test_two_layers_are_one_round_of_proposers():
    played = play(layers(2), NAMES, lambda *_: "x")
    assert (played.rounds, played.done.reason) == ([NAMES], "1 layer of proposers")


def test_one_role_many_times_is_a_single_proposer_mixture():
    pattern = layers(2, ("a",), samples=6)
    members = tuple(f"a#{n}" for n in range(1, 7))
    assert play(pattern, members, lambda name, *_: name).rounds == [members]


def test_reviewers_do_not_propose():
    pattern = make_pattern(ChatSpec(pattern="layers"), roles("a", "b", critics=["critic"]))
    assert pattern.next(Transcript(("a", "b"))).roles == ("a", "b")


def test_layers_may_have_proposers_and_quorums_of_their_own():
    pattern = layers(
        3,
        quorum=1,
        per_layer=(LayerSpec(proposers=("a", "b"), quorum=2), LayerSpec(proposers=(ProposerSpec(role="c", count=3),))),
    )
    members = ("a@1", "b@1", "c#1@2", "c#2@2", "c#3@2")
    assert pattern.next(Transcript(members)) == Speakers(("a@1", "b@1"), 2)
    played = play(pattern, members, lambda name, number, view: f"{name}<{' '.join(texts(view.drafts))}>")
    assert played.rounds[1] == members[2:]
    assert texts(pattern.drafts(played.chat))[0] == "c#1@2<a@1<> b@1<>>"


def test_a_layer_without_anyone_of_this_task_is_told():
    spec = ChatSpec(pattern="layers", layers=3, per_layer=(LayerSpec(proposers=("a",)), LayerSpec(proposers=("b",))))
    with pytest.raises(UsageError, match="nobody proposes in layer 2"):
        make_pattern(spec, roles("a"))


def test_shuffled_drafts_differ_by_reader_and_are_the_same_every_time():
    names = tuple("abcdefgh")

    def orders(**fields):
        seen = {}
        play(layers(3, names, **fields), names, lambda n, r, v: seen.update({(n, r): texts(v.drafts)}) or f"{n}{r}")
        return [tuple(seen[name, 2]) for name in names]

    plain, one, two = orders(), orders(shuffle=True), orders(shuffle=True)
    assert set(plain) == {tuple(f"{name}1" for name in names)}
    assert one == two
    assert len(set(one)) > 4
    assert all(sorted(order) == sorted(plain[0]) for order in one)


def test_a_failed_proposer_leaves_a_gap_that_the_next_layer_does_not_see():
    played = play(layers(), NAMES, lambda n, r, v: dead(n) if (n, r) == ("b", 1) else f"{n}{r}:{len(v.drafts)}")
    assert texts(layers().drafts(played.chat)) == ["a2:2", "b2:2", "c2:2"]


def test_a_budget_that_ends_a_layer_early_leaves_the_drafts_of_the_layer_before():
    pattern = layers(3, quorum=2)
    chat = Transcript(NAMES).with_round(tuple(Contribution(n, f"{n}1") for n in NAMES))
    assert texts(pattern.drafts(chat.with_round((Contribution("a", "a2"),)))) == ["a1", "b1", "c1"]
    two = chat.with_round((Contribution("a", "a2"), Contribution("c", "c2")))
    assert texts(pattern.drafts(two)) == ["a2", "c2"]
    assert pattern.drafts(Transcript(NAMES)) == ()


async def test_proposers_of_a_layer_speak_at_the_same_time(engine):
    began = {name: asyncio.Event() for name in NAMES}

    async def speak(view, number, scope):
        began[scope.role].set()
        for event in began.values():
            await event.wait()
        return Contribution(scope.role, f"{scope.role}{number}")

    async with running() as here:
        talk = await hold(here.scope, layers(), {name: Member(speak) for name in NAMES}, engine=engine)
    assert texts(talk.transcript.messages) == ["a1", "b1", "c1", "a2", "b2", "c2"]


async def test_a_failed_proposer_is_named_with_the_reason(engine):
    async with running() as here:
        members = {"a": member(), "b": failing(DOWN), "c": member()}
        talk = await hold(here.scope, layers(), members, engine=engine)
    assert [(e.role, e.round, e.message) for e in here.said(MemberFailed)] == [
        ("b", 1, "it is down"),
        ("b", 2, "it is down"),
    ]
    assert texts(layers().drafts(talk.transcript)) == ["a@2<a1 c1>", "c@2<a1 c1>"]


async def test_when_a_whole_layer_fails_there_is_no_lone_answer(engine):
    calls = []

    def say(view, number, scope):
        calls.append(number)
        if number == 2:
            raise DOWN
        return Contribution(scope.role, "x")

    async with running() as here:
        with pytest.raises(QuorumError) as caught:
            await hold(here.scope, layers(4), {name: member(say) for name in NAMES}, engine=engine)
    assert "only 0 of at least 1 members answered" in caught.value.message
    assert all(f"{name} failed: it is down" in caught.value.message for name in NAMES)
    assert max(calls) == 2


async def test_a_layer_below_its_quorum_ends_the_chat(engine):
    async with running() as here:
        members = {"a": member(), "b": failing(DOWN), "c": member()}
        with pytest.raises(QuorumError, match="only 2 of at least 3"):
            await hold(here.scope, layers(quorum=3), members, engine=engine)
        talk = await hold(here.scope.at("2"), layers(quorum=2), members, engine=engine)
    assert len(talk.transcript.messages) == 6


async def test_fifty_proposers(engine):
    names = tuple(f"p#{n}" for n in range(1, 51))
    pattern = layers(3, ("p",), samples=50, quorum=50)
    async with running() as here:
        talk = await hold(here.scope, pattern, {name: member() for name in names}, quorum=50, engine=engine)
    assert [m.role for m in pattern.drafts(talk.transcript)] == list(names)
    assert texts(pattern.drafts(talk.transcript))[49] == f"p#50@2<{' '.join(f'{name}1' for name in names)}>"


async def test_a_crash_in_the_second_layer_pays_no_draft_twice(engine, tmp_path):
    async with running(tmp_path / "j.db") as here:
        members = {name: Paid().member for name in "ab"} | {"c": Paid({2: RunCancelledError("stop")}).member}
        with pytest.raises(RunCancelledError):
            await hold(here.scope, layers(), members, engine=engine)
        before = here.run.performed
    async with running(tmp_path / "j.db") as here:
        paid = {name: Paid() for name in NAMES}
        talk = await hold(here.scope, layers(), {name: p.member for name, p in paid.items()}, engine=engine)
        assert before + here.run.performed == 6
    assert [p.paid for p in paid.values()][2] == [2]
    assert texts(layers().drafts(talk.transcript)) == [f"{name}@2<a1 b1 c1>" for name in NAMES]
