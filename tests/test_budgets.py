"""Budgets of whole runs: what is kept for the synthesis, what a resumed run knows, how much more it may be given."""

import asyncio
import itertools
import json
import time
from decimal import Decimal

import pytest

from crewmix import Crew, ModelReply
from crewmix.definitions.project import Project
from crewmix.errors import BudgetExceededError, RunCancelledError, UserError
from crewmix.journal.events import BudgetWarning, CallShortened
from crewmix.ledgers import seconds_worked
from crewmix.models.types import Usage
from crewmix.runs import find_run, fork, resume
from support.command import crewmix
from support.models import FunctionModel, speaking
from support.provider import Fault, Provider, Reply


def role(name, **fields):
    return {"name": name, "role": name.title(), "goal": "Answer well", **fields}


def parrot(request):
    brief = request.brief
    if brief.purpose == "synthesize":
        return f"merged {len(brief.drafts)}"
    if brief.purpose == "judge":
        return json.dumps({"scores": [{"criterion": name, "score": 5} for name in brief.criteria], "reason": "fine"})
    return f"{brief.role} in round {brief.round}\nAnswer: 1"


def crew(model, tmp_path, *roles, **fields):
    made = [role(r) if isinstance(r, str) else r for r in roles]
    return Crew(models={"default": model}, project=tmp_path, **{"roles": made, "plan": "none", **fields})


def purposes(model):
    return [request.brief.purpose for request in model.requests]


# -- the share that is kept ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pattern", ["vote", "layers", "debate"])
def test_a_run_whose_budget_ends_is_still_merged(pattern, tmp_path):
    model = FunctionModel(parrot)
    chat = {"pattern": pattern, "samples": 6}
    result = crew(model, tmp_path, "ann", chat=chat, budget={"calls": 5}).run("Why?")
    assert (result.status, result.stopped_by, result.output) == ("partial", "budget", "merged 4")
    assert result.calls == len(model.requests) == 5
    assert purposes(model)[-1] == "synthesize"
    assert any("4 of 5 allowed before the synthesis" in warning for warning in result.warnings)


def test_judges_of_a_synthesis_use_the_share_too(tmp_path):
    model = FunctionModel(parrot)
    fields = {"chat": {"pattern": "vote", "samples": 6}, "synthesis": {"method": "judge"}}
    result = crew(model, tmp_path, "ann", budget={"calls": 8, "keep_for_synthesis": 0.5}, **fields).run("Why?")
    assert (result.status, result.stopped_by, result.merge.method) == ("partial", "budget", "judge")
    assert purposes(model) == ["speak"] * 4 + ["judge"] * 4


@pytest.mark.parametrize(
    ("fields", "calls"),
    [
        ({"chat": {"pattern": "vote", "samples": 9}, "synthesis": {"method": "majority"}}, 5),
        ({"chat": {"pattern": "round_robin", "max_turns": 9}}, 5),
        ({"chat": {"pattern": "vote", "samples": 9}, "budget": {"calls": 5, "keep_for_synthesis": 0}}, 5),
    ],
    ids=["majority", "one draft", "nothing wanted"],
)
def test_nothing_is_kept_where_no_synthesis_asks_a_model(fields, calls, tmp_path):
    model = FunctionModel(parrot)
    result = crew(model, tmp_path, "ann", **{"budget": {"calls": 5}, **fields}).run("Why?")
    assert (result.stopped_by, len(model.asked("speak"))) == ("budget", calls)


def own_pattern(chat):
    return None if chat.round == 9 else chat.members[0]


def graph(*next_of_one):
    return {"pattern": "graph", "nodes": {"one": {"role": "ann", "next": list(next_of_one)}, "two": {"role": "bob"}}}


