"""A reviewer names what is missing, uncited or contradictory, and always comes to a verdict."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crewmix.agents.prompts import parse_verdict
from crewmix.models.offline.review import review
from crewmix.models.types import Brief
from support.desk import Desk

QUESTION = "How long is the bridge, and who built the tunnel?"
BRIDGE = "The bridge is 90 metres long. [a.md:1-2]"
TUNNEL = "The tunnel was built by Ada Stone. [b.md:3]"


def reviewed(*messages: tuple[str, str], question: str = QUESTION, **fields: Any) -> tuple[str, str | None]:
    brief = Brief(purpose="speak", role="critic", question=question, messages=messages, approves=True, **fields)
    return parse_verdict(review(brief))


def test_a_full_cited_answer_is_approved() -> None:
    text, verdict = reviewed(("researcher", f"{BRIDGE} {TUNNEL}"))
    assert verdict == "approve"
    assert text == "Every part of the question is answered, and every claim is cited (2 documents)."


def test_a_missing_part_is_named_and_sent_back() -> None:
    text, verdict = reviewed(("researcher", BRIDGE))
    assert verdict == "revise"
    assert text == "Nothing said answers this: Who built the tunnel?"


def test_an_uncited_claim_is_quoted_and_sent_back() -> None:
    text, verdict = reviewed(("researcher", f"{BRIDGE} The tunnel was built by Ada Stone."))
    assert verdict == "revise"
    assert 'No citation: "The tunnel was built by Ada Stone."' in text


def test_a_contradiction_between_drafts_is_named() -> None:
    text, _ = reviewed(("researcher", f"{BRIDGE} {TUNNEL}"), ("analyst", "The bridge is 70 metres long. [c.md:4]"))
    assert (
        'Contradiction: "The bridge is 70 metres long" [c.md:4] but "The bridge is 90 metres long" [a.md:1-2]' in text
    )


def test_only_the_newest_message_of_a_role_counts() -> None:
    _, verdict = reviewed(("researcher", "The tunnel is blue."), ("researcher", f"{BRIDGE} {TUNNEL}"))
    assert verdict == "approve"


def test_what_cannot_be_had_is_said_and_not_asked_for_twice() -> None:
    text, verdict = reviewed(("researcher", BRIDGE), ("critic", "Nothing said answers this."), ("researcher", BRIDGE))
    assert verdict == "approve"
    assert text == "It cannot be had from the documents: Who built the tunnel?"


@pytest.mark.parametrize(
    "said",
    ["No evidence found in the documents for: it", "This needs a language model."],
)
def test_a_plain_refusal_is_accepted(said: str) -> None:
    text, verdict = reviewed(("researcher", said))
    assert verdict == "approve"
    assert said in text


def test_without_a_draft_there_is_nothing_to_approve() -> None:
    assert reviewed() == ("There is no draft.", "revise")


@given(
    st.lists(st.tuples(st.sampled_from(["a", "b", "critic"]), st.text(max_size=80)), max_size=5), st.text(max_size=60)
)
def test_every_review_ends_in_exactly_one_verdict(messages: list[tuple[str, str]], question: str) -> None:
    brief = Brief(purpose="speak", role="critic", question=question, messages=tuple(messages), approves=True)
    lines = review(brief).split("\n")
    assert lines[-1] in {"Verdict: approve", "Verdict: revise"}
    if any(name == "critic" for name, _ in messages):
        assert lines[-1] == "Verdict: approve"


def test_a_crew_reviews_its_own_real_answer(desk: Desk) -> None:
    question = "Which of these licences require keeping the copyright notice?"
    _, verdict = reviewed(("researcher", desk.research(question)), question=question)
    assert verdict == "approve"
