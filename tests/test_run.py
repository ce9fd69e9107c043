"""A crew works a goal from Python: results, streams, budgets, cancelling, resuming."""

import asyncio
import threading
from decimal import Decimal

import pytest

from crewmix import BudgetSpec, ChatSpec, Crew, FailureSpec, ModelReply, Role, Task, tool
from crewmix.definitions.project import Project
from crewmix.errors import (
    BudgetExceededError,
    DefinitionError,
    FencedError,
    ModelUnavailableError,
    RunError,
    TaskError,
    UsageError,
)
from crewmix.journal.events import MessageSpoken, RunFinished, RunStarted, TextDelta
from crewmix.models.types import Usage
from crewmix.result import RunResult
from crewmix.runs import find_run, list_runs, resume, run_events
from support.models import FunctionModel, speaking
from support.provider import Fault, Provider

ROLES = [Role(name=name, role=name.title(), goal="Answer") for name in ("zoe", "adam")]


def crew(model, tmp_path, **fields):
    return Crew(models={"default": model}, project=tmp_path, **{"roles": ROLES, "plan": "none", **fields})


def test_the_result_tells_everything_about_the_run(tmp_path):
    result = crew(FunctionModel(speaking), tmp_path, name="duo").run("Why?")
    assert (result.crew, result.goal, result.status, result.output) == ("duo", "Why?", "done", "merged 2 of Why?")
    assert [(m.role, m.round, m.text) for m in result.messages] == [
        ("zoe", 1, "zoe on Why?"),
        ("adam", 2, "adam on Why?"),
    ]
    assert [d.role for d in result.drafts] == ["zoe", "adam"]
    assert (result.calls, result.usage.input_tokens, result.usage.output_tokens) == (3, 300, 60)
    assert result.models["default"][0].startswith("python/")
    assert RunResult.from_dict(result.as_dict()) == result


def test_each_role_sees_what_was_said_before(tmp_path):
    model = FunctionModel(speaking)
    crew(model, tmp_path).run("Why?")
    assert "zoe on Why?" in model.asked("speak")[1].messages[-1].content


def test_a_run_is_kept_and_can_be_looked_at(tmp_path):
    result = crew(FunctionModel(speaking), tmp_path).run("Why?")
    project = Project(tmp_path)
    assert [r.run_id for r in list_runs(project)] == [result.run_id]
    row = find_run(project, "last")
    assert row.status == "done" and RunResult.from_dict(row.result) == result
    kinds = [e["type"] for e in run_events(project, result.run_id)]
    assert kinds[0] == "RunStarted" and kinds[-1] == "RunFinished" and kinds.count("MessageSpoken") == 2


async def test_arun_works_on_any_loop_and_many_at_once(tmp_path):
    model = FunctionModel(speaking)
    team = crew(model, tmp_path)
    results = await asyncio.gather(*(team.arun(f"Why {n}?") for n in range(20)))
    assert [r.output for r in results] == [f"merged 2 of Why {n}?" for n in range(20)]
    assert len({r.run_id for r in results}) == 20


async def test_stream_gives_every_event_and_then_the_result(tmp_path):
    stream = crew(FunctionModel(speaking), tmp_path).stream("Why?")
    events = [event async for event in stream]
    assert isinstance(events[0], RunStarted) and isinstance(events[-1], RunFinished)
    assert "".join(e.text for e in events if isinstance(e, TextDelta)) == "zoe on Why?adam on Why?merged 2 of Why?"
    assert [e.seq for e in events if e.kept] == list(range(1, 1 + sum(e.kept for e in events)))
    assert stream.result.output == "merged 2 of Why?"


async def test_leaving_a_stream_cancels_the_run(tmp_path):
    model = FunctionModel(speaking)
    async with crew(model, tmp_path).stream("Why?") as stream:
        async for event in stream:
            if isinstance(event, MessageSpoken):
                model.gate = asyncio.Event()
                break
    assert find_run(Project(tmp_path), "last").status == "cancelled"
    assert model.in_flight == 0 and len(model.requests) <= 2
    with pytest.raises(UsageError, match="no result yet"):
        _ = stream.result


async def test_a_cancelled_run_goes_on_from_where_it_stopped(tmp_path):
    model = FunctionModel(speaking)
    team = crew(model, tmp_path)
    spoken = asyncio.Event()
    loop = asyncio.get_running_loop()

    def watch(event):
        if isinstance(event, MessageSpoken):
            model.gate = asyncio.Event()
            loop.call_soon_threadsafe(spoken.set)

    work = asyncio.ensure_future(team.arun("Why?", on_event=watch))
    await spoken.wait()
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert model.in_flight == 0
    model.gate = None
    paid = len([r for r in model.requests if r.brief.role == "zoe"])
    result = await asyncio.to_thread(team.resume, find_run(Project(tmp_path), "last"))
    assert result.output == "merged 2 of Why?"
    assert len([r for r in model.requests if r.brief.role == "zoe"]) == paid == 1


