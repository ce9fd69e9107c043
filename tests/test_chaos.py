"""Crews against a provider that misbehaves by seed: every run ends, in order, within its budget, and can be taken up again."""

from __future__ import annotations

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from crewmix import Crew, Role, tool
from crewmix.definitions.project import Project
from crewmix.definitions.spec import ModelSpec
from crewmix.errors import BudgetExceededError, CrewmixError, RunError
from crewmix.journal.events import Event, MessageSpoken, RunStarted, TextDelta
from crewmix.models import breaker
from crewmix.result import RunResult
from crewmix.runs import find_run
from support.chaos import END, FAULT_TEXT, FAULTS, GOOD, Chaos
from support.model_world import no_waiting

ATTEMPTS = 3
PRICE = (Decimal(2), Decimal(10))
AT_ONCE = 32
"""Runs side by side: they mostly wait."""


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    no_waiting(monkeypatch)
    monkeypatch.setattr(breaker, "OPEN_SECONDS", 0.05)


@tool
def population(city: str) -> int:
    """Inhabitants of a city.

    Args:
        city: Its name.
    """
    return 520_774


def members(*names: str, **more: Any) -> list[Role]:
    return [Role(name=name, role=name, goal=f"Answer as {name}.", **more) for name in names]


CREWS: dict[str, dict[str, Any]] = {
    "direct": {"roles": members("ann", "bob")},
    "tools": {"roles": members("ann", tools=("population",)), "tools": [population]},
    "selector": {"roles": members("ann", "bob"), "chat": {"pattern": "selector", "max_turns": 3}},
    "layers": {"roles": members("ann", "bob", "cem"), "chat": {"pattern": "layers", "layers": 3}},
    "vote": {
        "roles": members("ann", "bob", "cem"),
        "chat": {"pattern": "vote"},
        "synthesis": {"method": "majority"},
    },
    "debate": {
        "roles": members("ann", "bob"),
        "chat": {"pattern": "debate", "rounds": 2},
        "synthesis": {"method": "judge"},
    },
}


def crew(name: str, provider: Chaos, folder: Path, timeout: float = 3, **more: Any) -> Crew:
    model = ModelSpec(
        model=provider.model, attempts=ATTEMPTS, timeout=timeout, price=PRICE, json_schema=True, max_output_tokens=300
    )
    return Crew(plan="none", models={"default": model}, project=folder, **{**CREWS[name], **more})


@dataclass
class Course:
    """How one run went."""

    result: RunResult | None
    error: CrewmixError | None
    run_id: str
    shown: list[Event]

    @property
    def texts(self) -> list[str]:
        """All that a reader takes for the words of a role or the answer."""
        said = [event.text for event in self.shown if isinstance(event, MessageSpoken)]
        if self.result is None:
            return said
        told = [*self.result.messages, *self.result.drafts]
        return [*said, self.result.output, *self.result.dissent, *(message.text for message in told)]


def go(work: Any, **options: Any) -> Course:
    """Run or resume, and keep what was seen."""
    shown: list[Event] = []
    result = error = None
    try:
        result = work(on_event=shown.append, **options)
    except (RunError, BudgetExceededError) as stopped:
        error = stopped
    run_id = next(event.run_id for event in shown if isinstance(event, RunStarted))
    return Course(result, error, run_id, shown)


def no_fault_is_told_as_an_answer(course: Course) -> None:
    for text in course.texts:
        assert FAULT_TEXT not in text
        assert text.count(GOOD) == text.count(END), f"a part of an answer was taken for the whole: {text!r}"


