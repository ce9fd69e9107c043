"""A fork takes over what its parent was answered and pays only for what is asked anew."""

import json
import random
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from crewmix import BudgetSpec, Crew, ModelReply, Role, Task, tool
from crewmix.definitions.project import Project
from crewmix.errors import (
    BudgetExceededError,
    DefinitionError,
    ModelSetupError,
    ModelUnavailableError,
    NotFoundError,
    RunCancelledError,
    RunError,
    UsageError,
)
from crewmix.journal.events import RunStarted
from crewmix.journal.open import open_store
from crewmix.models.types import ToolCall, Usage
from crewmix.runs import find_run, list_runs, resume, run_events
from crewmix.runs.fork import fork
from crewmix.runs.replay import replay
from support.command import crewmix
from support.models import FunctionModel, speaking
from support.provider import Provider
from support.random_crews import Moody, random_crew
from support.scripted_project import write_project

ROLES = [Role(name=name, role=name.title(), goal="Answer") for name in ("zoe", "adam")]
SOME = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.function_scoped_fixture],
)


def priced(request):
    return ModelReply(speaking(request), usage=Usage(10, 10), cost=Decimal("0.01"))


def crew(model, tmp_path, **fields):
    return Crew(models={"default": model}, project=tmp_path, **{"roles": ROLES, "plan": "none", **fields})


def asked(model):
    return [request.brief.role or request.brief.purpose for request in model.requests]


def test_a_fork_pays_only_for_the_role_that_changed_and_what_follows(tmp_path):
    model = FunctionModel(priced)
    first = crew(model, tmp_path).run("Why?")
    model.requests.clear()
    second = fork(
        Project(tmp_path), first.run_id, settings=["roles.adam.backstory=You doubt."], models={"default": model}
    )
    assert asked(model) == ["adam"], "zoe speaks before adam, and adam said the same again"
    assert (second.calls, second.cost) == (1, Decimal("0.01")) and (first.calls, first.cost) == (3, Decimal("0.03"))
    assert second.output == first.output and second.run_id != first.run_id


def test_a_fork_without_changes_costs_nothing(tmp_path):
    model = FunctionModel(priced)
    first = crew(model, tmp_path).run("Why?")
    second = fork(Project(tmp_path), "last", models={"default": model})
    assert len(model.requests) == first.calls == 3
    assert (second.calls, second.cost, second.output) == (0, Decimal(0), first.output)
    assert second.messages == first.messages


def test_a_fork_from_a_place_asks_everything_there_anew(tmp_path):
    tasks = [Task(id="one", description="A"), Task(id="two", description="B", needs=("one",))]
    model = FunctionModel(priced)
    crew(model, tmp_path, tasks=tasks).run("Why?")
    model.requests.clear()
    fork(Project(tmp_path), "last", scope="task.two/chat/round.2", models={"default": model})
    assert [(r.brief.task, r.brief.role) for r in model.requests] == [("two", "adam")]
    model.requests.clear()
    fork(Project(tmp_path), "last", scope="task.one", models={"default": model})
    assert [r.brief.task for r in model.requests] == ["one"] * 3, "task two saw the same answer as before"


def test_another_goal_is_filled_in_everywhere(tmp_path):
    model = FunctionModel(speaking)
    roles = [Role(name="zoe", role="Expert", goal="Answer {goal} for {city}")]
    crew(model, tmp_path, roles=roles, inputs={"city": None}).run("Why {x}?", inputs={"city": "Lyon"})
    model.requests.clear()
    result = fork(Project(tmp_path), "last", goal="How?", models={"default": model})
    assert result.goal == "How?" and result.output == "zoe on How?"
    said = model.requests[0].messages[0].content
    assert "Answer How? for Lyon" in said and "Why" not in said
    fork(Project(tmp_path), "last", inputs={"city": "Porto"}, models={"default": model})
    assert "Answer How? for Porto" in model.requests[1].messages[0].content


def test_the_parent_is_named(tmp_path):
    model = FunctionModel(speaking)
    first = crew(model, tmp_path).run("Why?")
    second = fork(Project(tmp_path), "last", models={"default": model})
    started = run_events(Project(tmp_path), second.run_id)[0]
    assert started["type"] == RunStarted.__name__ and started["forked_from"] == first.run_id
    assert find_run(Project(tmp_path), second.run_id).definition["forked_from"] == first.run_id


