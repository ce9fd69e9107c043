"""Sampling and voting, and stopping as soon as enough drafts agree."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crewmix.agents.base import Contribution
from crewmix.chat.base import Transcript
from crewmix.chat.hold import hold
from crewmix.chat.patterns import make_pattern
from crewmix.definitions.spec import SynthesisSpec
from crewmix.definitions.spec_chat import ChatSpec, StopSpec
from crewmix.errors import ModelUnavailableError, QuorumError, RunCancelledError
from support.chat_parts import Paid, dead, failing, member, play, roles, running, texts

NUMBER = SynthesisSpec(method="majority", answer="number")
NAMES = tuple(f"solver#{n}" for n in range(1, 10))


def vote(samples=9, agree=None, similarity=None):
    stop = StopSpec(agree=agree, similarity=similarity) if agree else None
    return make_pattern(ChatSpec(pattern="vote", samples=samples, stop=stop), roles("solver"), NUMBER)


def saying(*answers):
    """Answers by seat; None = the turn fails."""
    given = dict(zip(NAMES, answers, strict=False))
    return lambda name, *_: dead(name) if given[name] is None else f"I thought about it.\nAnswer: {given[name]}"


def test_all_draft_in_one_round_and_see_nothing():
    views = []
    played = play(vote(4), NAMES[:4], lambda name, number, view: views.append(view) or name)
    assert played.rounds == [NAMES[:4]]
    assert all((v.messages, v.drafts, v.ask) == ((), (), "") for v in views)
    assert texts(vote(4).drafts(played.chat)) == list(NAMES[:4])
    assert played.done.reason == "4 drafts"


@pytest.mark.parametrize(
    ("answers", "rounds", "reason"),
    [
        ((7, 7, 7, 0, 0, 0, 0, 0, 0), [3], "3 of 3 drafts agree; 6 of 9 members were not asked"),
        ((7, 8, 7, 7, 0, 0, 0, 0, 0), [3, 1], "3 of 4 drafts agree; 5 of 9 members were not asked"),
        ((1, 2, 3, 3, 3, 0, 0, 0, 0), [3, 2], "3 of 5 drafts agree; 4 of 9 members were not asked"),
        ((None, None, None, 7, 7, 7, 0, 0, 0), [3, 3], "3 of 3 drafts agree; 3 of 9 members were not asked"),
        ((7, None, 7, None, 7, 0, 0, 0, 0), [3, 1, 1], "3 of 3 drafts agree; 4 of 9 members were not asked"),
        ((1, 2, 3, 4, 5, 6, 7, 8, 9), [3, 2, 2, 2], "1 of 9 drafts agree"),
        ((1, 1, 2, 2, 3, 3, 4, 4, 5), [3, 1, 1, 1, 1, 1, 1], "2 of 9 drafts agree"),
    ],
)
def test_members_are_asked_until_enough_agree(answers, rounds, reason):
    played = play(vote(agree=3), NAMES, saying(*answers))
    assert [len(names) for names in played.rounds] == rounds
    assert [name for names in played.rounds for name in names] == list(NAMES[: sum(rounds)])
    assert played.done.reason == reason


def test_equal_answers_agree_however_they_are_written():
    words = {NAMES[0]: "Answer: 1,000", NAMES[1]: "So it is\n**Answer: $1000.00**"}
    played = play(vote(agree=2), NAMES, lambda name, *_: words[name])
    assert [len(names) for names in played.rounds] == [2]


def test_open_answers_agree_when_they_are_similar():
    near = "the harbour of the old town lies to the north of the river and is closed in winter"
    words = [near, "something else entirely was said about another thing", near + " months", near, near]
    played = play(vote(5, agree=2, similarity=0.8), NAMES[:5], lambda name, *_: words[NAMES.index(name)])
    assert [len(names) for names in played.rounds] == [2, 1]


@given(
    answers=st.lists(st.none() | st.integers(1, 3), min_size=1, max_size=9),
    agree=st.integers(2, 5),
)
def test_nobody_is_asked_twice_or_without_need(answers, agree):
    names = NAMES[: len(answers)] if len(answers) > 1 else ("solver",)
    given_ = dict(zip(names, answers, strict=True))
    pattern = vote(len(answers), agree=agree)
    played = play(pattern, names, lambda n, *_: dead(n) if given_[n] is None else f"Answer: {given_[n]}")
    asked = [name for speakers in played.rounds for name in speakers]
    assert asked == list(names[: len(asked)])
    counted = [given_[name] for name in asked if given_[name] is not None]
    most = max(map(counted.count, counted), default=0)
    assert most >= agree or asked == list(names)
    before = [given_[name] for name in asked[: -len(played.rounds[-1])] if given_[name] is not None]
    assert max(map(before.count, before), default=0) < agree
    assert [m.role for m in pattern.drafts(played.chat)] == [n for n in asked if given_[n] is not None]


async def test_the_quorum_counts_all_drafts_of_the_vote(engine):
    down = failing(ModelUnavailableError("it is down"))
    ok = member(lambda v, n, s: Contribution(s.role, "Answer: 7"))
    members = {NAMES[0]: down, NAMES[1]: ok, NAMES[2]: ok, NAMES[3]: ok}
    async with running() as here:
        talk = await hold(here.scope, vote(4, agree=3), members, quorum=3, engine=engine)
        assert [m.role for m in vote(4).drafts(talk.transcript)] == list(NAMES[1:4])
        with pytest.raises(
            QuorumError, match=r"only 3 of at least 4 members gave a draft\n  solver#1 failed: it is down"
        ):
            await hold(here.scope.at("2"), vote(4), members, quorum=4, engine=engine)


async def test_a_crash_pays_no_sample_twice(engine, tmp_path):
    def ballot(view, number, scope):
        return Contribution(scope.role, f"Answer: {NAMES.index(scope.role) // 2}")

    async with running(tmp_path / "j.db") as here:
        members = {name: Paid(say=ballot).member for name in NAMES}
        members[NAMES[3]] = Paid({2: RunCancelledError("stop")}).member
        with pytest.raises(RunCancelledError):
            await hold(here.scope, vote(agree=3), members, engine=engine)
        before = here.run.performed
    async with running(tmp_path / "j.db") as here:
        talk = await hold(here.scope, vote(agree=3), {name: Paid(say=ballot).member for name in NAMES}, engine=engine)
        assert before == 3
        assert before + here.run.performed == len(talk.transcript.messages) == 9
    assert vote(agree=3).next(Transcript(NAMES)).roles == NAMES[:3]
