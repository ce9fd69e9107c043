"""The circuit breaker: a provider that is down is left alone, and asked again soon, by one call."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crewmix.errors import (
    AuthError,
    BadReplyError,
    CircuitOpenError,
    ModelError,
    ModelTimeoutError,
    ModelUnavailableError,
    RateLimitedError,
)
from crewmix.journal.budget import Ledger
from crewmix.journal.events import CircuitOpened
from crewmix.journal.run import Run
from crewmix.journal.scope import Scope
from crewmix.journal.store import SqliteStore
from crewmix.models import breaker as module
from crewmix.models.breaker import FAILURES, LONGEST_OPEN, OPEN_SECONDS, PATIENCE, Breaker
from crewmix.models.profile import Profile
from support.clock import Clock
from support.model_world import no_waiting, world
from support.provider import Fault, Provider

ALONE = Profile("default", "x/m", "x", "m", base_url="http://x/v1")
BACKED = Profile("default", "x/m", "x", "m", base_url="http://x/v1", fallback=("other",))


class Bench:
    """A breaker, and runs that use it."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.breaker = Breaker(clock=lambda: self.clock.now, wait=self.clock.wait)
        self.store = SqliteStore(None)
        self.events: list[CircuitOpened] = []
        self.sent = 0
        self.run = self.new_run()

    def new_run(self) -> Run:
        run = Run("run", self.store)
        run.listen(lambda event: self.events.append(event) if isinstance(event, CircuitOpened) else None)
        return run

    async def call(self, error: Exception | None = None, run: Run | None = None, profile: Profile = ALONE) -> None:
        async with self.breaker.passage(Scope(run or self.run), profile):
            self.sent += 1
            if error is not None:
                raise error

    async def fail(self, times: int = 1, error: Exception | None = None) -> None:
        for _ in range(times):
            with pytest.raises(ModelError):
                await self.call(error or ModelUnavailableError("down"))


@pytest.fixture
async def bench():
    bench = Bench()
    await bench.store.create_run("run", "crew", "goal", {})
    yield bench
    bench.store.close()


async def test_after_five_failures_in_a_row_a_call_waits_and_probes(bench):
    await bench.fail(FAILURES)
    assert [(event.seconds, event.error) for event in bench.events] == [(OPEN_SECONDS, "down")]
    await bench.call()
    assert bench.clock.waits == [OPEN_SECONDS]
    await bench.call()
    assert bench.clock.waits == [OPEN_SECONDS]


async def test_an_answer_in_between_begins_the_count_anew(bench):
    for _ in range(5):
        await bench.fail(FAILURES - 1)
        await bench.call()
    assert not bench.events
    assert not bench.clock.waits


@pytest.mark.parametrize(
    "error",
    [RateLimitedError("slow"), AuthError("key"), BadReplyError("empty"), ModelUnavailableError("409", status=409)],
)
async def test_a_provider_that_answers_is_not_down(bench, error):
    await bench.fail(3 * FAILURES, error)
    assert not bench.events


async def test_timeouts_count(bench):
    await bench.fail(FAILURES, ModelTimeoutError("late"))
    assert len(bench.events) == 1


async def test_each_probe_that_fails_doubles_the_pause_and_long_ones_are_not_waited_for(bench):
    await bench.fail(FAILURES)
    while bench.events[-1].seconds < LONGEST_OPEN:
        bench.clock.now += bench.events[-1].seconds
        await bench.fail()
    bench.clock.now += LONGEST_OPEN
    await bench.fail()
    assert [event.seconds for event in bench.events] == [5, 10, 20, 40, 60, 60]
    sent = bench.sent
    with pytest.raises(CircuitOpenError) as caught:
        await bench.call()
    assert bench.sent == sent
    assert not caught.value.request_sent
    assert not caught.value.retryable
    assert "the last: down" in caught.value.message
    assert "again in 60 s" in (caught.value.hint or "")
    assert "`fallback`" in (caught.value.hint or "")
    bench.clock.now += LONGEST_OPEN - PATIENCE
    await bench.call()
    assert bench.clock.waits == [PATIENCE]