@pytest.mark.parametrize(
    ("fields", "kept"),
    [
        ({}, True),
        ({"chat": graph("two")}, False),
        ({"chat": graph()}, True),
        ({"chat": {"pattern": "handoff"}}, False),
        ({"pattern": own_pattern}, True),
        ({"synthesis": {"method": "similarity"}}, False),
    ],
    ids=["round robin", "graph with one end", "graph with two ends", "handoff", "own pattern", "similarity"],
)
def test_a_share_is_kept_where_several_drafts_will_be_merged_by_a_model(fields, kept, tmp_path):
    """One call, half of it kept, is none; without a share it is one."""
    model = FunctionModel(parrot)
    team = crew(model, tmp_path, "ann", "bob", budget={"calls": 1, "keep_for_synthesis": 0.9}, **fields)
    if kept:
        with pytest.raises(BudgetExceededError, match="0 of 1 allowed before the synthesis"):
            team.run("Why?")
    else:
        assert "in round 1" in team.run("Why?").output
    assert len(model.requests) == (0 if kept else 1)


def test_a_share_is_kept_for_the_final_synthesis_of_tasks(tmp_path):
    model = FunctionModel(parrot)
    tasks = [{"id": f"t{n}", "description": f"Part {n}"} for n in range(1, 7)]
    result = crew(model, tmp_path, "ann", tasks=tasks, budget={"calls": 5}).run("Why?")
    assert (result.status, result.output, purposes(model)) == ("partial", "merged 4", ["speak"] * 4 + ["synthesize"])


def test_the_budget_of_a_task_keeps_a_share_for_its_own_synthesis(tmp_path):
    model = FunctionModel(parrot)
    tasks = [{"id": "a", "description": "A", "budget": {"calls": 5}}, {"id": "b", "description": "B"}]
    fields = {"tasks": tasks, "chat": {"pattern": "vote", "samples": 6}}
    result = crew(model, tmp_path, "ann", **fields).run("Why?")
    of_a = [request.brief.purpose for request in model.requests if request.brief.task == "a"]
    assert sorted(of_a) == ["speak"] * 4 + ["synthesize"]
    assert [(t.id, t.status, t.output) for t in result.tasks] == [
        ("a", "partial", "merged 4"),
        ("b", "done", "merged 6"),
    ]


def test_a_crew_that_works_a_role_cannot_use_what_the_crew_around_it_keeps(tmp_path):
    folder = tmp_path / "crews"
    folder.mkdir()
    inner = "roles: [{name: x, role: X, goal: G}, {name: y, role: Y, goal: G}]\nplan: none\nchat: {pattern: vote}\n"
    (folder / "pair.yaml").write_text(inner)
    outer = (
        "roles:\n  - {name: pair, role: Pair, goal: G, crew: pair}\n"
        "  - {name: solo, role: Solo, goal: G}\n  - {name: last, role: L, goal: G}\n"
        "plan: none\n"
    )
    (folder / "outer.yaml").write_text(outer + "budget: {calls: 5, keep_for_synthesis: 0.5}\n")
    model = FunctionModel(parrot)
    result = Crew.load("outer", project=tmp_path, models={"default": model}).run("Why?")
    # 5 calls, 2 of them kept: three for the pair, whose own synthesis is the third, none for the solo.
    assert purposes(model) == ["speak", "speak", "synthesize"]
    assert (result.stopped_by, result.output) == ("budget", "merged 2")
    (folder / "outer.yaml").write_text(outer + "budget: {calls: 3, keep_for_synthesis: 0.4}\n")
    model = FunctionModel(parrot)
    result = Crew.load("outer", project=tmp_path, models={"default": model}).run("Why?")
    assert purposes(model) == ["speak", "speak"]
    assert result.stopped_by == "budget" and any("2 of 3 allowed before the" in w for w in result.warnings)


def test_time_is_kept_for_the_synthesis_too(tmp_path):
    async def hang():
        await asyncio.Event().wait()

    class Slow(FunctionModel):
        async def complete(self, request, on_delta=None):
            if request.brief.role == "cy":
                await hang()
            return await super().complete(request, on_delta)

    model = Slow(parrot)
    result = crew(model, tmp_path, "ann", "bob", "cy", chat={"pattern": "vote"}, budget={"seconds": 1.5}).run("Why?")
    assert (result.status, result.stopped_by, result.output) == ("partial", "budget", "merged 2")


