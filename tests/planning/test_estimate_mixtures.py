"""For every pattern and synthesis: what an estimate counts, held against what runs really take."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from crewmix import Crew, Role
from crewmix.chat.graph.fields import made_up
from crewmix.models.types import ModelReply, ModelRequest, Usage
from support.models import FunctionModel

GOAL = "How many people live in Lyon?"


def roles(*names: str) -> list[Role]:
    """Roles by name; those called critic review."""
    return [Role(name=n, role=n, goal="Answer.", approves=n.startswith("critic")) for n in names]


def reply(data: dict[str, Any]) -> ModelReply:
    """A reply in fields."""
    return ModelReply(text=json.dumps(data), usage=Usage(100, 20), model="python/test")


def judged(request: ModelRequest) -> str | ModelReply:
    """A judge who prefers what was written last."""
    brief = request.brief
    if brief.purpose == "rank":
        shown = sorted(zip(brief.candidates, brief.drafts, strict=True), key=lambda pair: pair[1], reverse=True)
        return reply({"ranking": [label for label, _ in shown], "reason": "The newest."})
    if brief.purpose == "judge":
        marks = [{"criterion": criterion, "score": 7} for criterion in brief.criteria]
        return reply({"scores": marks, "reason": "Fair."})
    return "Strong and weak."


def easy(request: ModelRequest) -> str | ModelReply:
    """Everyone agrees, approves at once, and passes on to those who have not spoken."""
    brief = request.brief
    if brief.purpose in {"rank", "judge", "critique", "summarise", "test", "synthesize"}:
        return judged(request)
    spoken = {name for name, _ in brief.messages}
    others = [name for name in brief.candidates if name not in {*spoken, brief.role}]
    if brief.purpose == "select":
        return reply({"speaker": others[0], "reason": "New."})
    if request.schema is not None:
        return reply(made_up(request.schema))
    if brief.approves:
        return "Fine.\nVerdict: approve"
    passing = f"\nPass to: {others[0]}" if others else ""
    return f"{brief.round}: the same for all.\nAnswer: 42{passing}"


class Difficult:
    """Everyone disagrees, nobody approves, whoever can passes on."""

    def __init__(self) -> None:
        self.said = 0

    def __call__(self, request: ModelRequest) -> str | ModelReply:
        brief = request.brief
        self.said += 1
        if brief.purpose in {"rank", "judge", "critique", "summarise", "test", "synthesize"}:
            return judged(request)
        if brief.purpose == "select":
            return reply({"speaker": brief.candidates[0], "reason": "Again."})
        if request.schema is not None:
            made = made_up(request.schema)
            return reply({**made, "good": False} if "good" in made else made)
        if brief.approves:
            return "Bad.\nVerdict: revise"
        passing = f"\nPass to: {brief.candidates[0]}" if brief.candidates else ""
        return f"{brief.round}: attempt {self.said}.\nAnswer: {self.said}{passing}"


GRAPH = {
    "pattern": "graph",
    "nodes": {
        "split": {"role": "ann", "fields": {"parts": "list"}, "next": "work"},
        "work": {"role": "bob", "each": "split.parts", "max_items": 5, "next": "join"},
        "join": {"role": "cem", "fields": {"good": "boolean"}, "next": {"to": "split", "when": {"good": False}}},
    },
}

CASES: dict[str, tuple[dict[str, Any], int, int, int, int]] = {
    # crew fields: calls and depth expected, calls and depth at worst
    "moa": (dict(roles=roles("ann"), chat={"pattern": "layers", "layers": 3, "samples": 6}), 13, 3, 13, 3),
    "moa_lite": (dict(roles=roles("ann"), chat={"pattern": "layers", "samples": 6}), 7, 2, 7, 2),
    "layers that differ": (
        dict(
            roles=roles("ann", "bob"),
            chat={
                "pattern": "layers",
                "layers": 3,
                "per_layer": [{"proposers": ["ann", "bob"]}, {"proposers": [{"role": "bob", "count": 3}]}],
            },
        ),
        6, 3, 6, 3,
    ),
    "layers with spare": (
        dict(
            roles=roles("ann"),
            chat={"pattern": "layers", "samples": 3, "retries": 1, "replacement": "spare"},
        ),
        4, 2, 10, 4,
    ),
    "votes": (
        dict(roles=roles("ann"), chat={"pattern": "vote", "samples": 5}, synthesis={"method": "majority"}),
        5, 1, 5, 1,
    ),
    "votes that tie": (
        dict(
            roles=roles("ann"),
            chat={"pattern": "vote", "samples": 4},
            synthesis={"method": "majority", "ties": "aggregate"},
        ),
        4, 1, 5, 2,
    ),
    "votes that agree": (
        dict(
            roles=roles("ann", "bob"),
            chat={"pattern": "vote", "samples": 5, "stop": {"agree": 3}},
            synthesis={"method": "majority"},
        ),
        3, 1, 10, 8,
    ),
    "similar": (
        dict(
            roles=roles("ann"),
            chat={"pattern": "vote", "samples": 4, "stop": {"agree": 2, "similarity": 0.9}},
            synthesis={"method": "similarity"},
        ),
        2, 1, 4, 3,
    ),
    "critique": (
        dict(
            roles=roles("ann"),
            chat={"pattern": "vote", "samples": 3},
            synthesis={"method": "critique_combine"},
        ),
        5, 3, 5, 3,
    ),
    "debate": (dict(roles=roles("ann", "bob"), chat={"pattern": "debate", "rounds": 2}), 7, 4, 9, 5),
    "debate with a critic": (
        dict(
            roles=roles("ann", "bob", "critic"),
            chat={"pattern": "debate", "rounds": 3, "stop_when": "approved", "accept": "always"},
        ),
        4, 3, 9, 6,
    ),
    "handoff": (dict(roles=roles("ann", "bob", "cem"), chat={"pattern": "handoff"}), 3, 3, 6, 6),
    "handoff to a dead end": (
        dict(
            roles=roles("ann", "bob"),
            chat={"pattern": "handoff", "handoffs": {"ann": ["bob"], "bob": []}, "max_turns": 7},
        ),
        2, 2, 7, 7,
    ),
    "selector": (
        dict(roles=roles("ann", "bob", "critic"), chat={"pattern": "selector", "stop_when": "approved"}),
        7, 7, 25, 25,
    ),
}  # fmt: skip


def models(name: str, answer: Callable[[ModelRequest], str | ModelReply]) -> dict[str, FunctionModel]:
    """The models of a case."""
    model = FunctionModel(answer)
    return {"default": model, "spare": model} if name == "layers with spare" else {"default": model}


@pytest.mark.parametrize("name", CASES)
def test_calls_and_depth_are_counted_from_the_structure_that_runs(name: str, tmp_path: Path) -> None:
    fields, calls, depth, most, deepest = CASES[name]
    crew = Crew(plan="none", models=models(name, easy), project=tmp_path, **fields)
    estimate = crew.estimate(GOAL)
    assert (estimate.expected.calls, estimate.expected.depth) == (calls, depth)
    assert (estimate.worst.calls, estimate.worst.depth) == (most, deepest)
    for case in (estimate.expected, estimate.worst):
        assert sum(stage.calls for stage in case.stages) == case.calls
        assert sum(stage.input_tokens for stage in case.stages) == case.input_tokens
    assert crew.run(GOAL).calls == calls


@pytest.mark.parametrize("name", CASES)
def test_no_run_without_failures_leaves_the_estimate(name: str, tmp_path: Path) -> None:
    fields, calls, _, most, _ = CASES[name]
    crew = Crew(plan="none", models=models(name, Difficult()), project=tmp_path, **fields)
    assert calls <= crew.run(GOAL).calls <= most


@pytest.mark.parametrize(
    ("synthesis", "expected"),
    [
        ({"method": "rank"}, 4 + 1),
        ({"method": "rank", "rankings": 3}, 4 + 3),
        ({"method": "rank", "compare": "pairwise"}, 4 + 6),
        ({"method": "judge"}, 4 + 4),
        ({"method": "judge", "rankings": 2}, 4 + 8),
    ],
)
def test_judges_are_counted(synthesis: dict[str, Any], expected: int, tmp_path: Path) -> None:
    model = FunctionModel(Difficult())
    chat = {"pattern": "vote", "samples": 4}
    crew = Crew(
        roles=roles("ann"),
        plan="none",
        chat=chat,
        synthesis=synthesis,
        models={"default": model},
        project=tmp_path,
    )
    estimate = crew.estimate(GOAL)
    assert (estimate.expected.calls, estimate.expected.depth) == (expected, 2)
    assert estimate.expected.calls <= crew.run(GOAL).calls <= estimate.worst.calls


def test_a_graph_is_walked_as_it_runs(tmp_path: Path) -> None:
    model = FunctionModel(easy)
    crew = Crew(roles=roles("ann", "bob", "cem"), plan="none", chat=GRAPH, models={"default": model}, project=tmp_path)
    estimate = crew.estimate(GOAL)
    assert [(stage.name, stage.calls) for stage in estimate.expected.stages] == [("split", 1), ("work", 3), ("join", 1)]
    assert (estimate.expected.calls, estimate.expected.depth) == (5, 3)
    # At worst three times around, five items each, every structured reply is asked for twice, and all drafts are merged.
    most = {stage.name: stage.calls for stage in estimate.worst.stages}
    assert most == {"split": 6, "work": 15, "join": 6, "synthesis": 1}
    assert crew.run(GOAL).calls == 5
    again = Crew(
        roles=roles("ann", "bob", "cem"),
        plan="none",
        chat=GRAPH,
        models={"default": FunctionModel(Difficult())},
        project=tmp_path,
    )
    assert 5 < again.run(GOAL).calls <= estimate.worst.calls


def test_a_crew_within_a_crew_is_counted_with_its_own_models(tmp_path: Path) -> None:
    (tmp_path / "crews").mkdir()
    (tmp_path / "crews/panel.yaml").write_text(
        "roles:\n  - {name: ann, role: Ann, goal: Answer.}\n"
        "plan: none\nchat: {pattern: layers, samples: 3}\nmodels: {default: scripted/s.yaml, big: scripted/s.yaml}\n"
        "synthesis: {llm: big}\n"
    )
    (tmp_path / "crews/outer.yaml").write_text(
        "roles:\n  - {name: team, role: Team, goal: Answer., crew: panel}\n  - {name: bob, role: Bob, goal: Answer.}\n"
        "plan: none\nchat: {pattern: vote}\nmodels: {default: scripted/s.yaml}\n"
    )
    (tmp_path / "s.yaml").write_text("rules:\n  - {text: An answer.}\n")
    crew = Crew.load("outer", project=tmp_path)
    estimate = crew.estimate(GOAL)
    # Three drafts and a synthesis within, beside one draft, and the synthesis of both.
    assert (estimate.expected.calls, estimate.expected.depth) == (6, 3)
    assert [(stage.name, stage.calls) for stage in estimate.expected.stages] == [("votes", 5), ("synthesis", 1)]
    assert crew.run(GOAL).calls == 6


def test_tokens_grow_as_the_published_formulae_say(tmp_path: Path) -> None:
    """Input n·p + ((L-2)·n+1)·(p+s+n·o), output calls·o: notes of Wang et al., arXiv 2406.04692."""
    role = Role(name="ann", role="An", goal="Answer", max_output_tokens=450)
    synthesizer = Role(name="sue", role="Sue", goal="Merge", max_output_tokens=450)
    question = "What is it? " * 10
    n, p, s, o = 6, 50, 125, 400
    for layers in (2, 3, 4):
        chat = {"pattern": "layers", "layers": layers, "samples": n}
        crew = Crew(
            roles=[role],
            synthesizer=synthesizer,
            plan="none",
            chat=chat,
            models={"default": FunctionModel(easy)},
            project=tmp_path,
        )
        case = crew.estimate(question).expected
        assert case.calls == (layers - 1) * n + 1
        assert case.depth == layers
        assert case.output_tokens == case.calls * o
        published = n * p + ((layers - 2) * n + 1) * (p + s + n * o)
        assert published * 0.9 <= case.input_tokens <= published * 1.15


def test_a_text_tells_where_the_calls_come_from(tmp_path: Path) -> None:
    chat = {"pattern": "layers", "layers": 3, "samples": 6}
    crew = Crew(roles=roles("ann"), plan="none", chat=chat, models={"default": FunctionModel(easy)}, project=tmp_path)
    lines = [line.split() for line in str(crew.estimate(GOAL)).splitlines()]
    start = lines.index(["calls", "by", "stage"])
    assert lines[start + 1 : start + 4] == [["layer", "1", "6", "6"], ["layer", "2", "6", "6"], ["synthesis", "1", "1"]]


def test_a_pattern_of_ones_own_is_played_through(tmp_path: Path) -> None:
    def twice(chat: Any) -> list[str] | None:
        return None if chat.round == 2 else ["ann", "bob"]

    model = FunctionModel(easy)
    crew = Crew(roles=roles("ann", "bob"), plan="none", pattern=twice, models={"default": model}, project=tmp_path)
    estimate = crew.estimate(GOAL)
    assert (estimate.expected.calls, estimate.expected.depth) == (5, 3)
    assert crew.run(GOAL).calls == 5