def test_a_run_of_a_crew_made_in_python_cannot_be_resumed_by_name(tmp_path):
    result = crew(FunctionModel(lambda r: ModelUnavailableError("down")), tmp_path)
    with pytest.raises(Exception, match="no task has an answer"):
        result.run("Why?")
    with pytest.raises(UsageError, match="built in Python"):
        resume(Project(tmp_path), "last")


def test_a_finished_run_is_not_worked_again(tmp_path):
    result = crew(FunctionModel(speaking), tmp_path).run("Why?")
    assert resume(Project(tmp_path), result.run_id) == result


def test_a_budget_of_calls_stops_in_time_and_gives_what_there_is(tmp_path):
    model = FunctionModel(speaking)
    result = crew(model, tmp_path, budget=BudgetSpec(calls=2)).run("Why?")
    assert len(model.requests) == 2
    assert (result.status, result.stopped_by, result.output) == ("partial", "budget", "adam on Why?")
    assert result.budget["calls"] == (2.0, 2.0)
    assert find_run(Project(tmp_path), "last").status == "budget"


def test_a_budget_too_small_for_one_call_is_an_error_and_no_call(tmp_path):
    model = FunctionModel(speaking)
    with pytest.raises(BudgetExceededError, match="tokens budget of run"):
        crew(model, tmp_path, budget=BudgetSpec(tokens=10)).run("Why?")
    assert model.requests == []


def test_role_and_task_budgets_count_inside_the_runs(tmp_path):
    roles = [ROLES[0].model_copy(update={"budget": BudgetSpec(calls=1)}), ROLES[1]]
    model = FunctionModel(speaking)
    result = crew(model, tmp_path, roles=roles, chat=ChatSpec(max_turns=4)).run("Why?")
    assert [r.brief.role for r in model.asked("speak")] == ["zoe", "adam"]
    assert result.stopped_by == "budget" and any("role zoe" in w for w in result.warnings)


def test_money_is_reserved_before_it_is_spent(tmp_path):
    reply = ModelReply("x", usage=Usage(10, 10), model="python/test", cost=Decimal("0.25"))
    model = FunctionModel(lambda r: reply)
    with pytest.raises(BudgetExceededError):
        crew(model, tmp_path, budget=BudgetSpec(usd=Decimal("0.10"))).run("Why?")
    assert model.requests == []


def test_a_failed_task_is_left_out_and_named(tmp_path):
    model = FunctionModel(lambda r: ModelUnavailableError("down") if r.brief.task == "bad" else speaking(r))
    tasks = [
        Task(id="good", description="A"),
        Task(id="bad", description="B"),
        Task(id="after", description="C", needs=("bad",)),
    ]
    result = crew(model, tmp_path, roles=ROLES[:1], tasks=tasks).run("Why?")
    assert [(t.id, t.status) for t in result.tasks] == [("good", "done"), ("bad", "failed"), ("after", "done")]
    assert result.status == "partial" and any("task bad is failed" in w for w in result.warnings)
    assert result.output == "merged 2 of Why?"


def test_a_failed_task_can_end_the_run(tmp_path):
    model = FunctionModel(lambda r: ModelUnavailableError("down") if r.brief.task == "bad" else speaking(r))
    tasks = [Task(id="bad", description="B")]
    with pytest.raises(TaskError, match="task bad failed"):
        crew(model, tmp_path, tasks=tasks, on_task_failure=FailureSpec(then="stop")).run("Why?")
    assert find_run(Project(tmp_path), "last").status == "failed"


def test_a_task_is_tried_again_as_often_as_the_crew_says(tmp_path):
    tries = []

    def answer(request):
        tries.append(request)
        return ModelUnavailableError("down") if len(tries) <= 3 else speaking(request)

    result = crew(FunctionModel(answer), tmp_path, roles=ROLES[:1], on_task_failure=FailureSpec(retries=1)).run("Why?")
    assert result.output == "zoe on Why?"


def test_two_processes_do_not_work_the_same_run(tmp_path):
    from filelock import FileLock

    team = crew(FunctionModel(lambda r: ModelUnavailableError("down")), tmp_path)
    with pytest.raises(Exception, match="no task"):
        team.run("Why?")
    row = find_run(Project(tmp_path), "last")
    with (
        FileLock(tmp_path / ".crewmix" / "locks" / f"{row.run_id}.lock"),
        pytest.raises(FencedError, match="another process"),
    ):
        team.resume(row)


