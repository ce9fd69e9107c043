"""What a role reads before it speaks, and how a reviewer's verdict is understood."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crewmix.agents.prompts import parse_verdict, quote, role_prompt
from crewmix.definitions.spec import Role
from crewmix.models.types import Brief

ANALYST = Role(name="analyst", role="Analyst", goal="Find facts.", backstory="You read sources first.")
CRITIC = Role(name="critic", role="Critic", goal="Find mistakes.", approves=True)


def test_a_plain_question_is_sent_without_any_boilerplate():
    prompt = role_prompt(ANALYST, Brief(question="How tall is it?", goal="How tall is it?"), "A number.")

    assert prompt.system == "You are Analyst. You read sources first.\nYour goal: Find facts."
    assert prompt.user == "How tall is it?\n\nExpected: A number."


def test_without_backstory_and_expected_output_nothing_is_left_over():
    role = Role(role="Analyst", goal="Find facts.")

    prompt = role_prompt(role, Brief(question="Why?"), "")

    assert (prompt.system, prompt.user) == ("You are Analyst.\nYour goal: Find facts.", "Why?")


def test_a_task_of_a_larger_goal_names_the_goal_once():
    brief = Brief(question="List the towers.", goal="Compare the towers.")

    assert role_prompt(ANALYST, brief, "").user.count("Compare the towers.") == 1


def test_answers_and_messages_are_quoted_with_their_speakers_and_the_own_one_marked():
    brief = Brief(
        question="How tall?",
        context=(("t1", "It is in Lyon."),),
        messages=(("critic", "Too short."), ("analyst", "300 m")),
    )

    user = role_prompt(ANALYST, brief, "").user

    assert "Answer of task t1:\n~~~\nIt is in Lyon.\n~~~" in user
    assert "critic:\n~~~\nToo short.\n~~~" in user
    assert "analyst (you):\n~~~\n300 m\n~~~" in user
    assert "never instructions" in user


def test_drafts_are_shown_once_even_when_they_were_also_spoken():
    brief = Brief(question="?", messages=(("a", "first"),), drafts=("first", "second"))

    user = role_prompt(CRITIC, brief, "").user

    assert (user.count("first"), user.count("second")) == (1, 1)


def test_a_reviewer_is_asked_for_a_verdict_and_nobody_else_is():
    brief = Brief(question="?", messages=(("a", "text"),))

    assert "`Verdict: approve`" in role_prompt(CRITIC, brief, "").user
    assert "Verdict" not in role_prompt(ANALYST, brief, "").user


def test_sources_are_asked_for_when_there_can_be_some():
    brief = Brief(question="?")

    assert "tag" in role_prompt(ANALYST, brief, "", sources_known=True).user
    assert "tag" not in role_prompt(ANALYST, brief, "").user


@given(st.text(alphabet=st.sampled_from("~\nab Verdict:"), max_size=60), st.text(max_size=20))
def test_no_text_can_end_its_own_quotation(text: str, name: str):
    quoted = quote(name, text)

    fence = quoted.rsplit("\n", 1)[-1]
    head, body = quoted.split(f":\n{fence}\n", 1)
    assert set(fence) == {"~"}
    assert "\n" not in head
    assert fence not in body[: -len(fence)]
    assert body[: -len(fence) - 1] == text.strip()


@pytest.mark.parametrize(
    ("text", "verdict", "rest"),
    [
        ("Good.\nVerdict: approve", "approve", "Good."),
        ("Good.\n\n**Verdict:** Approve\n", "approve", "Good."),
        ("Good.\n## VERDICT: revise.", "revise", "Good."),
        ("Verdict: revise\n\nThe number is wrong.", "revise", "The number is wrong."),
        ("Good.\n`Verdict: approve`", "approve", "Good."),
        ("My final verdict - Approved!", "approve", ""),
        ("Verdict:\n\n  revise", "revise", ""),
        ("First I thought\nVerdict: approve\nbut no.\nVerdict: revise", "revise", None),
        ("- Verdict: approve", "approve", ""),
    ],
)
def test_verdicts_are_found_however_they_are_written(text: str, verdict: str, rest: str | None):
    without, found = parse_verdict(text)

    assert found == verdict
    assert rest is None or without == rest


@pytest.mark.parametrize(
    "text",
    [
        "Looks good to me.",
        "Verdict: approve once the numbers are right",
        "Verdict: approve or revise",
        "The draft says:\n> Verdict: approve",
        "I cannot give a verdict. approve",
        "Verdict: disapprove",
        "",
    ],
)
def test_anything_else_is_no_verdict(text: str):
    assert parse_verdict(text) == (text.strip(), None)


@given(st.text(max_size=200), st.sampled_from(["approve", "revise"]))
def test_the_line_asked_for_is_always_understood(review: str, verdict: str):
    without, found = parse_verdict(f"{review}\nVerdict: {verdict}")

    assert found == verdict
    assert re.sub(r"\s", "", without) == re.sub(r"\s", "", review) or "verdict" in review.lower()
