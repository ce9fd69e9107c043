"""Thousands of random schedules: whatever is cut off, repeated, refused or killed, no more is billed than was allowed."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass, field
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from crewmix.definitions.spec import BudgetSpec
from crewmix.errors import BudgetExceededError, CrewmixError, ModelTimeoutError, ModelUnavailableError, RateLimitedError
from crewmix.journal.budget import Amount, Ledger, Limits
from crewmix.journal.events import CallShortened
from crewmix.journal.redact import Redactor
from crewmix.journal.run import Run
from crewmix.journal.scope import Scope
from crewmix.journal.shared import Budget, limits_of
from crewmix.journal.store import SqliteStore
from crewmix.ledgers import open_ledger
from crewmix.models import attempt, prices, tokens
from crewmix.models.breaker import Breaker
from crewmix.models.gateway import Gateway
from crewmix.models.profile import Profile
from crewmix.models.types import ChatMessage, ModelReply, ModelRequest, Usage
from support.virtual_time import VirtualLoop

SCHEDULES, PARTS = 10_000, 4
PRICE = (Decimal(2), Decimal(10))
SEEN = Counter[str]()
"""What happened in all schedules of a part: a property that nothing ever happens to would hold as well."""


class Dice:
    """Decisions read from random bytes; when these are used up, every decision is the first."""

    def __init__(self, data: bytes) -> None:
        self._data = iter(data)

    def below(self, count: int) -> int:
        return next(self._data, 0) % count

    def of(self, choices: Sequence):
        return choices[self.below(len(choices))]


class Memory(SqliteStore):
    """A journal that writes at once, until its process is killed at one of its writes."""

    def __init__(self) -> None:
        super().__init__(None)
        self.dies_in = -1
        self.died = asyncio.Event()

    @property
    def dead(self) -> bool:
        return self.dies_in == 0

    def submit(self, job):
        done: Future = Future()
        if self.dead:
            done.set_result(None)
            return done
        try:
            done.set_result(job(self._db))
        except CrewmixError as error:
            done.set_exception(error)
        self.dies_in -= 1
        if self.dead:
            self.died.set()
        return done

    async def write(self, job):
        done = self.submit(job)
        await asyncio.sleep(0)
        return done.result()


class Trusting(Redactor):
    """There are no secrets here, and looking for them would take most of the time."""

    def __init__(self):
        pass

    def text(self, text):
        return text

    def data(self, value):
        return value


@dataclass(frozen=True)
class Bill:
    """What the provider bills for one request, and who asked."""

    process: int
    run: str
    task: bool
    role: str
    merging: bool
    amount: Amount


@dataclass
class Bank:
    """The provider: it bills what it begins to work on, whatever becomes of its answer."""

    dice: Dice
    profile: Profile = field(init=False)
    store: Memory = field(init=False)
    process: int = 0
    bills: list[Bill] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.profile = Profile(
            "default", "test/m", "test", "m", base_url="http://test.invalid/v1", price=PRICE, attempts=3, driver=self
        )

    async def complete(self, request: ModelRequest, on_delta=None) -> ModelReply:
        if self.store.dead:
            await asyncio.Event().wait()
        outcome = self.dice.of(
            ("fine", "fine", "silent", "long", "cut", "empty", "limited", "down", "lost", "late", "unsent")
        )
        limit = request.max_output_tokens or 0
        said = {"fine": min(limit, 40), "silent": min(limit, 40), "empty": 3}.get(outcome, limit)
        used = Usage(tokens.most_input(request) // (1 + self.dice.below(3)), said)
        billed = outcome not in {"limited", "down", "unsent"}
        self._bill(request, used if billed else Usage())
        await asyncio.sleep(self.dice.of((0, 1, 3, 30)))
        SEEN[outcome] += 1
        failures = {
            "limited": RateLimitedError("slow down", status=429, retry_after=2.0),
            "down": ModelUnavailableError("down", status=503),
            "lost": ModelUnavailableError("the connection broke"),
            "late": ModelTimeoutError("nothing came"),
            "unsent": ModelUnavailableError("refused", request_sent=False),
        }
        if outcome in failures:
            raise failures[outcome]
        text = "" if outcome == "empty" else "7" * said  # a digit is a token at most
        reason = "length" if outcome in {"long", "cut"} else "stop"
        text = "" if outcome == "cut" else text
        return ModelReply(text, finish_reason=reason, usage=Usage(estimated=True) if outcome == "silent" else used)

    def _bill(self, request: ModelRequest, used: Usage) -> None:
        run, task, role, merging = request.messages[0].content.split("|")[:4]
        usd = prices.cost(self.profile, used)
        amount = Amount(1, used.total_tokens, usd)
        self.bills.append(Bill(self.process, run, task == "task", role, merging == "merging", amount))


@dataclass(frozen=True)
class Call:
    """One call of the schedule, the same in every process that works it."""

    name: str
    task: bool
    role: str
    merging: bool
    size: int
    output: int
    start: float
    cancelled: float | None


def a_call(dice: Dice, number: int) -> Call:
    return Call(
        name=f"call.{number}",
        task=dice.below(2) == 1,
        role=dice.of(("", "ann")),
        merging=dice.below(4) == 3,
        size=dice.of((1, 40, 300)),
        output=dice.of((20, 300, 900)),
        start=dice.of((0, 0, 1, 5)),
        cancelled=dice.of((None, None, None, None, 0, 2)),
    )


def a_budget(dice: Dice, scale: int) -> BudgetSpec:
    """A budget of any size from nothing to plenty; most have one limit, so that the others are not reached in vain."""
    limit = dice.below(8)
    return BudgetSpec(
        calls=dice.of((0, 1, 2, 3, 5, 9)) * scale if limit in {0, 3} else None,
        tokens=dice.of((0, 1, 600, 1100, 2500, 6000)) * scale if limit in {1, 3} else None,
        usd=dice.of((Decimal(0), Decimal("0.001"), Decimal("0.01"), Decimal("0.03"))) * scale if limit == 2 else None,
        keep_for_synthesis=dice.of((0, 0.2, 0.5)),
    )


def total(bills: Sequence[Bill]) -> Amount:
    return sum((bill.amount for bill in bills), Amount())


def within(bills: Sequence[Bill], limits: Limits, *, kept: float = 0) -> bool:
    """Whether what was billed keeps to the limits, and what is no synthesis to those without the share that is kept."""

    def fits(spent: Amount, allowed: Limits) -> bool:
        return all(
            size is None or used is None or used <= size
            for used, size in zip(
                (spent.calls, spent.tokens, spent.usd), (allowed.calls, allowed.tokens, allowed.usd), strict=True
            )
        )

    before = [bill for bill in bills if not bill.merging]
    return fits(total(bills), limits) and fits(total(before), limits.without(kept))


class Schedule:
    """Calls of two runs under nested budgets, worked by processes that are killed until one gets to the end."""

    def __init__(self, store: Memory, number: int, data: bytes) -> None:
        dice = Dice(data)
        self.store, self.dice = store, dice
        self.bank = Bank(dice)
        self.bank.store = store
        self.runs = [f"{number}.{n}" for n in range(dice.of((1, 1, 1, 2)))]
        self.run_budget, self.task_budget, self.purse = (a_budget(dice, scale) for scale in (2, 1, 1))
        self.shared_budget = a_budget(dice, 2)
        self.calls = [a_call(dice, n) for n in range(1 + dice.below(4))]
        self.kills = [dice.of((3, 7, 12, 30)) for _ in range(dice.of((0, 0, 0, 1, 1, 2)))]

    async def work(self) -> None:
        for run in self.runs:
            await self.store.create_run(run, "crew", "goal", {})
        for kill in (*self.kills, -1):
            self.store.dies_in, self.store.died = kill, asyncio.Event()
            await self._process(first=self.bank.process == 0)
            SEEN["processes killed"] += self.store.dead
            self.bank.process += 1
            self.store.dies_in = -1
        self._check()

    async def _process(self, *, first: bool) -> None:
        spec = self.shared_budget
        shared = Budget(
            **{k: v for k, v in spec.model_dump().items() if k in {"usd", "calls", "tokens", "keep_for_synthesis"}}
        )
        gateway = Gateway({"default": self.bank.profile})
        with ExitStack() as closing:
            epochs = [1 if first else await self.store.claim(run) for run in self.runs]
            runs = [Run(run, self.store, epoch, Trusting()) for run, epoch in zip(self.runs, epochs, strict=True)]
            scopes = [self._root(run, closing.enter_context(shared.charged(run))) for run in runs]
            work = [asyncio.create_task(self._call(gateway, s, c)) for s in scopes for c in self.calls]
            everything = asyncio.gather(*work, return_exceptions=True)
            death = asyncio.ensure_future(self.store.died.wait())
            await asyncio.wait({everything, death}, return_when=asyncio.FIRST_COMPLETED)
            for task in work:
                task.cancel()
            outcomes = await everything
            death.cancel()
            self.errors = [o for o in outcomes if isinstance(o, BaseException)]
            unexpected = [o for o in self.errors if not isinstance(o, CrewmixError | asyncio.CancelledError)]
            assert not unexpected, unexpected
            SEEN["calls refused"] += sum(isinstance(o, BudgetExceededError) for o in self.errors)
            for ledger in {ledger for scope in scopes for ledger in (*scope.ledgers, *scope.purses.values())}:
                assert ledger.reserved == Amount()

    def _root(self, run: Run, shared: Ledger) -> Scope:
        def note(event: object) -> None:
            SEEN["calls shortened"] += isinstance(event, CallShortened)

        run.listen(note)
        own = open_ledger("run", self.run_budget, run, "", keep=True)
        purse = open_ledger("role ann", self.purse, run, "")
        return Scope(run).charged_to(shared).charged_to(own).with_purses({"ann": purse})

    async def _call(self, gateway: Gateway, root: Scope, call: Call) -> ModelReply:
        place = root
        if call.task:
            place = root.at("task")
            place = place.charged_to(self._task_ledger(root.run))
        place = place.at(call.name, role=call.role)
        place = place.merging() if call.merging else place
        tag = f"{root.run.run_id}|{'task' if call.task else ''}|{call.role}|{'merging' if call.merging else ''}|"
        request = ModelRequest(
            "default", (ChatMessage("user", tag + "word " * call.size),), max_output_tokens=call.output
        )
        await asyncio.sleep(call.start)
        work = asyncio.ensure_future(gateway.complete(place, request))
        try:
            done, _ = await asyncio.wait({work}, timeout=call.cancelled)
        finally:
            work.cancel()
        SEEN["calls cancelled"] += not done
        return await work

    def _task_ledger(self, run: Run) -> Ledger:
        if run not in self._tasks:
            self._tasks[run] = open_ledger("task", self.task_budget, run, "task", keep=True)
        return self._tasks[run]

    @property
    def _tasks(self) -> dict[Run, Ledger]:
        return self.__dict__.setdefault("tasks", {})

    def _check(self) -> None:
        bills = self.bank.bills
        SEEN["requests"] += len(bills)
        for process in range(self.bank.process):
            own = [bill for bill in bills if bill.process == process]
            assert within(own, limits_of(self.shared_budget), kept=self.shared_budget.keep_for_synthesis)
        for run in self.runs:
            mine = [bill for bill in bills if bill.run == run]
            assert within(mine, limits_of(self.run_budget), kept=self.run_budget.keep_for_synthesis)
            task = [bill for bill in mine if bill.task]
            assert within(task, limits_of(self.task_budget), kept=self.task_budget.keep_for_synthesis)
            assert within([bill for bill in mine if bill.role == "ann"], limits_of(self.purse))


@pytest.fixture
def store():
    memory = Memory()
    yield memory
    memory.close()


@pytest.mark.parametrize("part", range(PARTS))
def test_no_schedule_overshoots_a_budget(part, store, monkeypatch, capsys):
    """Parallel calls, retries, lost answers, cancellations, kills and resumes, shorter answers, shares, budgets in budgets."""
    number = 0
    SEEN.clear()

    @settings(
        max_examples=SCHEDULES // PARTS,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(st.binary(min_size=40, max_size=120))
    def overshoots_nothing(data: bytes) -> None:
        nonlocal number
        number += 1
        loop = VirtualLoop()
        try:
            breaker = Breaker(clock=loop.time)
            monkeypatch.setattr(attempt, "breaker", lambda profile: breaker)
            loop.run_until_complete(Schedule(store, number, data).work())
        finally:
            loop.close()

    overshoots_nothing()
    with capsys.disabled():
        print(
            f"\npart {part + 1}: {number} schedules, 0 overshoots: "
            + ", ".join(f"{n} {what}" for what, n in sorted(SEEN.items()))
        )
    assert number >= SCHEDULES // PARTS
    assert all(SEEN[what] > 100 for what in ("calls refused", "calls shortened", "calls cancelled", "processes killed"))
