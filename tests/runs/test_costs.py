"""What a run cost, by role, task, stage and model: it always adds up to what the run says it cost."""

import json
from collections.abc import Mapping
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crewmix import BudgetSpec, ChatSpec, Crew, ModelReply, ModelSpec, Role, SynthesisSpec, Task
from crewmix.cli.app import run_app
from crewmix.cli.costs import cost_lines
from crewmix.definitions.project import Project
from crewmix.journal.open import open_store
from crewmix.models.types import Usage
from crewmix.runs.costs import Cost, Costs, run_costs
from support.kept_runs import close, run_talk, tampered
from support.models import FunctionModel, speaking
from support.provider import Fault, Provider, Reply

TABLES = ("by_role", "by_task", "by_stage", "by_model")


def adds_up(costs: Costs) -> bool:
    return all(sum(getattr(costs, table).values(), Cost()) == costs.total for table in TABLES)


def calls(table: Mapping[str, Cost]) -> dict[str, int]:
    return {name: cost.calls for name, cost in table.items()}


def priced(text: str, usd: str | None = "0.25") -> ModelReply:
    usage = Usage(100, 20, cached_tokens=60, reasoning_tokens=5)
    return ModelReply(text=text, usage=usage, cost=None if usd is None else Decimal(usd))


def crew(tmp_path, model, **fields):
    roles = [Role(role=name, goal="Answer") for name in ("Zoe", "Adam")]
    plan = {} if "tasks" in fields else {"plan": "none"}
    return Crew(**{"roles": roles, **plan, "models": {"default": model}, "project": tmp_path, **fields})


def test_every_table_adds_up_to_what_the_run_cost(tmp_path):
    tasks = [Task(id="a", description="First?"), Task(id="b", description="Second?", needs=["a"])]
    model = FunctionModel(lambda request: priced(speaking(request)))
    result = crew(tmp_path, model, tasks=tasks).run("Why?")
    costs = run_costs(Project(tmp_path), result.run_id)
    assert adds_up(costs)
    assert (costs.total.calls, costs.total.usage, costs.total.usd) == (result.calls, result.usage, result.cost)
    assert calls(costs.by_role) == {"zoe": 2, "adam": 2, "synthesizer": 3}
    assert calls(costs.by_task) == {"a": 3, "b": 3, "": 1}
    assert calls(costs.by_stage) == {"talk": 4, "synthesis": 2, "final synthesis": 1}
    assert costs.by_role["zoe"].usd == Decimal("0.50")
    assert costs.by_role["zoe"].usage == Usage(200, 40, cached_tokens=120, reasoning_tokens=10)


@pytest.mark.parametrize(
    ("chat", "stages"),
    [
        (ChatSpec(pattern="layers", layers=3), {"layer 1": 2, "layer 2": 2, "synthesis": 1}),
        (ChatSpec(pattern="debate", rounds=2), {"round 1": 2, "round 2": 2, "synthesis": 1}),
        (ChatSpec(pattern="vote"), {"votes": 2, "synthesis": 1}),
        (ChatSpec(pattern="selector", max_turns=2), {"picks of speakers": 2, "talk": 2, "synthesis": 1}),
    ],
    ids=lambda value: getattr(value, "pattern", ""),
)
def test_stages_are_named_as_in_the_estimate(chat, stages, tmp_path):
    def answer(request):
        if request.brief.purpose == "select":
            return priced(json.dumps({"speaker": request.brief.candidates[0], "reason": "first"}))
        return priced(speaking(request))

    team = crew(tmp_path, FunctionModel(answer), chat=chat, synthesis=SynthesisSpec(method="aggregate"))
    result = team.run("Why?")
    costs = run_costs(Project(tmp_path), "last")
    assert calls(costs.by_stage) == stages
    assert costs.total.calls == result.calls
    assert set(stages) <= {stage.name for stage in team.estimate("Why?").expected.stages}


