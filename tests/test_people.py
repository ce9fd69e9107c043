"""People in the loop, from Python: who speaks, consents, reviews and answers, now or days later."""

import asyncio
import json
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crewmix import ApproveSpec, Crew, ModelReply, Role, Task, tool
from crewmix.definitions.project import Project
from crewmix.errors import (
    CrewmixError,
    DefinitionError,
    FencedError,
    PersonMissingError,
    RunCancelledError,
    UsageError,
    WaitingError,
)
from crewmix.journal.events import PersonAnswered, PersonAsked, PlanMade, PlanReviewed
from crewmix.journal.lock import lock_run, release_run
from crewmix.models.types import ToolCall
from crewmix.planning.review import MAX_TASKS, plan_text, read_plan
from crewmix.runs import find_run
from crewmix.runs.waiting import answer, open_questions
from crewmix.tools.people import Consent, Plan
from support.models import FunctionModel, speaking

ANNA = Role(name="anna", role="Owner", goal="Decide.", actor="human")
ZOE = Role(name="zoe", role="Zoe", goal="Answer.")
PLANNED = {
    "tasks": [
        {"id": "facts", "description": "Find facts", "expected_output": "", "roles": ["zoe"], "needs": []},
        {"id": "report", "description": "Report", "expected_output": "", "roles": ["zoe"], "needs": ["facts"]},
    ]
}


def talking(request):
    return json.dumps(PLANNED) if request.brief.purpose == "plan" else speaking(request)


def crew(tmp_path, model=None, **fields):
    model = model or FunctionModel(talking)
    return Crew(models={"default": model}, project=tmp_path, **{"roles": [ZOE], "plan": "none", **fields})


def texts(result, role):
    return [message.text for message in result.messages if message.role == role]


# -- speaking ---------------------------------------------------------------------------------------------------------------

NODES = {"begin": {"role": "zoe", "next": "anna"}, "anna": {"role": "anna", "fields": {"city": "text"}}}
PATTERNS = {
    "round_robin": {},
    "selector": {"select": {"function": "choose:in_turn"}},
    "layers": {"layers": 3, "proposers": [{"role": "anna", "count": 1}, "zoe"]},
    "vote": {"proposers": [{"role": "anna", "count": 1}, "zoe"]},
    "debate": {"rounds": 2},
    "graph": {"nodes": NODES},
    "handoff": {},
}


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_person_has_a_seat_in_every_pattern(pattern, tmp_path):
    (tmp_path / "choose.py").write_text("def in_turn(chat):\n    return ['zoe', 'anna', None][chat.round]\n")
    asked = []

    def ask(question):
        asked.append(question)
        return "city: Lyon" if pattern == "graph" else "I say Lyon."

    roles = [ANNA, ZOE] if pattern == "handoff" else [ZOE, ANNA]
    result = crew(tmp_path, roles=roles, chat={"pattern": pattern, **PATTERNS[pattern]}).run("Where?", ask=ask)
    said = "city: Lyon" if pattern == "graph" else "I say Lyon."
    assert asked and {(q.kind, q.role, q.task) for q in asked} == {("turn", "anna", "answer")}
    assert texts(result, "anna") == [said] * len(asked)
    assert result.status == "done"


def test_a_person_can_be_the_one_who_approves(tmp_path):
    boss = ANNA.model_copy(update={"name": "boss", "approves": True})
    answers = iter(["Shorter, please.", "approve"])
    team = crew(tmp_path, roles=[ZOE, boss], chat={"stop_when": "approved", "max_turns": 9})
    result = team.run("Where?", ask=lambda question: next(answers))
    assert [(m.role, m.verdict) for m in result.messages] == [
        ("zoe", None),
        ("boss", "revise"),
        ("zoe", None),
        ("boss", "approve"),
    ]


@pytest.fixture
def nested(tmp_path):
    """A crew whose member is a crew with a person in it."""
    (tmp_path / "crews").mkdir()
    (tmp_path / "roles").mkdir()
    (tmp_path / "roles/anna.yaml").write_text("role: Owner\ngoal: Decide.\nactor: human\n")
    (tmp_path / "roles/zoe.yaml").write_text("role: Zoe\ngoal: Answer.\n")
    (tmp_path / "crews/inner.yaml").write_text("roles: [anna]\nplan: none\n")
    (tmp_path / "crews/outer.yaml").write_text("roles: [zoe, inner]\nplan: none\n")
    return lambda model: Crew.load("outer", project=tmp_path, models={"default": model})


def test_a_person_in_a_crew_within_the_crew_is_asked_and_waited_for(nested, tmp_path):
    assert texts(nested(FunctionModel(speaking)).run("Where?", ask=lambda q: "In Porto."), "inner") == ["In Porto."]
    model = FunctionModel(speaking)
    with pytest.raises(WaitingError, match="anna is to speak"):
        nested(model).run("Where?", wait=True)
    answer(Project(tmp_path), "last", "In Nice.")
    result = nested(model).resume(find_run(Project(tmp_path), "last"))
    assert (texts(result, "inner"), len(model.asked("speak"))) == (["In Nice."], 1)