@contextmanager
def many(names: list[str], seeds: range) -> Iterator[Any]:
    """Try every crew with every seed, many at once."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield lambda trial: list(pool.map(lambda pair: trial(*pair), [(n, s) for s in seeds for n in names]))


@pytest.mark.parametrize(
    "names", [["direct", "selector", "layers", "vote", "debate"], ["tools"]], ids=["thinking", "tools"]
)
def test_every_run_ends_and_goes_on_when_the_provider_behaves_again(names: list[str], tmp_path: Path) -> None:
    met = set()

    def trial(name: str, seed: int) -> None:
        with Chaos(seed, share=random.Random(seed).choice([0.1, 0.3, 0.6]), lies=0.2) as provider:
            team = crew(name, provider, tmp_path)
            worst = team.estimate("Why?").worst.calls
            course = go(lambda **o: team.run("Why?", **o), deltas=seed % 2 == 0)
            no_fault_is_told_as_an_answer(course)
            assert len(provider.bodies) <= ATTEMPTS * worst
            met.update(provider.met)
            row = find_run(Project(tmp_path), course.run_id)
            assert row.status == ("failed" if course.result is None else course.result.status)
            provider.behaves = True
            if row.status != "done":
                course = go(lambda **o: crew(name, provider, tmp_path).resume(row, **o), deltas=seed % 2 == 1)
                assert course.result is not None, course.error
                assert course.result.status == "done", course.result.warnings
                assert course.result.output
                no_fault_is_told_as_an_answer(course)
            assert max(provider.good.values()) == 1, "an answered call was made again"

    with many(names, range(60 if len(names) > 1 else 12)) as attempt:
        attempt(trial)
    if len(names) > 1:
        assert met == set(FAULTS)


def test_no_budget_is_overrun_by_what_the_provider_counts(tmp_path: Path) -> None:
    stopped = []

    def trial(name: str, seed: int) -> None:
        draw = random.Random(seed)
        limits = {"calls": draw.randint(1, 12), "tokens": draw.randint(300, 6000), "usd": draw.randint(1, 200) / 10_000}
        limit = draw.choice(list(limits))
        with Chaos(seed, share=0.4) as provider:
            course = go(lambda **o: crew(name, provider, tmp_path, budget={limit: limits[limit]}).run("Why?", **o))
            spent = {
                "calls": len(provider.bodies),
                "tokens": provider.tokens,
                "usd": provider.cost(*PRICE),
            }
            assert spent[limit] <= limits[limit], (limit, spent, limits)
            no_fault_is_told_as_an_answer(course)
            stopped.append(
                isinstance(course.error, BudgetExceededError) or bool(course.result and course.result.stopped_by)
            )

    with many([name for name in CREWS if name != "tools"], range(30)) as attempt:
        attempt(trial)
    assert 10 < sum(stopped) < len(stopped) - 10, "the budgets tried are all too small or all too large"


def test_a_lasting_fault_ends_in_a_typed_error_after_the_allowed_attempts(tmp_path: Path) -> None:
    def trial(fault: str, name: str, deltas: bool) -> None:
        with Chaos(1, share=1.0, faults=(fault,)) as provider:
            course = go(lambda **o: crew(name, provider, tmp_path, timeout=0.7).run("Why?", **o), deltas=deltas)
            assert course.result is None, fault
            assert isinstance(course.error, RunError), fault
            assert "[model_" in course.error.message, (fault, "the error names its cause")
            assert max(provider.asked.values()) <= ATTEMPTS, fault
            assert not [text for text in course.texts if text.strip()], fault

    lasting = [fault for fault in FAULTS if fault not in {"slow", "no_usage", "wrong_type"}]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        trials = [(fault, name, deltas) for fault in lasting for name in ("direct", "vote") for deltas in (False, True)]
        list(pool.map(lambda each: trial(*each), trials))


def test_text_of_a_broken_stream_is_void(tmp_path: Path) -> None:
    with Chaos(3, share=0.5, faults=("cut", "error_object", "hang")) as provider:
        course = go(lambda **o: crew("direct", provider, tmp_path).run("Why?", **o), deltas=True)
        assert any(isinstance(event, TextDelta) for event in course.shown)
        no_fault_is_told_as_an_answer(course)
