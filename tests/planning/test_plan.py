"""Goals become valid task graphs, or a clear error."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crewmix import Crew, PlanSpec, Role, Task
from crewmix.errors import PlanError
from crewmix.planning.checks import check_plan
from support.models import FunctionModel, speaking

ANALYST = Role(name="analyst", role="Analyst", goal="Find facts")
WRITER = Role(name="writer", role="Writer", goal="Write")


def planned(*tasks):
    return json.dumps({"tasks": list(tasks)})


def task(name, needs=(), roles=("analyst",)):
    return {"id": name, "description": f"do {name}", "expected_output": "x", "roles": list(roles), "needs": list(needs)}


def crew_with(replies, tmp_path, **fields):
    answers = iter(replies)
    model = FunctionModel(lambda r: next(answers) if r.brief.purpose == "plan" else speaking(r))
    return Crew(roles=[ANALYST, WRITER], models={"default": model}, project=tmp_path, **fields), model


def test_tasks_run_as_soon_as_what_they_need_is_done(tmp_path):
    reply = planned(task("c", ["a", "b"]), task("a"), task("b", roles=["writer"]))
    crew, model = crew_with([reply], tmp_path)
    result = crew.run("goal")
    assert [t.id for t in result.tasks] == ["a", "b", "c"]
    last = model.asked("speak")[-1].brief
    assert (last.task, dict(last.context)) == ("c", {"a": "analyst on do a", "b": "writer on do b"})
    assert result.output == "merged 3 of goal" and result.status == "done"


def test_independent_tasks_are_worked_at_the_same_time(tmp_path):
    crew, model = crew_with([planned(*(task(f"t{n}") for n in range(4)))], tmp_path)
    model.answer_together("speak", 4)
    assert [t.status for t in crew.run("goal").tasks] == ["done"] * 4


def test_a_bad_plan_is_repaired_by_one_question_that_names_every_mistake(tmp_path):
    bad = planned(task("a", ["ghost"]), task("a"), task("b", roles=["painter"]))
    crew, model = crew_with([bad, planned(task("a"))], tmp_path)
    assert crew.run("goal").output == "analyst on do a"
    complaint = model.asked("plan")[1].messages[-1].content
    assert all(word in complaint for word in ("'a' is used twice", "unknown role 'painter'", "unknown task 'ghost'"))


@pytest.mark.parametrize("bad", ["no json at all", "{}", '{"tasks": []}', '{"tasks": "x"}', planned(task("1 bad id"))])
def test_a_planner_that_fails_twice_ends_the_run_with_the_reason(bad, tmp_path):
    crew, model = crew_with([bad] * 8, tmp_path)
    with pytest.raises(PlanError, match="no valid plan"):
        crew.run("goal")
    assert len(model.asked("speak")) == 0


def test_a_circle_is_shown():
    tasks, problems = check_plan(json.loads(planned(task("a", ["b"]), task("b", ["a"]))), ["analyst"], 4)
    assert tasks == () and "in a circle: " in problems[0]


def test_more_tasks_than_allowed_are_refused():
    _, problems = check_plan(json.loads(planned(task("a"), task("b"))), ["analyst"], 1)
    assert "at most 1" in problems[0]


keys = st.sampled_from(["tasks", "id", "needs", "x"])
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
)
plan_tasks = st.fixed_dictionaries(
    {
        "id": st.sampled_from(["a", "b", "c", "é", ""]),
        "description": st.text(max_size=3),
        "needs": st.lists(st.sampled_from(["a", "b", "c", "z"]), max_size=3),
        "roles": st.lists(st.sampled_from(["analyst", "?"]), max_size=2),
    }
)


@given(json_values | st.fixed_dictionaries({"tasks": st.lists(plan_tasks, max_size=4)}))
def test_any_reply_is_either_a_sound_graph_or_a_list_of_mistakes(data):
    tasks, problems = check_plan(data, ["analyst", "writer"], 3)
    assert bool(tasks) != bool(problems)
    ids = {t.id for t in tasks}
    assert all(set(t.needs) <= ids - {t.id} and set(t.roles) <= {"analyst", "writer"} for t in tasks)


def test_a_fixed_plan_asks_no_planner(tmp_path):
    crew, model = crew_with([], tmp_path, tasks=[Task(id="only", description="Write about {goal}", roles=("writer",))])
    assert crew.run("bees").output == "writer on Write about bees"
    assert model.asked("plan") == []


def test_without_a_plan_the_goal_is_the_task(tmp_path):
    crew, _ = crew_with([], tmp_path, plan="none")
    assert crew.run("goal").output == "merged 2 of goal"


def test_the_planner_is_told_the_team_and_the_limit(tmp_path):
    crew, model = crew_with([planned(task("a"))], tmp_path, plan=PlanSpec(max_tasks=7))
    crew.run("goal")
    system = model.asked("plan")[0].messages[0].content
    assert "7 at most" in system and "- analyst: Analyst. Find facts" in system and "- writer: Writer. Write" in system
