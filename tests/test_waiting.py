"""Runs that wait for a person: what goes on meanwhile, who may answer, and how they go on."""

import threading

import pytest

from crewmix import Task
from crewmix.definitions.project import Project
from crewmix.errors import (
    DefinitionError,
    FencedError,
    UsageError,
    WaitingError,
)
from crewmix.journal.events import PersonAnswered, PersonAsked
from crewmix.journal.lock import lock_run, release_run
from crewmix.runs import find_run
from crewmix.runs.waiting import answer, open_questions
from crewmix.tools.people import Consent
from support.models import FunctionModel, speaking
from support.people import ANNA, ZOE, crew, talking, texts


def two_tasks(tmp_path, model=None):
    """Two tasks side by side, of which one needs a person; a third builds on both."""
    tasks = [
        Task(id="ask", description="Ask", roles=["anna"]),
        Task(id="work", description="Work", roles=["zoe"]),
        Task(id="end", description="End", roles=["zoe"], needs=["ask", "work"]),
    ]
    return crew(tmp_path, model, roles=[ANNA, ZOE], tasks=tasks)


def test_what_needs_nobody_goes_on_while_the_run_waits_and_is_not_paid_again(tmp_path):
    model = FunctionModel(talking)
    team = two_tasks(tmp_path, model)
    events = []
    with pytest.raises(WaitingError) as caught:
        team.run("Go.", wait=True, on_event=events.append)
    run_id = find_run(team.project, "last").run_id
    assert f"crewmix answer {run_id}" in (caught.value.hint or "") and caught.value.exit_code == 4
    assert find_run(team.project, "last").status == "waiting"
    assert [r.brief.question for r in model.asked("speak")] == ["Work"]
    assert [event.kind for event in events if isinstance(event, PersonAsked)] == ["turn"]

    [question] = open_questions(team.project, run_id)
    assert (question.kind, question.role, question.task) == ("turn", "anna", "ask") and "Ask" in question.text
    assert answer(team.project, run_id, "Lyon.") == question
    assert open_questions(team.project, run_id) == []
    again = []
    result = team.resume(find_run(team.project, run_id), on_event=again.append)
    assert result.status == "done" and texts(result, "anna") == ["Lyon."]
    assert [r.brief.question for r in model.asked("speak")] == ["Work", "End"]
    assert [(e.answer, e.recalled) for e in again if isinstance(e, PersonAnswered)] == [("Lyon.", True)]


def test_members_beside_the_one_who_is_waited_for_finish_and_are_paid_once(tmp_path):
    model = FunctionModel(speaking)
    team = crew(tmp_path, model, roles=[ANNA, ZOE], chat={"pattern": "vote"})
    with pytest.raises(WaitingError):
        team.run("Where?", wait=True)
    assert len(model.asked("speak")) == 1
    answer(team.project, "last", "Lyon.")
    result = team.resume(find_run(team.project, "last"))
    assert (result.status, texts(result, "anna"), len(model.asked("speak"))) == ("done", ["Lyon."], 1)


def test_a_run_with_people_can_be_replayed_with_nobody_there(tmp_path):
    def change(plan):
        return [{"id": "one", "description": "One thing"}]

    people = {"ask": lambda q: "Lyon.", "review": change}
    team = crew(tmp_path, roles=[ANNA, ZOE], plan={"max_tasks": 3}, review="plan")
    result = team.run("Compare.", **people)
    again = team.replay(find_run(team.project, "last"))
    assert [t.id for t in result.tasks] == ["one"] and texts(result, "anna") == ["Lyon."]
    assert (again.output, texts(again, "anna"), again.tasks) == (result.output, ["Lyon."], result.tasks)


def test_a_run_in_which_nobody_was_there_replays_to_the_same_failure(tmp_path):
    team = crew(tmp_path, roles=[ANNA, ZOE])
    result = team.run("Where?")
    again = team.replay(find_run(team.project, "last"), ask=lambda q: "Too late.")
    assert texts(result, "anna") == texts(again, "anna") == [""]
    assert (again.output, again.tasks) == (result.output, result.tasks)


def test_a_run_that_still_lacks_its_answer_waits_on(tmp_path):
    team = two_tasks(tmp_path)
    for attempt in range(3):
        with pytest.raises(WaitingError):
            team.resume(find_run(team.project, "last")) if attempt else team.run("Go.", wait=True)
    assert len(open_questions(team.project, "last")) == 1
    result = team.resume(find_run(team.project, "last"), wait=False)
    assert (result.status, [task.status for task in result.tasks]) == ("partial", ["failed", "done", "done"])


