"""Picks by rule: everybody gets a turn, reviewers come after drafts, and a chat ends."""

from typing import Any

import pytest

from crewmix.models.types import Brief
from support.desk import Desk

SPEAKER = {
    "type": "object",
    "properties": {"speaker": {"type": "string", "enum": ["critic", "coder", "end"]}, "reason": {"type": "string"}},
    "required": ["speaker", "reason"],
}


@pytest.mark.parametrize(
    ("said", "candidates", "next_one"),
    [
        ((), ("critic", "researcher", "coder"), "researcher"),
        (("researcher",), ("critic", "coder"), "coder"),
        (("researcher", "coder"), ("critic", "researcher", "end"), "critic"),
        (("researcher", "coder", "critic"), ("researcher", "coder", "end"), "end"),
        (("researcher", "coder", "critic", "researcher"), ("coder", "critic"), "coder"),
    ],
)
def test_the_next_speaker_follows_a_rule(
    desk: Desk, said: tuple[str, ...], candidates: tuple[str, ...], next_one: str
) -> None:
    brief = Brief(purpose="select", candidates=candidates, messages=tuple((name, "…") for name in said))
    assert desk.complete(brief).text == next_one
    assert desk.complete(brief, schema=SPEAKER).data["speaker"] == next_one


def test_a_chat_of_rule_picks_ends(desk: Desk) -> None:
    said: list[tuple[str, str]] = []
    names = ("critic", "researcher", "analyst")
    for _ in range(10):
        name = desk.complete(Brief(purpose="select", candidates=(*names, "end"), messages=tuple(said))).text
        if name == "end":
            break
        said.append((name, "…"))
    assert [name for name, _ in said] == ["researcher", "analyst", "critic"]


def schema(**fields: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": fields, "required": list(fields)}


def test_the_draft_that_covers_the_question_wins(desk: Desk) -> None:
    brief = Brief(
        purpose="judge",
        question="How long is the bridge?",
        drafts=("It rains.", "The bridge is 90 metres long."),
        candidates=("a", "b"),
    )
    fields = schema(winner={"type": "string", "enum": ["a", "b"]}, score={"type": "number"}, reason={"type": "string"})
    data = desk.complete(brief, schema=fields).data
    assert data["winner"] == "b"
    assert 0 < data["score"] <= 1
    assert "not" in data["reason"].lower()


def test_a_guardrail_it_cannot_check_is_not_held_against_anyone_and_it_says_so(desk: Desk) -> None:
    brief = Brief(purpose="guardrail", question="1. Be polite", drafts=("Hello there.",))
    data = desk.complete(brief, schema=schema(valid={"type": "boolean"}, feedback={"type": "string"})).data
    assert data["valid"] is True
    assert "Not judged by a language model" in data["feedback"]


def test_what_it_cannot_judge_it_declines(desk: Desk) -> None:
    brief = Brief(purpose="other", question="Rate the mood")
    reply = desk.complete(brief, schema=schema(mood={"type": "string", "enum": ["glad", "sad"]}))
    assert reply.data is None
    assert "needs a language model" in reply.text
