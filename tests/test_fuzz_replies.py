"""Whatever a model says where a plan, a choice, a ranking or marks were wanted, the run ends in order."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from crewmix import Crew
from crewmix.errors import BudgetExceededError, DefinitionError, RunError
from crewmix.models.types import ModelReply, ModelRequest, ToolCall, Usage
from support.chaos import value_of
from support.fuzz import VALUES, mutated_data, mutated_text
from support.models import FunctionModel
from support.random_crews import Moody, random_crew

JUNK = [
    "",
    "   ",
    "no",
    "[]",
    "{}",
    "null",
    "true",
    "NaN",
    "-Infinity",
    '"text"',
    "[" * 3000,
    '{"a":' * 3000,
    "```json\n```",
    "```",
    "\ud800",
]
JUNK += [
    "1e999",
    "9" * 5000,
    '{"tasks": [], "tasks": [1]}',
    "Answer:",
    "Verdict: perhaps",
    "Pass to: nobody",
    "A > B > A",
    "\x00\x1b[2J",
    "{'a': 1}",
]
JUNK += [
    "<think>never ends",
    "</think>",
    "Scores: ∞/10",
    "1. 1. 1.",
    "| a | b |",
    "<tool_call>{}</tool_call>",
    "🙂" * 4000,
    "\u202e\u2028",
]


class Babbler:
    """Answers as asked, or almost, or not at all."""

    def __init__(self, seed: int) -> None:
        self._draw, self._moody = random.Random(seed), Moody(seed)

    def __call__(self, request: ModelRequest) -> str | ModelReply:
        draw = self._draw
        if draw.random() < 0.3:
            return draw.choice(JUNK)
        if draw.random() < 0.05:
            calls = (ToolCall("1", draw.choice(["", "x", "a b"]), draw.choice(["{}", "[", "null"])),)
            return ModelReply(text=draw.choice(["", "text"]), tool_calls=calls, usage=Usage(1, 1), model="m")
        if request.schema is not None:
            said = json.dumps(mutated_data(value_of(dict(request.schema), draw), draw, draw.choice([0, 0.1, 0.4])))
            return draw.choice([said, f"```json\n{said}\n```", f"Sure! {said} Done.", mutated_text(said, draw)])
        said = self._moody(request)
        return mutated_text(said, draw) if isinstance(said, str) and draw.random() < 0.5 else str(said)


@pytest.mark.parametrize("block", range(3))
def test_a_run_of_babblers_ends_in_order(block: int, tmp_path: Path) -> None:
    worked = 0
    for seed in range(block * 1000, block * 1000 + 40):
        draw = random.Random(seed)
        fields: dict[str, Any] = random_crew(draw)
        fields["plan"] = draw.choice(["none", {"max_tasks": draw.randint(1, 4)}])
        fields["budget"] = {"calls": 60}
        model = FunctionModel(Babbler(seed))
        models = {"default": model, **({"spare": model} if "'spare'" in str(fields["chat"]) else {})}
        try:
            crew = Crew(models=models, project=tmp_path, **fields)
        except DefinitionError:
            continue
        try:
            result = crew.run("Why?", on_event=lambda event: json.dumps(event.as_dict(), default=str))
        except (RunError, BudgetExceededError) as error:
            assert error.message.strip()
            continue
        worked += 1
        json.dumps(result.as_dict(), allow_nan=False, default=str).encode()
        assert result.confidence is None or 0 <= result.confidence <= 1
    assert worked > 5


@pytest.mark.parametrize(
    ("purpose", "method"),
    [
        ("plan", "aggregate"),
        ("select", "aggregate"),
        ("rank", "rank"),
        ("judge", "judge"),
        ("synthesize", "critique_combine"),
        ("speak", "majority"),
    ],
)
def test_one_that_always_babbles_stops_nobody_else(purpose: str, method: str, tmp_path: Path) -> None:
    for said in [*JUNK, *(json.dumps(value) for value in VALUES)][:: 4 if purpose == "select" else 2]:
        moody = Moody(1)
        model = FunctionModel(
            lambda request, said=said, moody=moody: said if request.brief.purpose == purpose else moody(request)
        )
        roles = [{"name": name, "role": name, "goal": "Answer."} for name in ("ann", "bob")]
        crew = Crew(
            roles=roles,
            plan={"max_tasks": 2} if purpose == "plan" else "none",
            chat={"pattern": "selector" if purpose == "select" else "vote"},
            synthesis={"method": method},
            models={"default": model},
            project=tmp_path,
        )
        try:
            result = crew.run("Why?")
        except RunError as error:
            assert purpose in {"speak", "plan", "synthesize"}, error
            continue
        assert result.output.strip()