def test_a_fork_of_a_fork_takes_over_from_both(tmp_path):
    model = FunctionModel(priced)
    crew(model, tmp_path).run("Why?")
    project, models = Project(tmp_path), {"default": model}
    fork(project, "last", settings=["roles.adam.backstory=You doubt."], models=models)
    model.requests.clear()
    third = fork(project, "last", settings=["synthesizer.backstory=You are short."], models=models)
    assert [r.brief.purpose for r in model.requests] == ["synthesize"]
    assert third.cost == Decimal("0.01")
    assert replay(project, third.run_id).same


def test_a_fork_can_be_resumed_with_what_it_was_forked_with(tmp_path):
    model = FunctionModel(speaking)
    crew(model, tmp_path).run("Why?")
    project = Project(tmp_path)
    down = FunctionModel(lambda r: ModelUnavailableError("down"))
    changed = fork(project, "last", settings=["roles.adam.backstory=You doubt."], models={"default": down})
    assert changed.status == "partial"
    with pytest.raises(UsageError, match="default"):
        resume(project, changed.run_id)
    model.requests.clear()
    again = resume(project, changed.run_id, models={"default": model})
    assert asked(model)[:1] == ["adam"] and "You doubt." in model.requests[0].messages[0].content
    assert again.status == "done" and not any("no longer as it was" in w for w in again.warnings)


def test_a_run_that_is_not_over_can_be_forked(tmp_path):
    model = FunctionModel(lambda r: RunCancelledError("stop") if r.brief.role == "adam" else speaking(r))
    with pytest.raises(RunCancelledError):
        crew(model, tmp_path).run("Why?")
    whole = FunctionModel(speaking)
    assert fork(Project(tmp_path), "last", models={"default": whole}).output == "merged 2 of Why?"
    assert "zoe" not in asked(whole)


def test_what_failed_for_a_changed_role_is_tried_again_and_other_failures_stay(tmp_path):
    roles = [*ROLES, Role(name="eve", role="Eve", goal="Answer")]
    failing = FunctionModel(
        lambda r: speaking(r) if r.brief.role in ("adam", "synthesizer") else ModelUnavailableError("down")
    )
    fields = {"roles": roles, "chat": {"pattern": "vote"}, "synthesis": {"method": "aggregate"}}
    spec = {"default": failing}
    first = Crew(models=spec, project=tmp_path, plan="none", **fields).run("Why?")
    assert [d.role for d in first.drafts] == ["adam"]
    well = FunctionModel(speaking)
    second = fork(Project(tmp_path), "last", settings=["roles.zoe.goal=Answer now"], models={"default": well})
    assert [d.role for d in second.drafts] == ["zoe", "adam"]
    assert [r.brief.role for r in well.requests if r.brief.purpose == "speak"] == ["zoe"]


def test_a_budget_holds_for_what_the_fork_pays(tmp_path):
    model = FunctionModel(priced)
    crew(model, tmp_path, budget=BudgetSpec(calls=3, keep_for_synthesis=0)).run("Why?")
    changed = ["roles.adam.backstory=You doubt."]
    project, models = Project(tmp_path), {"default": model}
    second = fork(project, "last", settings=changed, models=models, budget={"calls": 1})
    assert second.calls == 1 and second.budget["calls"] == (1.0, 1.0)
    with pytest.raises(BudgetExceededError):
        fork(project, list_runs(project)[-1].run_id, goal="How?", models=models, budget={"calls": 0})


@SOME
@given(seed=st.integers(0, 10**9), refusing=st.sampled_from([0.0, 0.2]), place=st.integers(0, 10**6))
def test_a_fork_from_anywhere_comes_to_the_same_and_pays_no_more_than_the_whole(seed, refusing, place, tmp_path):
    fields = random_crew(random.Random(seed))
    model = FunctionModel(Moody(seed, refusing))
    models = {"default": model, **({"spare": model} if "'spare'" in str(fields["chat"]) else {})}
    try:
        first = Crew(models=models, project=tmp_path, **fields).run("Why?")
    except (DefinitionError, RunError):
        assume(False)
    project, paid = Project(tmp_path), len(model.requests)
    places = sorted({r.key.scope for r in open_store(project.database).recordings(first.run_id)})
    second = fork(project, first.run_id, scope=places[place % len(places)], models=models)
    assert (second.output, second.messages, second.drafts) == (first.output, first.messages, first.drafts)
    assert len(model.requests) - paid <= paid
    third = fork(project, first.run_id, models=models)
    assert third.output == first.output and third.calls == 0


