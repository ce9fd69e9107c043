"""Handoff: whoever speaks names who goes on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crewmix.agents.base import Contribution
from crewmix.chat.base import Transcript
from crewmix.chat.hold import hold
from crewmix.chat.patterns import make_pattern
from crewmix.definitions.spec_chat import ChatSpec
from crewmix.errors import ModelUnavailableError, QuorumError, RunCancelledError
from crewmix.journal.events import Warned
from support.chat_parts import Paid, dead, failing, member, play, roles, running, texts

ABC = ("a", "b", "c")


def handoff(*names, critics=(), **fields):
    return make_pattern(ChatSpec(pattern="handoff", **fields), roles(*names, critics=critics))


def script(*turns):
    """Each turn is where it passes to, `-` for nowhere, `!` for a failure."""
    left = list(turns)

    def answer(name, number, view):
        to = left.pop(0)
        return dead(name) if to == "!" else Contribution(name, f"{name}{number}", passed_to=None if to == "-" else to)

    return answer


def spoke(*turns, names=ABC, **fields):
    played = play(handoff(*names, **fields), names, script(*turns))
    return "".join(name for (name,) in played.rounds), played.done


@pytest.mark.parametrize(
    ("turns", "speakers", "reason"),
    [
        ("-", "a", "a finished"),
        ("b-", "ab", "b finished"),
        ("bca-", "abca", "a finished"),
        ("b!-", "aba", "a finished"),
        ("bc!!-", "abcba", "a finished"),
        ("!", "a", "a failed and there is nobody to go back to"),
        ("b!!", "aba", "a failed and there is nobody to go back to"),
        ("bab!!c-", "ababab" + "c", "c finished"),
    ],
)
def test_the_floor_goes_where_it_is_passed_and_back_when_a_turn_fails(turns, speakers, reason):
    got, done = spoke(*turns, max_turns=20)
    assert got == speakers
    assert (done.reason, done.warning) == (reason, "")


def test_a_talk_that_is_cut_says_so():
    got, done = spoke(*"bcabca")
    assert (got, done.reason) == ("abcabc", "6 turns")
    assert done.warning == "the talk was cut after 6 turns, before a could go on; raise `chat.max_turns`"
    assert spoke(*"b-", max_turns=2)[1].warning == ""
    assert "before a could go on" in spoke(*"b!", max_turns=2)[1].warning


def test_a_role_may_pass_to_those_it_is_allowed_to():
    pattern = handoff(*ABC, handoffs={"a": ("b", "a", "elsewhere"), "b": ()})
    chat = Transcript(ABC)
    assert [pattern.view(chat, name).pass_to for name in ABC] == [("b",), (), ("a", "b")]
    assert "pass on" in pattern.view(chat, "a").ask
    assert "final answer now" in pattern.view(chat, "b").ask
    done = spoke("c", handoffs={"a": ("b",)})[1]
    assert done.warning == "a passed to 'c', to whom it may not pass; its answer was taken as the last"


def test_everyone_hears_everything_and_the_last_word_is_the_draft():
    seen = []
    pattern = handoff(*ABC)
    answer = script(*"bc-")
    played = play(pattern, ABC, lambda n, r, v: seen.append(texts(v.messages)) or answer(n, r, v))
    assert seen == [[], ["a1"], ["a1", "b2"]]
    assert texts(pattern.drafts(played.chat)) == ["c3"]


def test_a_reviewer_speaks_but_its_review_is_no_draft():
    pattern = handoff(*"ab", critics=["c"])
    assert pattern.view(Transcript(ABC), "c").ask == ""
    played = play(pattern, ABC, script(*"bc-"))
    assert texts(pattern.drafts(played.chat)) == ["b2"]
    assert pattern.drafts(Transcript(ABC)) == ()


def test_approval_ends_the_talk_where_that_is_asked_for():
    def answer(name, number, view):
        to = {"a": "c", "c": "a"}[name]
        return Contribution(name, name, "approve" if name == "c" else None, passed_to=to)

    for stop, reason in (("approved", "c approved"), (None, "4 turns")):
        pattern = handoff("a", critics=["c"], stop_when=stop)
        assert play(pattern, ("a", "c"), answer).done.reason == reason


@given(turns=st.lists(st.sampled_from("abc-!"), min_size=30, max_size=30), limit=st.integers(1, 20))
def test_every_talk_ends_in_time_and_only_members_speak(turns, limit):
    got, done = spoke(*turns, max_turns=limit)
    assert 1 <= len(got) <= limit
    assert done.reason


async def test_a_cut_talk_warns_the_reader_of_the_result(engine):
    def passes(view, number, scope):
        return Contribution(scope.role, f"{scope.role}{number}", passed_to="b" if scope.role == "a" else "a")

    async with running() as here:
        talk = await hold(here.scope, handoff(*"ab"), {n: member(passes) for n in "ab"}, engine=engine)
        [warning] = here.said(Warned)
    assert warning.message.startswith("the talk was cut after 4 turns")
    assert texts(handoff(*"ab").drafts(talk.transcript)) == ["b4"]


async def test_a_talk_whose_first_speaker_is_down_is_an_error_that_says_why(engine):
    async with running() as here:
        members = {"a": failing(ModelUnavailableError("it is down")), "b": member()}
        with pytest.raises(QuorumError, match="a failed: it is down"):
            await hold(here.scope, handoff(*"ab"), members, engine=engine)


async def test_a_crash_pays_no_turn_twice(engine, tmp_path):
    def passes(view, number, scope):
        to = {1: "b", 2: "c", 4: "a"}.get(number)
        return Contribution(scope.role, f"{scope.role}{number}", passed_to=to)

    async def go(path, down):
        paid = {name: Paid(down.get(name), passes) for name in ABC}
        async with running(path) as here:
            members = {name: p.member for name, p in paid.items()}
            try:
                talk = await hold(here.scope, handoff(*ABC), members, engine=engine)
            except RunCancelledError:
                talk = None
        return talk, {name: p.paid for name, p in paid.items()}

    unavailable = ModelUnavailableError("it is down")
    talk, paid = await go(tmp_path / "j.db", {"c": {3: unavailable}, "a": {5: RunCancelledError("stop")}})
    assert (talk, paid) == (None, {"a": [1], "b": [2, 4], "c": []})
    talk, paid = await go(tmp_path / "j.db", {})
    assert paid == {"a": [5], "b": [], "c": []}
    assert texts(talk.transcript.messages) == ["a1", "b2", "", "b4", "a5"]