def test_a_synthesis_is_shortened_rather_than_left_out(tmp_path):
    sized = {"prompt_tokens": 300, "completion_tokens": 200}
    with Provider(lambda body: Reply("said", usage=sized)) as provider:
        models = {"default": {"model": provider.model, "price": (1, 1), "max_output_tokens": 2000}}
        roles = [role("ann", max_output_tokens=300), role("bob", max_output_tokens=300)]
        events = []
        team = Crew(models=models, project=tmp_path, roles=roles, plan="none", chat={"pattern": "vote"})
        result = team.run("Why?", budget={"tokens": 2900}, on_event=events.append)
        assert result.status == "done" and provider.tokens == 1500
        assert [(e.role, e.wanted) for e in events if isinstance(e, CallShortened)] == [("synthesizer", 2000)]
        assert provider.bodies[-1]["max_tokens"] < 2000


# -- resuming ------------------------------------------------------------------------------------------------------------


def test_a_resumed_run_goes_on_with_so_much_more(tmp_path):
    model = FunctionModel(parrot)
    team = crew(model, tmp_path, "ann", chat={"pattern": "vote", "samples": 6}, budget={"calls": 5})
    first = team.run("Why?")
    project = Project(tmp_path)
    row = find_run(project, first.run_id)
    again = team.resume(row, budget={"calls": "+2"})
    assert (again.status, again.stopped_by, again.budget["calls"]) == ("partial", "budget", (7.0, 7.0))
    row = find_run(project, first.run_id)
    assert row.definition["crew"]["budget"]["calls"] == 7
    whole = team.resume(row, budget={"calls": "+10"})
    assert (whole.status, whole.output, whole.calls, whole.budget["calls"][1]) == ("done", "merged 6", 9, 17.0)
    assert [request.sample for request in model.asked("speak")] == [0, 1, 2, 3, 4, 5], "nothing is paid twice"


def test_limits_given_for_one_run_are_remembered(tmp_path):
    (tmp_path / "crews").mkdir()
    (tmp_path / "crews" / "trio.yaml").write_text(
        "roles: [{name: ann, role: Ann, goal: G}]\nplan: none\nchat: {pattern: vote, samples: 6}\n"
    )
    model = FunctionModel(parrot)
    result = Crew.load("trio", project=tmp_path, models={"default": model}).run("Why?", budget={"calls": 5})
    assert (result.stopped_by, len(model.requests)) == ("budget", 5)
    again = resume(Project(tmp_path), result.run_id, models={"default": model})
    assert (again.stopped_by, len(model.requests)) == ("budget", 5)
    whole = resume(Project(tmp_path), result.run_id, models={"default": model}, budget={"calls": "+9"})
    assert (whole.status, whole.budget["calls"][1]) == ("done", 14.0)


def test_a_limit_raised_for_a_fork_is_remembered(tmp_path):
    model, project = FunctionModel(parrot), Project(tmp_path)
    crew(model, tmp_path, "ann", chat={"pattern": "vote", "samples": 6}, budget={"calls": 9}).run("Why?")
    settings = ["roles.ann.backstory=You doubt.", "budget.calls=5"]
    changed = fork(project, "last", settings=settings, models={"default": model})
    raised = resume(project, changed.run_id, models={"default": model}, budget={"calls": "+1"})
    again = resume(project, changed.run_id, models={"default": model})
    assert [run.budget["calls"][1] for run in (changed, raised, again)] == [5, 6, 6]
    assert not any("no longer as it was" in warning for warning in again.warnings)


@pytest.mark.parametrize(
    ("budget", "what"),
    [
        ({"usd": "+0.20"}, "there was no limit of usd"),
        ({"calls": "+x"}, "adds no number"),
        ({"calls": "+1e9999999"}, "adds no number"),
        ({"calls": "+1e99999"}, "whole number"),
        ({"calls": "+inf"}, "whole number"),
        ({"seconds": "+ "}, "there was no limit of seconds"),
    ],
)
def test_what_cannot_be_added_is_said(budget, what, tmp_path):
    team = crew(FunctionModel(parrot), tmp_path, "ann", chat={"pattern": "vote", "samples": 6}, budget={"calls": 5})
    result = team.run("Why?")
    with pytest.raises(UserError, match=what):
        team.resume(find_run(Project(tmp_path), result.run_id), budget=budget)