# -- functions that ask ------------------------------------------------------------------------------------------------------


def test_functions_may_block_and_run_outside_of_the_loop(tmp_path):
    threads = []

    def ask(question):
        threads.append(threading.current_thread().name)
        return "Lyon."

    crew(tmp_path, roles=[ANNA]).run("Where?", ask=ask)
    assert threads == ["crewmix-person"]


def broken(question):
    raise EOFError("no terminal")


@pytest.mark.parametrize(("ask", "words"), [(broken, "EOFError: no terminal"), (lambda q: 7, "`ask` gave 7 (int)")])
def test_a_function_that_fails_or_talks_nonsense_fails_the_turn_and_is_told(ask, words, tmp_path):
    result = crew(tmp_path, roles=[ZOE, ANNA]).run("Where?", ask=ask)
    assert any("anna" in warning and words in warning for warning in result.warnings), result.warnings


async def test_a_person_who_hangs_is_left_and_asked_again(tmp_path):
    asked, hang = asyncio.Event(), asyncio.Event()
    here = asyncio.get_running_loop()

    async def never(question):
        here.call_soon_threadsafe(asked.set)
        while not hang.is_set():  # does not want to stop
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                hang.set()
        await asyncio.Event().wait()

    team = crew(tmp_path, roles=[ZOE, ANNA])
    run = asyncio.create_task(team.arun("Where?", ask=never))
    await asked.wait()
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(run, 3)
    row = find_run(team.project, "last")
    assert (row.status, [q.kind for q in open_questions(team.project, "last")]) == ("cancelled", ["turn"])
    result = await asyncio.to_thread(team.resume, row, ask=lambda q: "Lyon.")
    assert texts(result, "anna") == ["Lyon."]


def test_the_time_a_person_takes_is_not_the_turns(tmp_path):
    async def think(question):
        await asyncio.sleep(0.4)
        return "After some thought: Lyon."

    result = crew(tmp_path, roles=[ANNA], chat={"turn_seconds": 0.1}).run("Where?", ask=think)
    assert result.output == "After some thought: Lyon."


# -- the plan ------------------------------------------------------------------------------------------------------------------


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


# -- waiting ---------------------------------------------------------------------------------------------------------------


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


# -- tools that ask, worked by a crewAI agent ----------------------------------------------------------------------------------

CALLS = {0: ("ask_user", {"question": "To whom?"}), 1: ("send", {"to": "Ada"})}


def sending(request):
    """Asks the user, sends, and is done; how far it is stands in what it is shown."""
    done = sum(message.role == "tool" for message in request.messages)
    if done not in CALLS:
        return "Sent."
    name, arguments = CALLS[done]
    call = ToolCall(f"call_{done}", name, json.dumps(arguments))
    return ModelReply("", (call,), "tool_calls", model="python/test")


@tool(risk="write")
def send(to: str) -> str:
    """Send a letter."""
    SENT.append(to)
    return f"sent to {to}"


SENT: list[str] = []


def sender(tmp_path, **fields):
    role = Role(name="sender", role="Sender", goal="Send it.", tools=["ask_user", "send"])
    models = {"default": FunctionModel(sending)}
    return Crew(roles=[role], plan="none", models=models, tools=[send], project=tmp_path, **fields)


def test_a_role_asks_the_user_and_for_consent_and_both_can_come_days_later(tmp_path):
    SENT.clear()
    with pytest.raises(WaitingError, match="sender asks: To whom"):
        sender(tmp_path).run("Send it.", wait=True)
    project = Project(tmp_path)
    answer(project, "last", "To Ada.")
    with pytest.raises(WaitingError, match=r'sender wants to run send with \{"to":"Ada"\}'):
        sender(tmp_path).resume(find_run(project, "last"), wait=True)
    [question] = open_questions(project, "last")
    assert (question.kind, SENT) == ("approval", [])
    answer(project, "last", Consent.ALWAYS)
    result = sender(tmp_path).resume(find_run(project, "last"))
    assert (result.output, SENT) == ("Sent.", ["Ada"])


def test_with_nobody_there_the_role_is_told_and_goes_on(tmp_path):
    SENT.clear()
    texts = []
    rules = [ApproveSpec(tools="send", by="always", arguments={"to": "A*"})]

    def see(event):
        if event.type == "ToolCalled":
            texts.append((event.tool, event.text))

    assert sender(tmp_path, approve=rules).run("Send it.", on_event=see).output == "Sent."
    assert SENT == ["Ada"] and texts[0][0] == "ask_user"
    assert "nobody can be asked" in texts[0][1] and "say in your answer what you assumed" in texts[0][1]
