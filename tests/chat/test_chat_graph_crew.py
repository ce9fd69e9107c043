"""A graph from the crew file to the answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from crewmix import Crew, tool
from crewmix.models.drivers.scripted import ScriptedModel

CREW = """
description: Parts of a text are written at the same time, joined, and reviewed until they are good.
roles:
  - {name: planner, role: Planner, goal: Find the parts., tools: [look_up]}
  - {name: writer, role: Writer, goal: Write.}
  - {name: critic, role: Critic, goal: Find mistakes., approves: true}
plan: none
chat:
  pattern: graph
  nodes:
    plan: {role: planner, ask: List the parts., fields: {parts: list, kind: [short, long]}, next: work}
    work: {role: writer, ask: Write this part., each: plan.parts, max_items: 3, next: join}
    join: {role: writer, ask: Put the parts together., next: check}
    check:
      role: critic
      fields: {score: number}
      next: [{to: join, when: {verdict: revise}}, {to: polish, when: {verdict: approve, score: ">= 8"}}]
    polish: {role: writer}
models: {default: auto}
"""

RULES: list[dict[str, Any]] = [
    {
        "role": "plan",
        "contains": "List the parts",
        "tool_calls": [{"name": "look_up", "arguments": {"word": "x"}}],
        "times": 1,
    },
    {"role": "plan", "json": {"parts": ["start", "end"], "kind": "short"}},
    {"role": "work#1", "contains": "start", "text": "It starts."},
    {"role": "work#2", "contains": "end", "text": "It ends."},
    {"role": "check", "round": 4, "json": {"score": 3, "verdict": "revise"}},
    {"role": "check", "json": {"score": 9, "verdict": "approve"}},
    {"role": "join", "text": "It starts. It ends."},
    {"role": "polish", "text": "It starts, and then it ends."},
]


@tool
def look_up(word: str) -> str:
    """What a word means."""
    return f"{word} is a letter"


def load(folder: Path, rules: list[dict[str, Any]]) -> tuple[Crew, ScriptedModel]:
    (folder / "crew.yaml").write_text(CREW)
    model = ScriptedModel(rules)
    return Crew.load(folder / "crew.yaml", models={"default": model}, tools=[look_up]), model


def test_a_graph_in_yaml_answers_a_goal(tmp_path: Path):
    crew, model = load(tmp_path, RULES)

    result = crew.run("Write about time.")

    assert result.output == "It starts, and then it ends."
    assert [(m.round, m.role, m.text) for m in result.messages] == [
        (1, "plan", "parts:\n- start\n- end\nkind: short"),
        (2, "work#1", "It starts."),
        (2, "work#2", "It ends."),
        (3, "join", "It starts. It ends."),
        (4, "check", "score: 3"),
        (5, "join", "It starts. It ends."),
        (6, "check", "score: 9"),
        (7, "polish", "It starts, and then it ends."),
    ]
    assert [d.role for d in result.drafts] == ["polish"]
    assert (
        "Your part now: Put the parts together."
        in next(r for r in model.requests if r.brief.role == "join").messages[-1].content
    )


def test_a_graph_whose_critic_is_never_content_ends_and_says_so(tmp_path: Path):
    never = [rule for rule in RULES if rule.get("json") != {"score": 9, "verdict": "approve"}]
    crew, _ = load(tmp_path, [*never, {"role": "check", "json": {"score": 3, "verdict": "revise"}}])

    result = crew.run("Write about time.")

    assert result.output == "It starts. It ends."
    assert any("join reached its limit of 3 turns" in warning for warning in result.warnings)


def test_the_calls_of_a_graph_lie_inside_its_estimate(tmp_path: Path):
    crew, model = load(tmp_path, RULES)

    estimate = crew.estimate("Write about time.")
    crew.run("Write about time.")

    assert len(RULES) <= len(model.requests) <= estimate.worst.calls