def test_the_command_adds_to_the_limit_that_the_run_ended_with(tmp_path):
    said = itertools.count()
    with Provider(lambda body: f"draft {next(said)}") as provider:
        (tmp_path / "crews").mkdir()
        (tmp_path / "crews" / "six.yaml").write_text(
            "roles: [{name: ann, role: Ann, goal: G, max_output_tokens: 300}]\nplan: none\n"
            "chat: {pattern: vote, samples: 6}\n"
            f"models: {{default: {{model: {provider.model}, price: [1, 1]}}}}\n"
        )
        first = crewmix("run", "six", "Why?", "--budget", "calls=5", cwd=tmp_path, check=3)
        assert "5 of 5 calls" in first.stdout + first.stderr
        wrong = crewmix("resume", "last", "--budget", "usd=+0.20", cwd=tmp_path, check=2)
        assert "there was no limit of usd" in wrong.stderr and "usd=0.20" in wrong.stderr
        crewmix("resume", "last", "--budget", "calls=+2", cwd=tmp_path, check=3)
        last = crewmix("resume", "last", "--budget", "calls=+8", cwd=tmp_path, check=0)
        assert "9 of 15 calls" in last.stdout + last.stderr, last.stdout
        assert provider.calls == 9


def test_warnings_are_told_once_also_when_a_run_is_resumed(tmp_path):
    heard = []

    def hear(event):
        if isinstance(event, BudgetWarning):
            heard.append((event.limit, event.share))

    team = crew(FunctionModel(parrot), tmp_path, "ann", chat={"pattern": "vote", "samples": 9}, budget={"calls": 5})
    result = team.run("Why?", on_event=hear)
    assert heard == [("calls", 0.5), ("calls", 0.8)]
    team.resume(find_run(Project(tmp_path), result.run_id), on_event=hear)
    assert heard == [("calls", 0.5), ("calls", 0.8)]
    team.resume(find_run(Project(tmp_path), result.run_id), on_event=hear, budget={"calls": 10})
    assert heard[2:] == [("calls", 0.8)], "half of the larger budget was used up before"


def test_what_a_fork_takes_over_was_not_paid_by_it(tmp_path):
    model = FunctionModel(parrot)
    team = crew(model, tmp_path, "ann", "bob", budget={"calls": 9})
    first = team.run("Why?")
    row = find_run(Project(tmp_path), first.run_id)
    fork = team.fork(row, lambda recording: "synthesis" in recording.key.scope)
    assert (first.calls, fork.calls, fork.usage.total_tokens, fork.budget["calls"]) == (3, 1, 120, (1.0, 9.0))
    assert fork.output == first.output and len(model.requests) == 4


# -- time ----------------------------------------------------------------------------------------------------------------


def test_the_time_of_earlier_processes_counts_and_the_time_between_them_does_not(tmp_path):
    with Provider(Fault("hang")) as provider:
        models = {"default": {"model": provider.model, "price": (0, 0)}}
        team = Crew(models=models, project=tmp_path, roles=[role("ann")], plan="none", budget={"seconds": 0.4})
        with pytest.raises(BudgetExceededError, match=r"seconds budget of run is used up: 0\.4 allowed"):
            team.run("Why?")
        assert len(provider.bodies) == 1
        row = find_run(Project(tmp_path), "last")
        with pytest.raises(BudgetExceededError, match="seconds budget of run"):
            team.resume(row)
        assert len(provider.bodies) == 1, "all the time was used before"
        provider.script("fine")
        assert team.resume(row, budget={"seconds": "+60"}).output == "fine"