def test_a_graph_is_split_by_its_nodes(tmp_path):
    nodes = {"draft": {"role": "zoe", "next": "check"}, "check": {"role": "adam"}}
    team = crew(tmp_path, FunctionModel(lambda r: priced(speaking(r))), chat=ChatSpec(pattern="graph", nodes=nodes))
    team.run("Why?")
    stages = calls(run_costs(Project(tmp_path), "last").by_stage)
    assert stages["draft"] == stages["check"] == 1


def test_an_unknown_price_stays_unknown_and_the_known_part_is_told(tmp_path):
    model = FunctionModel(lambda r: priced(speaking(r), None if r.brief.role == "adam" else "0.25"))
    result = crew(tmp_path, model).run("Why?")
    costs = run_costs(Project(tmp_path), "last")
    assert result.cost is None and costs.total.usd is None and adds_up(costs)
    assert (costs.total.known_usd, costs.total.unpriced) == (Decimal("0.50"), 1)
    assert costs.by_role["adam"].usd is None and costs.by_role["zoe"].usd == Decimal("0.25")
    shown = "\n".join(cost_lines(costs))
    assert "$0.5000+?" in shown and "The price of 1 call is unknown" in shown
    assert [line.split()[-2:] for line in cost_lines(costs) if line.startswith("  adam")] == [["unknown", "33%"]]


def paid_model(url: str, **fields) -> ModelSpec:
    return ModelSpec(model=f"openai_compatible/m@{url}", price=[1, 2], attempts=3, **fields)


def test_what_failed_attempts_were_booked_with_is_told_beside_it(tmp_path):
    usage = {"prompt_tokens": 1000, "completion_tokens": 500}
    faults = (Fault("cut_body"), Fault("status", status=503, headers={"retry-after": "0"}))
    with Provider(*faults, Reply("fine", usage=usage)) as provider:
        team = crew(tmp_path, paid_model(provider.url), roles=[Role(role="Zoe", goal="Answer")])
        result = team.run("Why?")
        sent = len(provider.bodies)
    costs = run_costs(Project(tmp_path), "last")
    assert (costs.total.calls, costs.total.requests) == (1, sent)
    assert costs.total.usd == result.cost == Decimal("0.002")
    spent = open_store(Project(tmp_path).database).recordings(result.run_id)[0].spent.amount
    assert costs.total.usd + costs.total.lost_usd == spent.usd
    assert costs.total.usage.total_tokens + costs.total.lost_tokens == spent.tokens > 1500
    assert costs.failed.requests == costs.in_flight.requests == 0
    assert "requests without an answer were booked with at most" in "\n".join(cost_lines(costs))


def test_a_call_that_failed_for_good_counts_its_requests(tmp_path):
    with Provider(Fault("status", status=503, headers={"retry-after": "0"})) as provider:
        team = crew(tmp_path, paid_model(provider.url), roles=[Role(role="Zoe", goal="Answer")])
        with pytest.raises(Exception, match="no task has an answer"):
            team.run("Why?")
        sent = len(provider.bodies)
    costs = run_costs(Project(tmp_path), "last")
    assert (costs.total.calls, costs.total.requests, costs.failed.requests) == (0, sent, sent)
    assert calls(costs.by_model) == {f"openai_compatible/m@{provider.url}": 0} and adds_up(costs)
    assert "cost_usd" not in costs.as_dict()["failed"] and "of calls that failed" in "\n".join(cost_lines(costs))


def test_what_was_in_flight_when_a_run_was_killed_is_told(tmp_path):
    result = run_talk(tmp_path / "p")
    with tampered(Project(tmp_path / "p"), tmp_path / "copy") as (project, db):
        db.execute(
            "update effects set response=null, finished=null, spent=? where scope='synthesis/model'",
            (json.dumps({"calls": 1, "tokens": 700, "usd": "0.5", "by": [": run"]}),),
        )
        costs = run_costs(project, "last")
        assert costs.total.calls == result.calls - 1 and costs.total.requests == result.calls
        assert (costs.in_flight.lost_tokens, costs.in_flight.lost_usd) == (700, Decimal("0.5"))
        assert "whose end is unknown: 700 tokens, $0.5000" in "\n".join(cost_lines(costs))
    close(Project(tmp_path / "p"))