def test_a_project_that_cannot_be_written_still_gives_an_answer_and_says_so(tmp_path):
    (tmp_path / ".crewmix").write_text("in the way")
    result = crew(FunctionModel(speaking), tmp_path).run("Why?")
    assert result.output == "merged 2 of Why?"
    assert any("kept in memory only" in w for w in result.warnings)


def test_inputs_fill_the_placeholders(tmp_path):
    model = FunctionModel(speaking)
    team = crew(
        model, tmp_path, tasks=[Task(id="t", description="{goal} in {city}")], inputs={"city": None, "year": "2026"}
    )
    assert team.run("Rents", inputs={"city": "Porto"}).output == "merged 2 of Rents in Porto"
    with pytest.raises(UsageError, match="needs a value for: city"):
        team.run("Rents")
    with pytest.raises(UsageError, match="no input 'town'"):
        team.run("Rents", inputs={"city": "x", "town": "y"})
    with pytest.raises(UsageError, match="goal is empty"):
        team.run("  ", inputs={"city": "x"})


def test_every_mistake_of_a_crew_made_in_python_is_named(tmp_path):
    with pytest.raises(DefinitionError) as caught:
        Crew(roles=["nobody"], chat={"pattern": "round_robbin"}, project=tmp_path)
    text = str(caught.value)
    assert "nobody" in text and "round_robin" in text


def test_a_tool_given_in_python_reaches_the_roles(tmp_path):
    @tool
    def population(city: str) -> int:
        """Inhabitants of a city."""
        return 240_000

    team = crew(FunctionModel(speaking), tmp_path, tools=[population])
    assert all(role.tools == ("population",) for role in team.definition.roles)


def test_run_inside_a_running_loop_works_too(tmp_path):
    team = crew(FunctionModel(speaking), tmp_path)

    async def blocking_call():
        return team.run("Why?").output

    assert asyncio.run(blocking_call()) == "merged 2 of Why?"


def test_run_on_crewmixs_own_loop_is_refused_instead_of_waiting_for_itself(tmp_path):
    inner = crew(FunctionModel(speaking), tmp_path)

    class Blocking:
        async def complete(self, request, on_delta=None):
            return inner.run("Why?")

    with pytest.raises(UsageError, match="own event loop"):
        crew(Blocking(), tmp_path).run("Why?")


def test_runs_from_many_threads(tmp_path):
    team = crew(FunctionModel(speaking), tmp_path)
    outputs: list[str] = []
    threads = [threading.Thread(target=lambda n=n: outputs.append(team.run(f"Q{n}").output)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outputs) == [f"merged 2 of Q{n}" for n in range(8)]


def test_an_answer_is_written_where_the_task_says(tmp_path):
    tasks = [
        Task(id="t", description="A", output_file="out/ü.md"),
        Task(id="u", description="B", output_file="out/ü.md/x"),
    ]
    result = crew(FunctionModel(speaking), tmp_path, roles=ROLES[:1], tasks=tasks).run("Why?")
    assert (tmp_path / "out" / "ü.md").read_text(encoding="utf-8") == "zoe on A\n"
    assert any("out/ü.md/x of task u was not written" in w for w in result.warnings)


def test_what_is_odd_about_a_document_is_a_warning_of_the_run(tmp_path):
    (tmp_path / "old.txt").write_bytes("Das Café ist grün.".encode("cp1252"))
    result = crew(FunctionModel(speaking), tmp_path, knowledge=[str(tmp_path)]).run("Why?")
    assert "old.txt: not UTF-8; read as Windows-1252" in result.warnings


def test_a_key_given_in_python_is_asked_for_again_by_resume(tmp_path):
    with Provider(Fault("status", status=400, body={"error": {"message": "no"}})) as provider:
        spec = {"model": provider.model, "api_key": "plain-secret-value-123"}
        (tmp_path / "crews").mkdir()
        (tmp_path / "crews" / "solo.yaml").write_text("roles: [analyst]\nplan: none\n")
        with pytest.raises(RunError, match="no task has an answer"):
            Crew.load("solo", models={"default": spec}, project=tmp_path).run("Why?")
        assert b"plain-secret-value-123" not in b"".join(p.read_bytes() for p in (tmp_path / ".crewmix").glob("*.db*"))
        with pytest.raises(UsageError, match="given in Python: default"):
            resume(Project(tmp_path), "last")
        provider.script("fine now")
        assert resume(Project(tmp_path), "last", models={"default": spec}).output == "fine now"