def test_clocks_that_jump_make_no_time(tmp_path, monkeypatch):
    jumps = itertools.cycle([0, -3600, 86_400])
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + next(jumps))
    power = ["on"]

    def answer(request):
        return RunCancelledError("the power went") if power[0] == "off" else parrot(request)

    def hear(event):
        if event.type == "MessageSpoken":
            power[0] = "off"

    team = crew(FunctionModel(answer), tmp_path, "ann", "bob", budget={"seconds": 600})
    with pytest.raises(RunCancelledError):
        team.run("Why?", on_event=hear)
    power[0] = "on"
    result = team.resume(find_run(Project(tmp_path), "last"))
    used, allowed = result.budget["seconds"]
    assert result.status == "done" and 0 < used < 60 and allowed == 600


def test_worked_seconds_are_those_between_the_first_and_the_last_event_of_each_process():
    def event(kind, at, scope=""):
        return {"type": kind, "time": at, "scope": scope}

    events = [
        event("RunStarted", 100.0),
        event("TaskStarted", 101.0, "task.a"),
        event("MessageSpoken", 107.0, "task.a/chat"),
        event("TaskStarted", 107.0, "task.ab"),
        event("RunStarted", 5000.0),
        event("TaskStarted", 5000.5, "task.a"),
        event("RunFinished", 5004.0),
        event("RunStarted", 4000.0),  # the clock was set back
        event("RunFinished", 3000.0),
    ]
    assert seconds_worked(events, "") == 7.0 + 4.0
    assert seconds_worked(events, "task.a") == 6.0
    assert seconds_worked([], "") == 0.0


# -- sizes ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("budget", [{"usd": "0.01"}, {"usd": 0}, {"calls": 1}, {"calls": 0}, {"tokens": 1}])
def test_the_smallest_budgets_end_in_an_answer_or_in_an_error_that_says_so(budget, tmp_path):
    price = (Decimal(5), Decimal(20))
    with Provider("a short answer") as provider:
        models = {"default": {"model": provider.model, "price": price}}
        team = Crew(models=models, project=tmp_path, roles=[role("ann"), role("bob")], plan="none", budget=budget)
        try:
            result = team.run("Why?")
        except BudgetExceededError as error:
            assert error.limit in budget and error.owner == "run" and provider.bodies == []
        else:
            assert result.output == "a short answer"
        spent = {"usd": provider.cost(*price), "calls": provider.calls, "tokens": provider.tokens}
        assert all(spent[name] <= Decimal(str(limit)) for name, limit in budget.items())


def test_unpriced_calls_can_be_allowed(tmp_path):
    model = FunctionModel(lambda request: ModelReply("fine", usage=Usage(10, 10)))
    with pytest.raises(BudgetExceededError, match="price of the next call is unknown"):
        crew(model, tmp_path, "ann", budget={"usd": 1}).run("Why?")
    assert model.requests == []
    result = crew(model, tmp_path, "ann", budget={"usd": 1, "unpriced": "allow"}).run("Why?")
    assert (result.output, result.cost) == ("fine", None)
    assert any("price" in warning for warning in result.warnings)


def test_a_budget_within_a_crew_that_works_a_role_ends_that_turn_only_also_where_names_are_the_same(tmp_path):
    (tmp_path / "crews").mkdir()
    inner = "roles: [{name: ann, role: Ann, goal: Answer., budget: {calls: 0}}]\nplan: none\n"
    (tmp_path / "crews/inner.yaml").write_text(inner)
    outer = (
        "roles:\n  - {name: ann, role: Ann, goal: Answer., crew: inner, budget: {calls: 5}}\n"
        "  - {name: bob, role: Bob, goal: Answer.}\nplan: none\n"
    )
    (tmp_path / "crews/outer.yaml").write_text(outer)
    result = Crew.load("outer", project=tmp_path, models={"default": FunctionModel(speaking)}).run("Why?")
    assert (result.status, result.stopped_by) == ("partial", None)
    assert [draft.role for draft in result.drafts] == ["bob"]
    assert any("role ann of crew inner" in warning for warning in result.warnings)
