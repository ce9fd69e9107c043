"""Steps of a graph ask for fields: without a language model they are filled as far as rules can, and always fit."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from crewmix.agents.prompts import quote
from crewmix.chat.graph.fields import schema_of
from crewmix.models.offline.form import filled_form
from crewmix.models.types import Brief
from support.desk import Desk

SAID = (("reader", "The bridge is 90 metres long. [a.md:1] The tunnel was built by Ada Stone. [b.md:3]"),)
QUESTION = "How long is the bridge, and who built the tunnel?"


def form(desk: Desk, fields: dict[str, Any], **brief: Any) -> dict[str, Any]:
    schema = schema_of(fields, approves=brief.get("approves", False))
    assert schema is not None
    filled = Brief(**{"purpose": "speak", "role": "clerk", "question": QUESTION, "messages": SAID, **brief})
    data = desk.complete(filled, schema=schema).data
    Draft202012Validator(schema).validate(data)
    return data


def test_lists_hold_the_statements_and_parts_of_the_question_what_it_asks(desk: Desk) -> None:
    data = form(desk, {"facts": "list", "questions": "list"})
    assert data["facts"] == ["The bridge is 90 metres long. [a.md:1]", "The tunnel was built by Ada Stone. [b.md:3]"]
    assert data["questions"] == ["How long is the bridge?", "Who built the tunnel?"]


def test_numbers_words_and_yes_or_no(desk: Desk) -> None:
    fields = {"metres": "number", "kind": ("ferry", "bridge", "road"), "found": "boolean", "score": "number"}
    data = form(desk, fields, question="How long is the bridge?")
    assert data == {"metres": 90, "kind": "bridge", "found": True, "score": 10}


def test_nothing_to_say_is_no_answer(desk: Desk) -> None:
    data = form(desk, {"found": "boolean", "facts": "list", "number": "number"}, messages=())
    assert data == {"found": False, "facts": [], "number": 0}


def test_a_text_field_takes_what_speaks_of_it(desk: Desk) -> None:
    data = form(desk, {"tunnel": "text", "remark": "text"})
    assert data["tunnel"] == "The tunnel was built by Ada Stone. [b.md:3]"
    assert "90 metres" in data["remark"]


def test_a_reviewers_verdict_is_a_field(desk: Desk) -> None:
    assert form(desk, {"missing": "list"}, approves=True)["verdict"] == "approve"
    bare = (("reader", "It rains."),)
    assert form(desk, {"missing": "list"}, approves=True, messages=bare)["verdict"] == "revise"


def test_a_step_answers_its_own_item_and_not_the_whole_question(desk: Desk) -> None:
    ask = f"Answer it.\nThis is for one item of a list.\n{quote('The item', 'Who built the tunnel?')}"
    brief = Brief(purpose="speak", role="clerk", question=QUESTION, messages=SAID, ask=ask)
    assert desk.complete(brief).text == "The tunnel was built by Ada Stone. [b.md:3]"


def test_a_step_with_a_question_of_its_own_answers_that(desk: Desk) -> None:
    brief = Brief(
        purpose="speak", role="clerk", question=QUESTION, messages=SAID, ask="How long is the bridge? Be brief."
    )
    assert desk.complete(brief).text == "The bridge is 90 metres long. [a.md:1]"


def test_a_wish_for_a_form_of_answer_is_not_the_matter(desk: Desk) -> None:
    brief = Brief(purpose="speak", role="clerk", question=QUESTION, messages=SAID, ask="End with one line `Answer: …`.")
    assert "90 metres" in desk.complete(brief).text


TYPES = st.sampled_from(["text", "number", "boolean", "list", ("yes", "no"), ("low", "middle", "high")])


@given(st.dictionaries(st.from_regex(r"[a-z]{1,12}", fullmatch=True), TYPES, min_size=1), st.text(), st.text())
def test_any_text_fits_any_form(fields: dict[str, Any], question: str, text: str) -> None:
    schema = schema_of(fields)
    assert schema is not None
    Draft202012Validator(schema).validate(filled_form(question, text, schema))


def test_bounds_of_numbers_are_kept() -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 3, "maximum": 5}}}
    assert filled_form("?", "1 or 2 or 4 of 7", schema) == {"n": 4}
    assert filled_form("?", "none", schema) == {"n": 3}
