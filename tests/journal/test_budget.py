"""Budgets: whatever happens in whatever order, no limit is passed."""

from contextlib import suppress
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crewmix.errors import BudgetExceededError
from crewmix.journal.budget import Amount, Ledger, Limits, Reservation

amounts = st.builds(
    Amount, calls=st.integers(0, 3), tokens=st.integers(0, 500), usd=st.decimals(0, 1, places=3, allow_nan=False)
)
limits = st.builds(
    Limits,
    usd=st.none() | st.decimals(0, 5, places=3, allow_nan=False),
    calls=st.none() | st.integers(0, 20),
    tokens=st.none() | st.integers(0, 3000),
)


def at_most(actual: Amount, worst: Amount) -> Amount:
    return Amount(min(actual.calls, worst.calls), min(actual.tokens, worst.tokens), min(actual.usd, worst.usd))


def within(ledger: Ledger) -> bool:
    allowed = ledger.limits
    return (
        (allowed.calls is None or ledger.calls + ledger.reserved_calls <= allowed.calls)
        and (allowed.tokens is None or ledger.tokens + ledger.reserved_tokens <= allowed.tokens)
        and (allowed.usd is None or ledger.usd + ledger.reserved_usd <= allowed.usd)
    )


@given(limits, limits, st.lists(st.tuples(amounts, amounts, st.booleans(), st.integers(0, 5)), max_size=40))
def test_no_schedule_of_parallel_calls_and_retries_overshoots(outer, inner, steps):
    ledgers = [Ledger("run", outer), Ledger("task", inner)]
    open_calls: list[tuple[Reservation, Amount]] = []
    for worst, actual, retry, position in steps:
        try:
            open_calls.append((Reservation(ledgers, worst), worst))
        except BudgetExceededError as error:
            assert error.needed > error.allowed
        assert all(map(within, ledgers))
        if open_calls and position < len(open_calls):
            reservation, held = open_calls.pop(position)
            reservation.settle(at_most(actual, held))
            if retry:
                with suppress(BudgetExceededError):
                    open_calls.append((Reservation(ledgers, held), held))
        assert all(map(within, ledgers))
    for reservation, held in open_calls:
        reservation.settle(held)
    assert all(map(within, ledgers))
    assert all(ledger.reserved_calls == ledger.reserved_tokens == ledger.reserved_usd == 0 for ledger in ledgers)


def test_the_inner_budget_counts_as_well():
    run, task = Ledger("run", Limits(calls=10)), Ledger("task 2", Limits(calls=1))
    Reservation([run, task], Amount(calls=1)).settle(Amount(calls=1))
    with pytest.raises(BudgetExceededError, match="calls budget of task 2"):
        Reservation([run, task], Amount(calls=1))
    assert (run.calls, run.reserved_calls) == (1, 0)


def test_a_call_of_unknown_price_needs_permission_when_money_is_limited():
    with pytest.raises(BudgetExceededError, match="price of the next call is unknown") as caught:
        Reservation([Ledger("run", Limits(usd=Decimal(1)))], Amount(1, 10, None))
    assert "unpriced: allow" in str(caught.value)
    allowed = Ledger("run", Limits(usd=Decimal(1), deny_unpriced=False))
    Reservation([allowed], Amount(1, 10, None)).settle(Amount(1, 10, None))
    assert allowed.unpriced_calls == 1 and allowed.usd == 0


def test_time_runs_out_by_the_given_clock():
    now = [0.0]
    ledger = Ledger("run", Limits(seconds=5), clock=lambda: now[0])
    Reservation([ledger], Amount(1))
    now[0] = 5.0
    with pytest.raises(BudgetExceededError, match=r"seconds budget of run is used up: 5 allowed, 5\.0 gone"):
        Reservation([ledger], Amount(1))


def test_passing_half_and_four_fifths_is_announced_once():
    heard = []
    ledger = Ledger("run", Limits(calls=10), on_mark=lambda *mark: heard.append(mark))
    for _ in range(10):
        Reservation([ledger], Amount(1)).settle(Amount(1))
    assert heard == [("run", "calls", 5.0, 10.0, 0.5), ("run", "calls", 8.0, 10.0, 0.8)]
