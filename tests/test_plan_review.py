"""A person looks at the plan before its tasks begin, and may change it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crewmix import Task
from crewmix.definitions.project import Project
from crewmix.errors import (
    CrewmixError,
    DefinitionError,
    PersonMissingError,
    RunCancelledError,
)
from crewmix.journal.events import PlanMade, PlanReviewed
from crewmix.planning.review import MAX_TASKS, plan_text, read_plan
from crewmix.runs import find_run
from crewmix.tools.people import Plan
from support.models import FunctionModel
from support.people import crew, talking


def reviewed(tmp_path, review, **fields):
    events = []
    model = FunctionModel(talking)
    team = crew(tmp_path, model, plan={"max_tasks": 3}, review="plan", **fields)
    return team.run("Compare.", review=review, on_event=events.append), model, events


def test_a_person_sees_the_plan_before_its_tasks_begin_and_accepts_it(tmp_path):
    seen = []
    result, _, events = reviewed(tmp_path, lambda plan: seen.append(plan) or True)
    [plan] = seen
    assert (plan.goal, plan.roles, [t.id for t in plan.tasks]) == ("Compare.", ("zoe",), ["facts", "report"])
    assert [t.id for t in result.tasks] == ["facts", "report"]
    kinds = [event.type for event in events]
    assert (
        kinds.index("PersonAsked") < kinds.index("PlanReviewed") < kinds.index("PlanMade") < kinds.index("TaskStarted")
    )
    assert [event.changed for event in events if isinstance(event, PlanReviewed)] == [False]


@pytest.mark.parametrize(
    "change",
    [
        lambda plan: [plan.tasks[0].model_copy(update={"description": "Find three facts"})],
        lambda plan: [{"id": "facts", "description": "Find three facts"}],
        lambda plan: ({"id": "facts", "description": "Find three facts", "roles": ["zoe"], "needs": []},),
    ],
)
def test_a_person_may_change_the_plan(change, tmp_path):
    result, model, events = reviewed(tmp_path, change)
    assert [(t.id, t.description) for t in result.tasks] == [("facts", "Find three facts")]
    assert [r.brief.question for r in model.asked("speak")] == ["Find three facts"]
    [made] = [event for event in events if isinstance(event, PlanMade)]
    assert [task["description"] for task in made.tasks] == ["Find three facts"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([{"id": "a", "description": "x", "roles": ["ghost"]}], "unknown role 'ghost'"),
        ([{"id": "a", "description": "x", "needs": ["b"]}], "unknown task 'b'"),
        ([{"id": "a", "description": "x", "needs": ["a"]}], "circle"),
        ([{"id": "a", "description": "x"}] * 2, "used twice"),
        ([{"id": "a", "describtion": "x"}], "describtion"),
        ([], "tasks"),
        ([7], "tasks"),
        ([{"id": f"t{n}", "description": "x"} for n in range(MAX_TASKS + 1)], "too many"),
        ([Task(id="a", description="x", output_file="a.md")], "`output_file` of task 'a'"),
        (7, "`review` gave 7 (int)"),
        (None, "`review` gave None"),
    ],
)
def test_a_plan_that_is_none_is_told_and_can_be_given_again(given, words, tmp_path):
    with pytest.raises(CrewmixError) as caught:
        reviewed(tmp_path, lambda plan: given)
    assert isinstance(caught.value, DefinitionError | PersonMissingError) and words in str(caught.value)
    team = crew(tmp_path, plan={"max_tasks": 3}, review="plan")
    assert team.resume(find_run(Project(tmp_path), "last"), review=lambda plan: True).status == "done"


@pytest.mark.parametrize(("no", "words"), [(False, "the plan was not accepted"), ("too dear", "accepted: too dear")])
def test_a_plan_that_is_refused_costs_nothing_further_and_is_shown_again(no, words, tmp_path):
    model = FunctionModel(talking)
    team = crew(tmp_path, model, plan={"max_tasks": 3}, review="plan")
    with pytest.raises(RunCancelledError, match=words):
        team.run("Compare.", review=lambda plan: no)
    row = find_run(team.project, "last")
    assert (row.status, [r.brief.purpose for r in model.requests]) == ("cancelled", ["plan"])
    assert team.resume(row, review=lambda plan: True).status == "done"
    assert len(model.asked("plan")) == 1


def test_without_anyone_who_can_look_at_the_plan_no_task_begins(tmp_path):
    model = FunctionModel(talking)
    team = crew(tmp_path, model, plan={"max_tasks": 3}, review="plan")
    with pytest.raises(PersonMissingError, match="the plan is to be reviewed") as caught:
        team.run("Compare.")
    assert "`review=`" in (caught.value.hint or "")
    assert not model.asked("speak")


def test_a_fixed_plan_keeps_what_a_review_does_not_show(tmp_path):
    tasks = [
        Task(id="a", description="Find", output_file="a.md", chat={"max_turns": 1}),
        Task(id="b", description="Tell"),
    ]
    changed = [{"id": "a", "description": "Find it"}, {"id": "c", "description": "New"}]
    crew(tmp_path, review="plan", tasks=tasks).run("Go.", review=lambda plan: changed)
    assert (tmp_path / "a.md").read_text() == "zoe on Find it\n"


def test_a_goal_that_is_the_only_task_is_not_reviewed(tmp_path):
    assert crew(tmp_path, review="plan").run("Go.").status == "done"


def test_a_resumed_run_goes_on_with_the_changed_plan_without_asking(tmp_path):
    model = FunctionModel(lambda r: RuntimeError("down") if r.brief.purpose == "speak" else talking(r))
    fields = {"plan": {"max_tasks": 3}, "review": "plan", "on_task_failure": {"then": "stop"}}
    team = crew(tmp_path, model, **fields)
    with pytest.raises(CrewmixError):
        team.run("Compare.", review=lambda plan: [{"id": "only", "description": "One thing"}])
    model.answer = talking
    result = team.resume(find_run(team.project, "last"))
    assert [t.id for t in result.tasks] == ["only"] and len(model.asked("plan")) == 1


PLAN = Plan(
    "Go.",
    (Task(id="a", description="Do a\nin two steps: 1", roles=("zoe",)), Task(id="b", description="Do b", needs=("a",))),
    ("zoe",),
)


def test_the_plan_as_text_reads_back_unchanged():
    assert read_plan(PLAN, plan_text(PLAN), "plan.yaml") == {"tasks": None}


@pytest.mark.parametrize(
    ("old", "new", "where", "words"),
    [
        ("needs:", "neds:", "plan.yaml:", "neds"),
        ("- a", "- c", "plan.yaml:", "unknown task 'c'"),
        ("id: b", "id: a", "plan.yaml:", "used twice"),
        ("  - id: b", " - id: b", "plan.yaml:", ""),
        ("tasks:", "plan:", "plan.yaml:1:1", "plan"),
    ],
)
def test_mistakes_in_the_text_are_told_with_their_line(old, new, where, words):
    text = plan_text(PLAN)
    assert old in text
    with pytest.raises(DefinitionError) as caught:
        read_plan(PLAN, text.replace(old, new), "plan.yaml")
    assert where in str(caught.value) and words in str(caught.value) and caught.value.problems[0].line


lines = st.sampled_from(plan_text(PLAN).splitlines()) | st.text(max_size=12)


@given(st.lists(lines, max_size=14).map("\n".join))
@settings(max_examples=200, deadline=None)
def test_any_text_is_a_plan_or_a_list_of_mistakes(text):
    try:
        record = read_plan(PLAN, text, "plan.yaml")
    except DefinitionError as error:
        assert error.problems
    else:
        assert record["tasks"] is None or all(task["description"] for task in record["tasks"])