def test_what_a_fork_took_over_is_no_part_of_its_cost(tmp_path):
    result = run_talk(tmp_path / "p")
    with tampered(Project(tmp_path / "p"), tmp_path / "copy") as (project, db):
        db.execute("update effects set epoch=0 where role='writer'")
        costs = run_costs(project, "last")
        assert (costs.taken_over.calls, costs.total.calls) == (2, result.calls - 2) and adds_up(costs)
        assert "2 calls taken over" in "\n".join(cost_lines(costs))
    close(Project(tmp_path / "p"))


def test_a_resumed_run_counts_every_call_once(tmp_path):
    model = FunctionModel(lambda request: priced(speaking(request)))
    team = crew(tmp_path, model, budget=BudgetSpec(calls=2))
    assert team.run("Why?").stopped_by == "budget"
    more = crew(tmp_path, model)
    from crewmix.runs import find_run

    result = more.resume(find_run(Project(tmp_path), "last"))
    costs = run_costs(Project(tmp_path), "last")
    assert (costs.total.calls, costs.total.usd) == (result.calls, result.cost) == (len(model.requests), costs.total.usd)
    assert adds_up(costs)


def test_a_crew_within_a_role_counts_where_that_role_speaks(tmp_path):
    inner = (
        "name: house\nroles: [{name: ann, role: Ann, goal: Answer}, {name: bob, role: Bob, goal: Answer}]\nplan: none\n"
    )
    (tmp_path / "crews").mkdir()
    (tmp_path / "crews" / "house.yaml").write_text(inner)
    model = FunctionModel(lambda request: priced(speaking(request)))
    roles = [Role(role="Zoe", goal="Answer"), Role(name="team", role="Team", goal="Answer", crew="house")]
    chat = ChatSpec(pattern="vote")
    synthesis = SynthesisSpec(method="aggregate")
    result = crew(tmp_path, model, roles=roles, chat=chat, synthesis=synthesis).run("Why?")
    costs = run_costs(Project(tmp_path), "last")
    assert costs.total.calls == result.calls and adds_up(costs)
    assert {"ann", "bob", "zoe"} <= set(costs.by_role)
    assert calls(costs.by_stage) == {"votes": 4, "synthesis": 1}
    assert len(costs.by_task) == 1


def test_the_command_shows_tables_and_gives_json(tmp_path, capsys):
    result = run_talk(tmp_path)
    assert run_app(["show", "last", "--cost", "--project", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    for wanted in ("by role", "by task", "by stage", "by model", "  planner", "  final synthesis", "  (the whole run)"):
        assert wanted in shown
    assert run_app(["show", "last", "--cost", "--json", "--project", str(tmp_path)]) == 0
    data = json.loads(capsys.readouterr().out)
    assert (data["run_id"], data["total"]["calls"], data["total"]["usd"]) == (result.run_id, result.calls, "0")
    for table in TABLES:
        assert sum(row["input_tokens"] for row in data[table].values()) == data["total"]["input_tokens"]
    assert run_app(["show", "last", "--cost", "--events", "--project", str(tmp_path)]) == 2


money = st.decimals(min_value=0, max_value=1000, places=6)
cost = st.builds(
    Cost, st.integers(0, 9), st.integers(0, 9), st.builds(Usage, st.integers(0, 9), st.integers(0, 9)), money
)


@given(cost, cost, cost)
def test_costs_add_up_in_any_order(a, b, c):
    assert a + b + c == c + (b + a) and a + Cost() == a