def test_the_first_answer_counts(tmp_path):
    team = two_tasks(tmp_path)
    with pytest.raises(WaitingError):
        team.run("Go.", wait=True)
    answer(team.project, "last", "Lyon.")
    with pytest.raises(UsageError, match="waits for nobody"):
        answer(team.project, "last", "Porto.")
    assert texts(team.resume(find_run(team.project, "last")), "anna") == ["Lyon."]


def test_many_answers_at_the_same_time_leave_one(tmp_path):
    team = two_tasks(tmp_path)
    with pytest.raises(WaitingError):
        team.run("Go.", wait=True)
    together, won = threading.Barrier(8), []

    def say(text):
        together.wait()
        try:
            answer(team.project, "last", text)
        except (UsageError, FencedError):
            return
        won.append(text)

    threads = [threading.Thread(target=say, args=(f"City {n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert texts(team.resume(find_run(team.project, "last")), "anna") == won


def test_nobody_answers_a_run_while_it_is_worked(tmp_path):
    team = two_tasks(tmp_path)
    with pytest.raises(WaitingError):
        team.run("Go.", wait=True)
    lock = lock_run(team.project.state, find_run(team.project, "last").run_id)
    try:
        with pytest.raises(FencedError):
            answer(team.project, "last", "Lyon.")
    finally:
        release_run(lock)
    assert len(open_questions(team.project, "last")) == 1


def test_several_questions_are_answered_by_number_in_any_order(tmp_path):
    people = [ANNA, ANNA.model_copy(update={"name": "bob"})]
    team = crew(tmp_path, roles=people, chat={"pattern": "vote"})
    with pytest.raises(WaitingError):
        team.run("Where?", wait=True)
    asked = {question.role: question.number for question in open_questions(team.project, "last")}
    assert set(asked) == {"anna", "bob"}
    with pytest.raises(UsageError, match="several questions"):
        answer(team.project, "last", "Lyon.")
    answer(team.project, "last", "Porto.", number=asked["bob"])
    with pytest.raises(UsageError, match="not open"):
        answer(team.project, "last", "Nice.", number=asked["bob"])
    answer(team.project, "last", "Lyon.", number=asked["anna"])
    result = team.resume(find_run(team.project, "last"))
    assert (texts(result, "anna"), texts(result, "bob")) == (["Lyon."], ["Porto."])


@pytest.mark.parametrize(
    ("said", "ends"),
    [
        (True, ["facts", "report"]),
        ([{"id": "only", "description": "One thing"}], ["only"]),
        ("tasks:\n- {id: a, description: One}\n", ["a"]),
    ],
)
def test_a_plan_can_be_reviewed_days_later(said, ends, tmp_path):
    model = FunctionModel(talking)
    team = crew(tmp_path, model, plan={"max_tasks": 3}, review="plan")
    with pytest.raises(WaitingError, match="the plan is to be reviewed"):
        team.run("Compare.", wait=True)
    [question] = open_questions(team.project, "last")
    assert question.kind == "plan" and question.plan is not None and "id: facts" in question.text
    for wrong in (False, 7, [{"id": "a", "description": "x", "roles": ["ghost"]}], "tasks: no"):
        with pytest.raises((UsageError, DefinitionError)):
            answer(team.project, "last", wrong)
    answer(team.project, "last", said)
    result = team.resume(find_run(team.project, "last"))
    assert [task.id for task in result.tasks] == ends
    assert len(model.asked("plan")) == 1


def test_a_human_turn_or_question_wants_a_text(tmp_path):
    team = two_tasks(tmp_path)
    with pytest.raises(WaitingError):
        team.run("Go.", wait=True)
    for wrong in (True, False, Consent.ALWAYS, 7):
        with pytest.raises(UsageError, match="is to be told a text"):
            answer(team.project, "last", wrong)


def test_a_finished_run_asks_nothing(tmp_path):
    crew(tmp_path).run("Go.")
    assert open_questions(Project(tmp_path), "last") == []
    with pytest.raises(UsageError, match="waits for nobody"):
        answer(Project(tmp_path), "last", "yes")
