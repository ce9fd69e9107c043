"""A script can speak for a role in all its seats, and for each of them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from crewmix import ScriptedModel
from crewmix.errors import BadRequestError
from crewmix.models.types import Brief, ModelRequest


def say(model: ScriptedModel, role: str, *, sample: int = 0, **brief: Any) -> str:
    request = ModelRequest("m", (), sample=sample, brief=Brief(**{"purpose": "speak", "role": role, **brief}))
    return asyncio.run(model.complete(request)).text


@pytest.mark.parametrize("seat", ["solver", "solver#1", "solver#12", "solver#2@1", "solver@2"])
def test_a_role_speaks_for_all_its_seats(seat: str):
    assert say(ScriptedModel([{"role": "solver", "text": "42"}]), seat) == "42"


def test_a_rule_for_the_seat_goes_before_one_for_the_role_wherever_it_stands():
    rules = [{"role": "solver", "text": "all"}, {"role": "solver#2", "text": "second"}, {"text": "anybody"}]
    model = ScriptedModel(rules)
    assert [say(model, name) for name in ("solver#1", "solver#2", "solver#2@1", "critic")] == [
        *("all", "second", "all", "anybody")
    ]


def test_a_rule_without_a_role_keeps_its_place():
    model = ScriptedModel([{"round": 2, "text": "later"}, {"role": "solver#1", "text": "first"}])
    assert say(model, "solver#1", round=2) == "later"
    assert say(model, "solver#1", round=1) == "first"


def test_a_seat_is_not_another_role_or_seat():
    model = ScriptedModel([{"role": "solver#1", "text": "one"}, {"role": "solve", "text": "other"}])
    for seat in ("solver#11", "solver", "solver#1@2"):
        with pytest.raises(BadRequestError, match="no rule answers"):
            say(model, seat)


def test_nodes_of_a_graph_are_named_like_seats():
    model = ScriptedModel([{"role": "check#2", "text": "second item"}, {"role": "check", "text": "any item"}])
    assert [say(model, f"check#{n}") for n in (1, 2, 3)] == ["any item", "second item", "any item"]


def test_samples_are_told_apart():
    model = ScriptedModel([{"purpose": "test", "sample": 1, "text": "second"}, {"purpose": "test", "text": "other"}])
    assert [say(model, "tester", purpose="test", sample=n) for n in range(3)] == ["other", "second", "other"]


def test_times_counts_each_seat_for_itself():
    model = ScriptedModel([{"role": "solver", "times": 1, "text": "once"}, {"role": "solver", "text": "again"}])
    said = [say(model, name) for name in ("solver#1", "solver#2", "solver#1", "solver#2")]
    assert said == ["once", "once", "again", "again"]


@pytest.mark.parametrize("purpose", ["rank", "judge", "critique", "summarise", "test"])
def test_rules_know_what_a_synthesis_asks_for(purpose: str):
    model = ScriptedModel([{"purpose": purpose, "json": {"reason": "so"}}, {"text": "else"}])
    assert say(model, "judge", purpose=purpose) == '{"reason": "so"}'
    assert say(model, "judge") == "else"
