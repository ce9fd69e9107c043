"""Budgets: whatever happens in whatever order, no limit is passed."""

from contextlib import suppress
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crewmix.errors import BudgetExceededError
from crewmix.journal.budget import Amount, Ledger, Limits, Payers

amounts = st.builds(
    Amount, calls=st.integers(0, 3), tokens=st.integers(0, 500), usd=st.decimals(0, 1, places=3, allow_nan=False)
)
limits = st.builds(
    Limits,
    usd=st.none() | st.decimals(0, 5, places=3, allow_nan=False),
    calls=st.none() | st.integers(0, 20),
    tokens=st.none() | st.integers(0, 3000),
)
ONE = Amount(1)


def pay(payers: Payers, amount: Amount = ONE) -> None:
    payers.reserve(amount)
    payers.settle(amount, amount)


def at_most(actual: Amount, worst: Amount) -> Amount:
    return Amount(min(actual.calls, worst.calls), min(actual.tokens, worst.tokens), min(actual.usd, worst.usd))


def within(ledger: Ledger, limits: Limits) -> bool:
    used = ledger.spent + ledger.reserved
    return (
        (limits.calls is None or used.calls <= limits.calls)
        and (limits.tokens is None or used.tokens <= limits.tokens)
        and (limits.usd is None or used.usd <= limits.usd)
    )


@given(
    limits,
    limits,
    st.sampled_from([0.0, 0.2, 0.5]),
    st.lists(st.tuples(amounts, amounts, st.booleans(), st.integers(0, 5)), max_size=40),
)
def test_no_schedule_of_parallel_calls_and_retries_overshoots(outer, inner, share, steps):
    run, task = Ledger("run", outer, share=share), Ledger("task", inner)
    payers, bounds = Payers((run, task), (run,)), ((run, outer.without(share)), (task, inner))
    open_calls: list[Amount] = []

    def reserve(amount: Amount) -> None:
        before = run.reserved, task.reserved
        try:
            payers.reserve(amount)
            open_calls.append(amount)
        except BudgetExceededError as error:
            assert error.needed > error.allowed - error.kept
            assert (run.reserved, task.reserved) == before, "refused by one, held by none"

    for worst, actual, retry, position in steps:
        reserve(worst)
        assert all(within(*bound) for bound in bounds)
        if position < len(open_calls):
            held = open_calls.pop(position)
            payers.settle(held, at_most(actual, held))
            if retry:
                reserve(held)
        assert all(within(*bound) for bound in bounds)
    for held in open_calls:
        payers.settle(held, held)
    assert all(within(*bound) for bound in bounds)
    assert run.reserved == task.reserved == Amount()


def test_the_inner_budget_counts_as_well():
    run, task = Ledger("run", Limits(calls=10)), Ledger("task 2", Limits(calls=1))
    pay(Payers((run, task)))
    with pytest.raises(BudgetExceededError, match="calls budget of task 2"):
        pay(Payers((run, task)))
    assert (run.calls, run.reserved) == (1, Amount())


def test_a_share_is_out_of_reach_for_all_but_the_synthesis():
    run = Ledger("run", Limits(usd=Decimal("0.10"), calls=10, tokens=1000), share=0.2)
    talk, synthesis = Payers((run,), kept=(run,)), Payers((run,))
    for _ in range(8):
        pay(talk, Amount(1, 0, Decimal("0.01")))
    with pytest.raises(BudgetExceededError) as caught:
        pay(talk, Amount(1, 0, Decimal("0.01")))
    assert str(caught.value).startswith(
        "the calls budget of run is used up: 8 of 10 allowed before the synthesis, the next call could reach 9"
    )
    with pytest.raises(BudgetExceededError, match=r"800 of 1000 allowed before the synthesis, .* 801"):
        pay(talk, Amount(0, 801))
    with pytest.raises(BudgetExceededError, match=r"usd budget of run .*: 0\.08 of 0\.1 allowed before the synthesis"):
        pay(talk, Amount(0, 0, Decimal("0.01")))
    for _ in range(2):
        pay(synthesis, Amount(1, 100, Decimal("0.01")))
    with pytest.raises(BudgetExceededError, match="10 allowed, the next call could reach 11"):
        pay(synthesis)


@pytest.mark.parametrize(("calls", "before"), [(0, 0), (1, 1), (2, 2), (3, 2), (4, 3), (5, 4), (10, 8), (100, 80)])
def test_the_share_of_calls_is_whole_calls(calls, before):
    assert Limits(calls=calls).without(0.2).calls == before


def test_a_call_of_unknown_price_needs_permission_when_money_is_limited():
    with pytest.raises(BudgetExceededError, match="price of the next call is unknown") as caught:
        pay(Payers((Ledger("run", Limits(usd=Decimal(1))),)), Amount(1, 10, None))
    assert "unpriced: allow" in str(caught.value)
    allowed = Ledger("run", Limits(usd=Decimal(1), deny_unpriced=False))
    pay(Payers((allowed,)), Amount(1, 10, None))
    assert allowed.unpriced_calls == 1 and allowed.usd == 0


def test_time_runs_out_by_the_given_clock():
    now = [0.0]
    ledger = Ledger("run", Limits(seconds=5), clock=lambda: now[0], worked=2.0)
    pay(Payers((ledger,)))
    now[0] = 3.0
    with pytest.raises(BudgetExceededError, match=r"seconds budget of run is used up: 5 allowed, 5\.0 gone"):
        pay(Payers((ledger,)))


def test_a_clock_that_runs_backwards_gives_no_time_back():
    now = [100.0]
    ledger = Ledger("run", Limits(seconds=5), clock=lambda: now[0], worked=2.0)
    now[0] = 0.0
    assert ledger.elapsed == 2.0


@pytest.mark.parametrize(
    ("limits", "step"),
    [
        (Limits(calls=10), Amount(1)),
        (Limits(tokens=1000), Amount(0, 100)),
        (Limits(usd=Decimal(1)), Amount(0, 0, Decimal("0.1"))),
    ],
)
def test_passing_half_and_four_fifths_is_announced_once(limits, step):
    heard = []
    ledger = Ledger("run", limits, on_mark=lambda *mark: heard.append(mark[2:]))
    for _ in range(10):
        pay(Payers((ledger,)), step)
    allowed = heard[0][1]
    assert heard == [(allowed / 2, allowed, 0.5), (allowed * 0.8, allowed, 0.8)]


def test_marks_that_were_passed_before_are_not_announced_again():
    heard = []
    ledger = Ledger("run", Limits(calls=10), on_mark=lambda *mark: heard.append(mark[-1]))
    ledger.recall(Amount(6))
    ledger.mark(silently=True)
    with suppress(BudgetExceededError):
        for _ in range(10):
            pay(Payers((ledger,)))
    assert heard == [0.8]
