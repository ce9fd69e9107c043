"""Who speaks when: patterns as functions of the transcript."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crewmix.agents.base import Contribution, Failure
from crewmix.chat.base import Choose, Done, Speakers, Transcript
from crewmix.chat.in_turn import RoundRobin, Selector
from crewmix.chat.patterns import PATTERNS, make_pattern
from crewmix.definitions import names
from crewmix.definitions.spec import ChatSpec, Role
from crewmix.definitions.spec_chat import SelectSpec
from crewmix.errors import UsageError

ROLES = (
    Role(name="writer", role="Writer", goal="write"),
    Role(name="coder", role="Coder", goal="code"),
    Role(name="critic", role="Critic", goal="review", approves=True),
)
NAMES = ("writer", "coder", "critic")


def said(role, verdict=None, failed=False):
    return Contribution(role, "" if failed else "text", verdict, failure=Failure("x", "y") if failed else None)


def chat_of(*contributions, members=NAMES):
    chat = Transcript(members)
    for contribution in contributions:
        chat = chat.with_round((contribution,))
    return chat


def play(pattern, answer, picks=lambda choice: choice.candidates[0], members=NAMES):
    """Speakers until the chat is over, and why it is."""
    chat, spoke = Transcript(members), []
    while not isinstance(step := pattern.next(chat), Done):
        if isinstance(step, Choose):
            chat = chat.with_pick(picks(step))
            continue
        spoke += step.roles
        chat = chat.with_round(tuple(answer(role) for role in step.roles))
    return spoke, step.reason


def test_definitions_and_chat_know_the_same_patterns():
    assert set(names.PATTERNS) == set(PATTERNS)


@pytest.mark.parametrize(
    ("spec", "turns"),
    [
        (ChatSpec(), 3),
        (ChatSpec(stop_when="approved"), 6),
        (ChatSpec(max_turns=7), 7),
        (ChatSpec(max_turns=1, stop_when="approved"), 1),
    ],
)
def test_round_robin_gives_turns_in_crew_order(spec, turns):
    spoke, reason = play(make_pattern(spec, ROLES), said)
    assert spoke == [*NAMES, *NAMES, *NAMES][:turns]
    assert reason == f"{turns} turns"


def test_a_failed_turn_is_a_turn():
    assert play(make_pattern(ChatSpec(), ROLES), lambda role: said(role, failed=True))[0] == list(NAMES)


def test_approval_ends_the_chat():
    pattern = make_pattern(ChatSpec(stop_when="approved"), ROLES)
    spoke, reason = play(pattern, lambda role: said(role, "approve" if role == "critic" else None))
    assert (spoke, reason) == (list(NAMES), "critic approved")
    assert len(play(pattern, lambda role: said(role, "revise" if role == "critic" else None))[0]) == 6


def test_without_stop_when_approval_ends_nothing():
    pattern = make_pattern(ChatSpec(max_turns=6), ROLES)
    assert len(play(pattern, lambda role: said(role, "approve" if role == "critic" else None))[0]) == 6


@pytest.mark.parametrize(
    ("chat", "over"),
    [
        (chat_of(said("critic", "approve")), False),
        (chat_of(said("critic", "approve"), said("writer")), False),
        (chat_of(said("writer", failed=True), said("critic", "approve")), False),
        (chat_of(said("writer"), said("critic", "revise")), False),
        (chat_of(said("writer", "approve")), False),
        (chat_of(said("writer"), said("critic", "approve")), True),
        (chat_of(said("critic", "approve"), said("writer"), said("critic", "approve")), True),
        (chat_of(said("writer"), said("critic", "approve"), said("critic", "revise")), False),
        (Transcript(NAMES).with_round((said("critic", "approve"), said("writer"))), False),
    ],
)
def test_only_the_last_verdict_on_a_draft_counts(chat, over):
    approvers = frozenset({"critic"})
    for pattern in (RoundRobin(NAMES, 9, approvers, "approved"), Selector(NAMES, 9, approvers, "approved")):
        assert isinstance(pattern.next(chat), Done) == over


def test_selector_asks_for_every_turn_and_stops_when_nobody_is_picked():
    pattern = make_pattern(ChatSpec(pattern="selector"), ROLES)
    assert pattern.next(Transcript(NAMES)) == Choose(NAMES, may_end=False)
    chat = Transcript(NAMES).with_pick("coder")
    assert pattern.next(chat) == Speakers(("coder",))
    chat = chat.with_round((said("coder"),))
    assert pattern.next(chat) == Choose(("writer", "critic"), may_end=True)
    assert pattern.next(chat.with_pick(None)) == Done("no further speaker was picked")


def test_selector_cannot_end_before_there_is_a_draft():
    pattern = make_pattern(ChatSpec(pattern="selector"), ROLES)
    assert not pattern.next(chat_of(said("critic"), said("writer", failed=True))).may_end


def test_selector_lets_a_role_repeat_only_when_allowed():
    chat = chat_of(said("coder"))
    spec = ChatSpec(pattern="selector", select=SelectSpec(allow_repeat=True))
    assert make_pattern(spec, ROLES).next(chat).candidates == NAMES
    alone = Transcript(("coder",)).with_round((said("coder"),))
    assert make_pattern(ChatSpec(pattern="selector"), ROLES[1:2]).next(alone).candidates == ("coder",)


def test_selector_asks_nobody_when_there_is_no_choice():
    pattern = make_pattern(ChatSpec(pattern="selector"), ROLES[:2])
    members = NAMES[:2]
    assert pattern.next(chat_of(said("coder", failed=True), members=members)) == Speakers(("writer",))
    assert pattern.next(chat_of(said("coder"), members=members)) == Choose(("writer",), may_end=True)


def test_selector_takes_two_turns_a_role_at_most():
    spoke, reason = play(make_pattern(ChatSpec(pattern="selector"), ROLES), said)
    assert (len(spoke), reason) == (6, "6 turns")


@given(
    pattern=st.sampled_from(["round_robin", "selector"]),
    turns=st.none() | st.integers(1, 30),
    stop=st.sampled_from([None, "approved"]),
    repeat=st.booleans(),
    data=st.data(),
)
def test_every_chat_ends_in_time_and_only_members_speak(pattern, turns, stop, repeat, data):
    select = SelectSpec(allow_repeat=repeat)
    spec = ChatSpec(pattern=pattern, max_turns=turns, stop_when=stop, select=select)

    def answer(role):
        return said(
            role,
            data.draw(st.sampled_from(["approve", "revise"])) if role == "critic" else None,
            data.draw(st.booleans()),
        )

    def pick(choice):
        return data.draw(st.sampled_from([*choice.candidates, *([None] if choice.may_end else [])]))

    spoke, reason = play(make_pattern(spec, ROLES), answer, pick)
    assert len(spoke) <= (turns or 6)
    assert set(spoke) <= set(NAMES)
    assert reason
    if pattern == "selector" and not repeat:
        assert all(a != b for a, b in pairwise(spoke))


def test_an_unknown_pattern_is_told_with_the_nearest():
    with pytest.raises(UsageError) as caught:
        make_pattern(ChatSpec(pattern="roundrobin"), ROLES)
    assert "round_robin" in caught.value.hint
    with pytest.raises(UsageError, match="at least one role"):
        make_pattern(ChatSpec(), ())
