"""Goals fall apart where their own words say so, and nowhere else."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crewmix.models.offline.plan import plan
from crewmix.models.types import Brief
from crewmix.planning.checks import check_plan
from support.desk import Desk


def planned(goal: str, limit: int = 6) -> list[dict[str, Any]]:
    return plan(Brief(purpose="plan", goal=goal, question=goal, candidates=("researcher", "analyst"), limit=limit))[
        "tasks"
    ]


def descriptions(goal: str, limit: int = 6) -> list[str]:
    return [task["description"] for task in planned(goal, limit)]


@pytest.mark.parametrize(
    ("goal", "tasks"),
    [
        ("What is the capital of France?", ["What is the capital of France?"]),
        ("Terms and conditions of the licence", ["Terms and conditions of the licence"]),
        ("What are the rights and duties of users?", ["What are the rights and duties of users?"]),
        (
            "Which of these licences require keeping the copyright notice, and which grant patent rights?",
            [
                "Which of these licences require keeping the copyright notice?",
                "Which of these licences grant patent rights?",
            ],
        ),
        (
            "Welche Lizenzen erlauben Patente und welche verlangen den Hinweis?",
            ["Welche Lizenzen erlauben Patente?", "Welche Lizenzen verlangen den Hinweis?"],
        ),
        ("How tall is the tower? Who built the bridge?", ["How tall is the tower?", "Who built the bridge?"]),
        (
            "Compare Lyon, Porto and Ghent for a new office",
            [f"What is said about {city} for a new office?" for city in ("Lyon", "Porto", "Ghent")],
        ),
        (
            "Vergleiche MIT und GPL hinsichtlich der Weitergabe.",
            [f"Was steht über {name} hinsichtlich der Weitergabe?" for name in ("MIT", "GPL")],
        ),
        (
            "Explain the licence, the install steps and the limits of numpy",
            ["Explain the licence of numpy.", "Explain the install steps of numpy.", "Explain the limits of numpy."],
        ),
        ("About numpy:\n- the licence\n- the limits\n", ["About numpy: the licence", "About numpy: the limits"]),
        ("1. Name the authors\n2) Name the years", ["Name the authors", "Name the years"]),
        (
            "We use Python 3.11. Which packages support Windows? Which packages need Rust?",
            [
                "Which packages support Windows? (We use Python 3.11.)",
                "Which packages need Rust? (We use Python 3.11.)",
            ],
        ),
    ],
)
def test_a_goal_is_split_where_its_words_say_so(goal: str, tasks: list[str]) -> None:
    assert descriptions(goal) == tasks
    assert all(task["needs"] == [] for task in planned(goal))


def test_steps_build_on_each_other() -> None:
    first, second, third = planned(
        "First collect the facts, then check the numbers, finally list what they leave open."
    )
    assert first["description"] == "Collect the facts"
    assert second["description"] == "Check the numbers"
    assert third["description"] == "List what they leave open. (after: collect the facts)"
    assert (first["needs"], second["needs"], third["needs"]) == ([], [first["id"]], [second["id"]])


def test_a_question_that_leans_on_another_carries_it_and_waits_for_it() -> None:
    first, second = planned("How does the cache work and when is it cleared?")
    assert second["description"] == "When is it cleared? (after: How does the cache work)"
    assert second["needs"] == [first["id"]]


def test_more_parts_than_tasks_allowed_are_joined_and_none_is_lost() -> None:
    goal = "Where is A? Where is B? Where is C? Where is D?"
    assert descriptions(goal, limit=2) == ["Where is A?", "Where is B? Where is C? Where is D?"]
    assert descriptions(goal, limit=1) == ["Where is A? Where is B? Where is C? Where is D?"]


def test_the_plan_is_the_reply_as_text_and_as_data(desk: Desk) -> None:
    brief = Brief(purpose="plan", goal="Where is A? Where is B?", candidates=("researcher",), limit=4)
    reply = desk.complete(brief, schema={"type": "object"})
    assert [task["roles"] for task in reply.data["tasks"]] == [["researcher"], ["researcher"]]
    assert "Where is B?" in reply.text


words = "compare; A and B; which of the; what; how does it work?; then; first; finde; list; - item; 1. item; \n; and; ,; ä; ?; (x"
parts = st.sampled_from(words.split("; "))


@given(st.lists(parts, min_size=1, max_size=14).map(" ".join) | st.text(min_size=1, max_size=200), st.integers(1, 5))
def test_every_goal_gives_a_valid_plan(goal: str, limit: int) -> None:
    if not goal.strip():
        return
    data = plan(Brief(purpose="plan", goal=goal, limit=limit))
    tasks, problems = check_plan(data, (), limit)
    assert problems == []
    assert 1 <= len(tasks) <= limit
    assert len({task.id for task in tasks}) == len(tasks)