SETTINGS = [
    ("roles.adm.llm=x/y", "no `adm`", "did you mean `adam`"),
    ("roles.adam.modle=x", "no `modle`", None),
    ("rolls.adam.llm=x", "no `rolls`", "did you mean `roles`"),
    ("roles.adam.temperature=9", "temperature", None),
    ("roles.adam.temperature=[", "not YAML", None),
    ("roles.adam.goal.deep=x", "nothing below `roles.adam.goal`", None),
    ("roles.adam.goal=", "goal", None),
    ("chat.max_turns=many", "max_turns", None),
    ("budget.dollars=1", "dollars", None),
    ("nothing", "is not PLACE=VALUE", "--set"),
    ("=x", "is not PLACE=VALUE", None),
    ("roles..x=1", "no ``", None),
    ("path=x", "no `path`", None),
    ("roles=1", "'1' is no list", "set a field of it"),
    ("models=", "'' is no mapping", "set a field of it"),
    ("chat.max_turns=abc", "`max_turns`: must be a whole number", None),
]


@pytest.mark.parametrize(("setting", "told", "hint"), SETTINGS, ids=[s[0] for s in SETTINGS])
def test_a_wrong_setting_is_named_before_anything_is_paid(setting, told, hint, tmp_path):
    model = FunctionModel(speaking)
    crew(model, tmp_path).run("Why?")
    with pytest.raises(UsageError) as caught:
        fork(Project(tmp_path), "last", settings=[setting], models={"default": model})
    assert told in caught.value.message and (hint is None or hint in str(caught.value))
    assert len(list_runs(Project(tmp_path))) == 1 and len(model.requests) == 3


def test_the_changed_crew_is_checked_as_a_whole(tmp_path):
    model = FunctionModel(speaking)
    crew(model, tmp_path).run("Why?")
    with pytest.raises(DefinitionError) as caught:
        fork(
            Project(tmp_path),
            "last",
            settings=["roles.adam.llm=smart", "roles.zoe.goal=Help {nobody}"],
            models={"default": model},
        )
    text = str(caught.value)
    assert "`smart`" in text and "{nobody}" in text and "the crew of run" in text


@pytest.mark.parametrize(
    ("setting", "place", "value"),
    [
        ("roles.adam.temperature=0.5", ("roles", 1, "temperature"), 0.5),
        ("roles.adam.backstory=2026: a year", ("roles", 1, "backstory"), "2026: a year"),
        ("roles.adam.backstory=true", ("roles", 1, "backstory"), "true"),
        ("chat.max_turns=6", ("chat", "max_turns"), 6),
        ("budget.usd=0.50", ("budget", "usd"), "0.5"),
        ("budget={calls: 7}", ("budget", "calls"), 7),
        ("models.default.timeout=7", ("models", "default", "timeout"), 7.0),
        ("models.spare=offline/extractive", ("models", "spare", "model"), "offline/extractive"),
        ("models.default={model: offline/extractive, attempts: 1}", ("models", "default", "attempts"), 1),
        ("planner.goal=Plan well", ("planner", "goal"), "Plan well"),
        ("plan.max_tasks=2", ("plan", "max_tasks"), 2),
        ("synthesis.method=similarity", ("synthesis", "method"), "similarity"),
        ("on_task_failure.retries=1", ("on_task_failure", "retries"), 1),
        ("review=plan", ("review",), "plan"),
    ],
    ids=lambda part: part if isinstance(part, str) else "",
)
def test_every_part_of_a_crew_can_be_set(setting, place, value, tmp_path):
    from crewmix.definitions.edit import edited

    data = json.loads(json.dumps(crew(FunctionModel(speaking), tmp_path).definition.as_dict()))
    made = json.loads(json.dumps(edited(data, [setting], tmp_path).as_dict()))
    for step in place:
        made = made[step]
    assert made == value


