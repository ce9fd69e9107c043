"""Every built-in crew works a goal from beginning to end, with a scripted model in place of a paid one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from crewmix import Crew, RunResult, ScriptedModel

SEARCH = {"name": "knowledge_search", "arguments": {"query": "opening hours garden"}}
REVIEWERS = ("critic", "reviewer", "editor", "facilitator")


def plan(*descriptions: str) -> dict[str, Any]:
    tasks = [
        {"id": f"t{n}", "description": text, "expected_output": "An answer.", "roles": [], "needs": []}
        for n, text in enumerate(descriptions, 1)
    ]
    return {"purpose": "plan", "json": {"tasks": tasks}}


def script(*first: dict[str, Any], verdicts: tuple[str, ...] = ("approve",)) -> ScriptedModel:
    """Searchers search once, reviewers give these verdicts one after another, everybody else says who they are."""
    rules: list[dict[str, Any]] = [*first]
    for role in ("researcher", "fact_checker", "summariser"):
        rules.append({"role": role, "purpose": "speak", "times": 1, "tool_calls": [SEARCH]})
    for role in REVIEWERS:
        rules += [{"role": role, "text": f"Read.\nVerdict: {v}", "times": 1} for v in verdicts[:-1]]
        rules.append({"role": role, "text": f"Read.\nVerdict: {verdicts[-1]}"})
    rules.append({"purpose": "synthesize", "text": "The merged answer."})
    roles = "researcher analyst proposer coder tester writer fact_checker devils_advocate reader summariser"
    rules += [{"role": role, "text": f"A draft by {role}."} for role in roles.split()]
    return ScriptedModel(rules)


def picks(*roles: str) -> list[dict[str, Any]]:
    return [{"purpose": "select", "times": 1, "json": {"speaker": role, "reason": "It is missing."}} for role in roles]


@pytest.fixture
def garden(tmp_path: Path) -> Path:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/garden.md").write_text("# Garden\n\nThe garden has opening hours from 7 am to 9 pm.\n")
    return tmp_path


def run(name: str, garden: Path, model: ScriptedModel, **inputs: str) -> RunResult:
    crew = Crew.load(name, project=garden, models={"default": model}, knowledge=[garden / "docs"], inputs=inputs)
    return crew.run("When is the garden open?")


def talk(result: RunResult) -> list[str]:
    return [f"{m.task}:{m.role}" for m in result.messages]


def test_research_drafts_reviews_and_merges_each_task_and_then_all(garden: Path):
    model = script(plan("When does the garden open?", "When does it close?"))
    result = run("research", garden, model)
    assert result.status == "done"
    assert talk(result) == [f"t{n}:{role}" for n in (1, 2) for role in ("researcher", "analyst", "critic")]
    assert {d.role for d in result.drafts} == {"researcher", "analyst"}
    assert result.output == "The merged answer."
    assert result.calls == 12
    assert {s.document for task in result.tasks for s in task.found} == {"docs/garden.md"}


def test_research_speaks_once_more_when_the_critic_is_not_content(garden: Path):
    result = run("research", garden, script(plan("When?"), verdicts=("revise", "approve")))
    assert [m.verdict for m in result.messages if m.role == "critic"] == ["revise", "approve"]
    assert len(result.messages) == 6


def test_write_code_writes_then_tests_and_the_coder_merges(garden: Path):
    model = script()
    result = run("write_code", garden, model, language="Rust")
    assert talk(result) == ["write_code:coder", "write_code:reviewer", "write_tests:tester", "write_tests:reviewer"]
    assert result.calls == 5
    testing = next(r for r in model.requests if r.brief.role == "tester")
    assert "Rust" in testing.messages[-1].content and "A draft by coder." in testing.messages[-1].content
    assert model.requests[-1].messages[0].content.startswith("You are Software engineer.")


def test_decide_lists_weighs_and_argues_against(garden: Path):
    model = script()
    result = run("decide", garden, model, criteria="smell")
    assert talk(result) == [
        *("list_options:proposer", "list_options:analyst"),
        *("weigh_options:analyst", "weigh_options:critic"),
        "argue_against:devils_advocate",
    ]
    assert result.calls == 7
    weighing = next(r for r in model.requests if r.brief.task == "weigh_options").messages[-1].content
    assert "The merged answer." in weighing and "smell" in weighing
    against = next(r for r in model.requests if r.brief.role == "devils_advocate").messages[-1].content
    assert "A draft by analyst." in against


def test_review_hears_three_sides_that_do_not_hear_each_other(garden: Path):
    model = script()
    result = run("review", garden, model)
    assert talk(result) == ["review_clarity:reader", "check_facts:fact_checker", "review_argument:devils_advocate"]
    assert result.calls == 5
    assert not any("A draft by" in str(r.messages) for r in model.requests if r.brief.purpose == "speak")


def test_summarise_takes_the_only_draft_as_it_is(garden: Path):
    result = run("summarise", garden, script())
    assert talk(result) == ["summarise_text:summariser", "summarise_text:critic"]
    assert result.output == "A draft by summariser."
    assert result.calls == 3


def test_write_article_finds_before_it_writes(garden: Path):
    model = script()
    result = run("write_article", garden, model)
    assert talk(result) == ["find_facts:researcher", "write_article:writer", "write_article:editor"]
    assert result.calls == 5
    writing = next(r for r in model.requests if r.brief.role == "writer")
    assert "A draft by researcher." in writing.messages[-1].content


def test_brainstorm_lets_a_model_pick_and_the_facilitator_end(garden: Path):
    model = script(*picks("proposer", "devils_advocate", "facilitator"))
    result = run("brainstorm", garden, model)
    assert talk(result) == [f"answer:{role}" for role in ("proposer", "devils_advocate", "facilitator")]
    assert result.calls == 7
    assert result.warnings == ()


def test_no_prompt_of_any_crew_holds_an_unfilled_placeholder(garden: Path):
    for name in ("write_code", "decide", "review", "summarise", "write_article"):
        model = script()
        run(name, garden, model)
        for request in model.requests:
            assert "{goal}" not in str(request.messages)
            assert "When is the garden open?" in str(request.messages)


@pytest.mark.parametrize(
    "name", ["research", "summarise", "review", "decide", "write_article", "write_code", "brainstorm"]
)
def test_without_a_language_model_a_crew_ends_within_its_estimate(name: str, garden: Path):
    models, knowledge = {"default": "offline/extractive"}, [garden / "docs"]
    crew = Crew.load(name, project=garden, models=models, knowledge=knowledge)
    estimate = crew.estimate("When is the garden open?")
    result = crew.run("When is the garden open?")
    assert result.status == "done"
    assert result.output
    assert result.calls <= estimate.worst.calls
    if name in {"research", "summarise"}:
        assert "7 am to 9 pm" in result.output
