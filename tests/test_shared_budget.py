"""One budget for many runs at once: a provider that counts bills no more than it allows."""

import asyncio
import random
from collections import Counter
from decimal import Decimal

import pytest

from crewmix import Budget, Crew
from crewmix.errors import BudgetExceededError, DefinitionError
from crewmix.journal.budget import Amount
from crewmix.journal.events import BudgetWarning
from crewmix.models import paying
from support.models import FunctionModel
from support.provider import Fault, Provider, Reply

RUNS = 200
PRICE = (Decimal(2), Decimal(8))


def team(tmp_path, model, **fields):
    roles = [{"name": name, "role": name.title(), "goal": "Answer"} for name in ("ann", "bob")]
    chat = {"pattern": "vote"}
    return Crew(
        **{"models": {"default": model}, "project": tmp_path, "roles": roles, "plan": "none", "chat": chat, **fields}
    )


def an_unsteady_provider(seed):
    """Answers of any length within what was asked for; one in eight requests fails in one way or another."""
    dice = random.Random(seed)
    faults = [
        Fault("status", 429, headers={"retry-after": "0"}),
        Fault("status", 500),
        Fault("malformed"),
        Fault("refuse"),
    ]

    def answer(body):
        if dice.random() < 0.125:
            return dice.choice(faults)
        size = min(dice.randint(20, 400), body["max_tokens"])
        words = sum(len(str(message["content"])) for message in body["messages"])
        usage = {"prompt_tokens": words // 4, "completion_tokens": size}
        return Reply("word " * (size // 2), usage=usage, finish_reason="length" if size == body["max_tokens"] else None)

    return answer


@pytest.mark.parametrize("limits", [{"usd": "0.60"}, {"usd": "0.50", "calls": 250, "tokens": 80_000}])
async def test_two_hundred_runs_at_once_keep_to_one_budget(limits, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(paying, "pause", lambda error, attempt: 0.0 if error.retryable else None)
    shared, outcomes = Budget(**limits), Counter()
    with Provider(an_unsteady_provider(7)) as provider:
        model = {"model": provider.model, "price": PRICE, "max_output_tokens": 400}
        crew = team(tmp_path, model)
        runs = (crew.arun(f"Question {n}?", budget=shared) for n in range(RUNS))
        for result in await asyncio.gather(*runs, return_exceptions=True):
            outcomes[type(result).__name__ if isinstance(result, Exception) else result.status] += 1
        billed = Amount(len(provider.bodies), provider.tokens, provider.cost(*PRICE))
    size = {name: Decimal(str(limit)) for name, limit in limits.items()}
    used = {name: Decimal(getattr(billed, name)) for name in limits}
    assert all(used[name] <= limit for name, limit in size.items())
    assert billed.calls == shared.spent.calls and billed.tokens <= shared.spent.tokens
    assert billed.usd <= shared.spent.usd
    assert max(used[name] / limit for name, limit in size.items()) > Decimal("0.6"), "most of it was used"
    assert outcomes["partial"] > 0, "the budget was too small for all"
    assert outcomes.total() == RUNS
    shares = ", ".join(f"{used[name]} of {limit} {name} billed" for name, limit in size.items())
    with capsys.disabled():
        print(f"\n{RUNS} runs at once, 0 overshoots: {shares}; {dict(outcomes)}")


def test_a_shared_budget_tells_what_is_spent_and_what_is_left(tmp_path):
    shared = Budget(calls=10, usd=1, unpriced="allow")
    assert (shared.spent, shared.left.calls, shared.left.usd, shared.left.tokens) == (Amount(), 10, 1, None)
    crew = team(tmp_path, FunctionModel(lambda request: f"said by {request.brief.role}"))
    crew.run("Why?", budget=shared)
    assert (shared.spent.calls, shared.spent.tokens, shared.left.calls) == (3, 360, 7)
    crew.run("Why else?", budget=shared)
    assert (shared.spent.calls, shared.left.calls) == (6, 4)


def test_a_share_of_it_is_kept_for_the_syntheses_of_crews_that_have_one(tmp_path):
    model = FunctionModel(lambda request: f"{request.brief.purpose} by {request.brief.role}")
    result = team(tmp_path, model).run("Why?", budget=Budget(calls=2, keep_for_synthesis=0.5))
    assert (result.stopped_by, [r.brief.purpose for r in model.requests]) == ("budget", ["speak"])
    solo = [{"name": "ann", "role": "Ann", "goal": "Answer"}]
    shared = Budget(calls=2, keep_for_synthesis=0.5)
    crew = team(tmp_path, model, roles=solo, chat={})
    assert [crew.run("Why?", budget=shared).status for _ in range(2)] == ["done", "done"]
    with pytest.raises(BudgetExceededError, match="calls budget of all runs together is used up: 2 allowed"):
        crew.run("Why?", budget=shared)


def test_every_run_is_told_when_it_runs_low(tmp_path):
    heard = []

    def hear(event):
        if isinstance(event, BudgetWarning):
            heard.append((event.owner, event.limit, event.share))

    crew = team(tmp_path, FunctionModel(lambda request: "fine"))
    shared = Budget(calls=6)
    for _ in range(2):
        crew.run("Why?", budget=shared, on_event=hear)
    assert heard == [("all runs together", "calls", 0.5), ("all runs together", "calls", 0.8)]


def test_the_crew_s_own_budget_counts_as_well(tmp_path):
    crew = team(tmp_path, FunctionModel(lambda request: "fine"), budget={"calls": 1})
    shared = Budget(calls=100)
    result = crew.run("Why?", budget=shared)
    assert (result.stopped_by, result.budget, shared.spent.calls) == ("budget", {"calls": (1.0, 1.0)}, 1)


@pytest.mark.parametrize("limits", [{"usd": -1}, {"calls": 1.5}, {"seconds": 0}, {"keep_for_synthesis": 1}])
def test_wrong_limits_are_refused(limits):
    with pytest.raises(DefinitionError, match=next(iter(limits))):
        Budget(**limits)
