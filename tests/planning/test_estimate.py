"""What an estimate counts, held against what a run really takes."""

import json

import pytest

from crewmix import Crew, Role
from crewmix.errors import RunError
from crewmix.models.drivers.scripted import ScriptedModel

FINE = {"purpose": "guardrail", "json": {"valid": True, "feedback": ""}}
BROKEN = {"purpose": "guardrail", "json": {"valid": False, "feedback": "too long"}}
LOOK = {"times": 1, "tool_calls": [{"name": "look", "arguments": {"place": "x"}}]}
ANSWER = {"text": "An answer."}


def look(place: str) -> str:
    """What is at a place."""
    return f"nothing at {place}"


def crew_of(tmp_path, rules=(), **fields):
    role = Role(name="one", role="One", goal="Answer", **fields)
    tools = [look] if role.tools else []
    model = ScriptedModel([*rules, ANSWER])
    return Crew(roles=[role], plan="none", tools=tools, models={"default": model}, project=tmp_path), model


@pytest.mark.parametrize(
    ("fields", "rules", "expected", "worst"),
    [
        ({}, [], 1, 1),
        ({"tools": ["look"]}, [LOOK], 2, 12),
        ({"guardrails": ["Be short.", "Be kind."]}, [FINE], 2, 12),
        ({"tools": ["look"], "guardrails": ["Be short."], "max_iter": 5}, [FINE, LOOK], 3, 5),
        ({"tools": ["look"], "max_iter": 1}, [], 1, 1),
    ],
)
def test_the_expected_calls_are_those_of_a_turn_without_trouble(fields, rules, expected, worst, tmp_path):
    crew, model = crew_of(tmp_path, rules, **fields)
    estimate = crew.estimate("Why?")
    assert (estimate.expected.calls, estimate.expected.depth) == (expected, expected)
    assert (estimate.worst.calls, estimate.worst.depth) == (worst, worst)
    assert crew.run("Why?").calls == len(model.requests) == expected


def test_no_turn_with_tools_and_broken_rules_takes_more_than_the_worst_case(tmp_path):
    calls = [{"times": 1, "tool_calls": [{"name": "look", "arguments": {"place": str(n)}}]} for n in range(4)]
    crew, model = crew_of(tmp_path, [BROKEN, *calls], tools=["look"], guardrails=["Be short."], max_iter=6)
    with pytest.raises(RunError, match="max_iter"):
        crew.run("Why?")
    assert len(model.requests) == crew.estimate("Why?").worst.calls == 6


def test_an_estimate_is_data_as_well(tmp_path):
    crew, _ = crew_of(tmp_path)
    assert json.loads(json.dumps(crew.estimate("Why?").as_dict()))["expected"]["calls"] == 1