def test_a_model_that_nobody_uses_any_more_is_not_needed(tmp_path, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    roles = [Role(name="zoe", role="Zoe", goal="Answer", llm="offline/extractive")]
    model = FunctionModel(speaking)
    crew(model, tmp_path, roles=roles).run("Why?")
    result = fork(Project(tmp_path), "last", settings=["roles.zoe.llm=default"], models={"default": model})
    assert set(result.models) == {"default"}


@pytest.mark.parametrize("before", [(), ("models.p1=offline/extractive",)])
def test_a_role_takes_another_model_by_its_model_string(before, tmp_path):
    model = FunctionModel(speaking)
    crew(model, tmp_path).run("Why?")
    settings = [*before, "roles.adam.llm=offline/extractive"]
    result = fork(Project(tmp_path), "last", settings=settings, models={"default": model})
    assert result.models["offline/extractive"][0] == "offline/extractive"
    again = fork(Project(tmp_path), "last", models={"default": model})
    assert again.output == result.output and again.calls == 0, "a recorded model string leads nowhere else"
    with pytest.raises(ModelSetupError, match="unknown model provider 'nosuch'"):
        fork(Project(tmp_path), "last", settings=["roles.adam.llm=nosuch/x"], models={"default": model})


def test_a_hidden_key_must_be_given_again_for_a_fork(tmp_path, monkeypatch):
    with Provider(lambda body: "the answer") as provider:
        spec = {"model": provider.model, "api_key": "plain-secret-value-123"}
        Crew(roles=ROLES[:1], plan="none", models={"default": spec}, project=tmp_path).run("Why?")
        project = Project(tmp_path)
        with pytest.raises(UsageError, match=r"models\.default\.api_key"):
            fork(project, "last", goal="How?")
        monkeypatch.setenv("MY_KEY", "plain-secret-value-123")
        result = fork(project, "last", goal="How?", settings=["models.default.api_key=${MY_KEY}"])
        assert result.output == "the answer" and result.calls == 1
        again = fork(project, "last", goal="Who?", models={"default": spec})
        assert again.calls == 1


def test_an_unknown_place_or_run_is_named(tmp_path):
    crew(FunctionModel(speaking), tmp_path).run("Why?")
    with pytest.raises(UsageError, match=r"no place 'task.anser'(.|\n)*did you mean `task.answer`"):
        fork(Project(tmp_path), "last", scope="task.anser")
    with pytest.raises(NotFoundError):
        fork(Project(tmp_path), "20000101")


def test_a_role_with_tools_takes_its_turn_again_but_the_tool_does_not_run_again(tmp_path):
    notes = []

    @tool(risk="write")
    def note(text: str) -> str:
        """Write a line into the notebook."""
        notes.append(text)
        return "written"

    def answer(request):
        if request.tools and not any(m.role == "tool" for m in request.messages):
            return ModelReply("", (ToolCall("1", "note", '{"text": "once"}'),), "tool_calls", Usage(10, 10))
        return ModelReply(speaking(request), usage=Usage(10, 10), cost=Decimal("0.01"))

    model = FunctionModel(answer)
    roles = [Role(name="zoe", role="Zoe", goal="Answer", tools=("note",)), ROLES[1]]
    first = crew(model, tmp_path, roles=roles, tools=[note], approve=[{"tools": "*", "by": "always"}]).run("Why?")
    project, given = Project(tmp_path), {"models": {"default": model}, "tools": [note]}
    assert notes == ["once"] and asked(model).count("zoe") == 2
    model.requests.clear()
    fork(project, first.run_id, **given)
    assert model.requests == [], "the turn was taken over whole"
    second = fork(project, first.run_id, scope="task.answer/chat/round.1/zoe/model", **given)
    assert asked(model) == ["zoe", "zoe"] and notes == ["once"]
    assert second.messages == first.messages
    fork(project, first.run_id, settings=["roles.zoe.temperature=0.5"], **given)
    assert asked(model) == ["zoe"] * 4 and notes == ["once"]
    with pytest.raises(UsageError, match="note"):
        fork(project, first.run_id, models={"default": model})


def test_fork_on_the_command_line(tmp_path):
    write_project(tmp_path)
    crewmix("run", "talk", "Is Lyon large enough?", cwd=tmp_path)
    for name in ("crews/talk.yaml", "roles/writer.yaml", "roles/critic.yaml"):
        (tmp_path / name).unlink()
    forked = crewmix("fork", "last", "--set", "roles.critic.backstory=You are strict.", cwd=tmp_path)
    assert "which is enough" in forked.stdout
    assert "Fork of run 2" in forked.stderr and "taken over" in forked.stderr and "2 new calls" in forked.stderr
    done = crewmix("resume", "last", "--budget", "calls=9", cwd=tmp_path)
    assert "is done, nothing is called: `crewmix fork 2" in done.stderr and done.stdout.strip()
    for option, told in (("--from", "names no place"), ("--goal", "the goal is empty")):
        assert told in crewmix("fork", "last", option, "", cwd=tmp_path, check=2).stderr
    wrong = crewmix("fork", "last", "--set", "roles.crtic.llm=x/y", cwd=tmp_path, check=2)
    assert "did you mean `critic`" in wrong.stderr and "Traceback" not in wrong.stderr
    listed = json.loads(crewmix("runs", "--json", cwd=tmp_path).stdout)
    assert len(listed) == 2