async def test_with_a_fallback_nobody_waits(bench):
    await bench.fail(FAILURES)
    with pytest.raises(CircuitOpenError):
        await bench.call(profile=BACKED)
    assert not bench.clock.waits
    bench.clock.now += OPEN_SECONDS
    await bench.call(profile=BACKED)
    assert not bench.clock.waits


async def test_the_first_call_of_a_run_probes_at_once(bench):
    """A run that is resumed when the provider is back is not held up by what happened before."""
    await bench.fail(FAILURES)
    resumed = bench.new_run()
    await bench.call(run=resumed)
    await bench.call()
    assert not bench.clock.waits


async def test_one_call_probes_and_the_others_wait_for_it(bench):
    await bench.fail(FAILURES)
    bench.clock.now += OPEN_SECONDS
    gate, inside = asyncio.Event(), 0

    async def work() -> None:
        nonlocal inside
        async with bench.breaker.passage(Scope(bench.run), ALONE):
            inside += 1
            await gate.wait()

    tasks = [asyncio.create_task(work()) for _ in range(5)]
    for _ in range(20):
        await asyncio.sleep(0)
    assert inside == 1
    gate.set()
    await asyncio.gather(*tasks)
    assert inside == 5


async def test_a_probe_that_is_cancelled_leaves_its_place_to_another(bench):
    await bench.fail(FAILURES)
    bench.clock.now += OPEN_SECONDS

    async def work() -> None:
        async with bench.breaker.passage(Scope(bench.run), ALONE):
            await asyncio.Event().wait()

    probe = asyncio.create_task(work())
    await asyncio.sleep(0)
    probe.cancel()
    await asyncio.gather(probe, return_exceptions=True)
    await bench.call()
    assert not bench.clock.waits


@given(st.lists(st.sampled_from(["fail", "answer", "pass", "jump back"]), max_size=60))
async def test_whatever_happens_a_call_waits_a_little_or_fails(steps):
    bench = Bench()
    try:
        await bench.store.create_run("run", "crew", "goal", {})
        for step in steps:
            if step == "pass":
                bench.clock.now += 7
            elif step == "jump back":
                bench.clock.now -= 5000
            else:
                bench.clock.waits.clear()
                try:
                    await bench.call(ModelUnavailableError("down") if step == "fail" else None)
                except ModelUnavailableError:
                    pass
                assert sum(bench.clock.waits) <= PATIENCE
        bench.clock.waits.clear()
        await bench.call(run=bench.new_run())
        assert not bench.clock.waits
    finally:
        bench.store.close()


# -- with a real provider ------------------------------------------------------------------------------------------------


async def test_a_provider_that_is_down_is_asked_a_few_times_by_many_calls(monkeypatch):
    """Forty calls, three attempts each: without the breaker 120 requests."""
    no_waiting(monkeypatch)
    clock = Clock()
    monkeypatch.setattr(module, "Breaker", partial(Breaker, clock=lambda: clock.now, wait=clock.wait))
    ledger = Ledger("run")
    with Provider(Fault("status", 503)) as provider:
        async with world(provider.model, ledger) as here:
            for number in range(40):
                with pytest.raises(ModelUnavailableError):
                    await here.ask(at=str(number))
            assert len(provider.bodies) == ledger.calls <= FAILURES + 2
            assert [event.seconds for event in here.seen(CircuitOpened)] == [5, 10, 20]
            provider.script("back again")
            clock.now += 20
            assert (await here.ask()).text == "back again"
            assert (await here.ask(at="more")).text == "back again"


async def test_models_without_a_server_have_no_circuit(monkeypatch):
    no_waiting(monkeypatch)

    class Down:
        async def complete(self, request, on_delta=None):
            raise ModelUnavailableError("down")

    async with world(Down()) as here:
        for number in range(3 * FAILURES):
            with pytest.raises(ModelUnavailableError) as caught:
                await here.ask(at=str(number))
            assert type(caught.value) is ModelUnavailableError
        assert not here.seen(CircuitOpened)
