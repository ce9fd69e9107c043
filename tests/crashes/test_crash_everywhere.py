"""A run killed at any moment, also while it is resumed, goes on to the very end it would have had, and pays nothing twice."""

import random
import shutil
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from support.crash import Mortals
from support.crash_crew import Bill, write_project

MOMENTS = 200
pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def mortals(tmp_path_factory):
    with Mortals(tmp_path_factory.mktemp("mortals")) as started:
        yield started


@pytest.fixture(scope="module")
def whole(mortals, tmp_path_factory):
    """What the run comes to when nobody kills it."""
    folder = write_project(tmp_path_factory.mktemp("whole") / "p")
    outcome = mortals.work(folder)
    assert outcome is not None and "told" in outcome, outcome
    bill = Bill(folder / "bill.txt").count()
    assert set(bill.values()) == {1}, "no two requests are equal"
    assert sum(bill.values()) >= 60
    assert {line.split()[0] for line in bill} == {"model", "tool", "human", "approval"}
    return {**outcome, "bill": bill}


def journal(folder: Path) -> sqlite3.Connection:
    """The journal as a reader finds it, which leaves the files as they are."""
    copy = folder / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(folder / ".crewmix", copy)
    return sqlite3.connect(copy / "crewmix.db")


def in_flight(folder: Path) -> Counter:
    """How many effects of each kind have begun and have no outcome."""
    if not (folder / ".crewmix" / "crewmix.db").exists():
        return Counter()
    db = journal(folder)
    try:
        return Counter(dict(db.execute("select kind, count(*) from effects where response is null group by kind")))
    except sqlite3.OperationalError as error:
        assert "no such table" in str(error)
        return Counter()
    finally:
        db.close()


def answered(folder: Path) -> Counter:
    """How many effects of each kind have an outcome."""
    db = journal(folder)
    try:
        return Counter(dict(db.execute("select kind, count(*) from effects where response is not null group by kind")))
    except sqlite3.OperationalError as error:
        assert "no such table" in str(error)
        return Counter()
    finally:
        db.close()


class Deaths:
    """Runs that are killed and resumed, each in a folder of its own; keeps what it saw."""

    def __init__(self, mortals, whole, folder) -> None:
        self.mortals, self.whole, self.folder = mortals, whole, folder
        self.kills = 0
        self.repeats = Counter()
        self.started = time.monotonic()

    def all(self, deaths: Iterable[Callable[[], None]]) -> None:
        """Let all of them happen, two at a time."""
        with ThreadPoolExecutor(2) as pool:
            for over in [pool.submit(death) for death in deaths]:
                over.result()

    def show(self, what: str) -> None:
        seconds = time.monotonic() - self.started
        print(f"\n{what}: {self.kills} kills, done again: {dict(self.repeats)}, {seconds:.0f} s")

    def die(self, name: str, *ways: dict, lose: Callable[[Path], Counter] | None = None, **job) -> None:
        """Start a run, kill it in the first of these ways, kill the resumed one in the next, and let the last one end.

        Args:
            name: The folder's name.
            ways: How it is killed; see `Mortals.work`.
            lose: Damages the journal of a killed run as a power failure does, and says how much was lost of each kind.
            job: For all of them.
        """
        folder = write_project(self.folder / name)
        allowed = Counter()
        for number, way in enumerate((*ways, {})):
            outcome = self.work(folder, resume=number > 0, **way, **job)
            if outcome is not None:
                break
            self.kills += 1
            allowed += in_flight(folder)
            allowed += lose(folder) if lose else Counter()
        self.check(folder, outcome, allowed)
        shutil.rmtree(folder)

    def work(self, folder: Path, **job) -> dict | None:
        outcome = self.mortals.work(folder, **job)
        if outcome is not None and outcome.get("error", {}).get("code") == "not_found":
            # It died before the journal knew it.
            return self.mortals.work(folder, **{**job, "resume": False})
        return outcome

    def check(self, folder: Path, outcome: dict, allowed: Counter) -> None:
        """The run ended as the whole one, and did nothing again but what was in flight."""
        assert outcome.get("told") == self.whole["told"]
        bill = Bill(folder / "bill.txt").count()
        assert set(bill) == set(self.whole["bill"])
        again = Counter(line.split()[0] for line, times in bill.items() for _ in range(times - 1))
        assert again <= allowed, f"done again: {again}, allowed: {allowed}"
        self.repeats += again
        db = journal(folder)
        assert db.execute("select distinct status from runs where status != 'running'").fetchall() == [("done",)]
        assert db.execute("select count(*) from effects where response is null").fetchone() == (0,)
        numbers = [seq for (seq,) in db.execute("select seq from events order by seq")]
        assert numbers == list(range(1, len(numbers) + 1)), "no event is lost, none is numbered twice"
        db.close()


def moment(draw: random.Random, most: int) -> dict:
    """Any moment around one of the first things that the run does."""
    return {"dies_at": (draw.randint(1, most), draw.uniform(0, 0.01))}


@pytest.fixture
def deaths(mortals, whole, tmp_path):
    return Deaths(mortals, whole, tmp_path)


def test_a_run_killed_after_every_single_transaction_ends_as_if_nothing_had_happened(deaths, whole):
    last = whole["transactions"]
    deaths.all(partial(deaths.die, f"p{n}", {"dies_after": n}) for n in range(1, last + 1))
    deaths.show(f"after each of {last} transactions")
    assert deaths.kills > 0.8 * last


def test_a_run_killed_at_any_moment_and_its_resume_killed_too_ends_as_if_nothing_had_happened(deaths):
    draw = random.Random(4)
    ways = [[moment(draw, 100)] + [moment(draw, 20)] * (n % 4 == 0) for n in range(MOMENTS)]
    deaths.all(partial(deaths.die, f"p{n}", *way, seconds=0.004) for n, way in enumerate(ways))
    deaths.show("at random moments")
    assert deaths.kills > 0.8 * MOMENTS
    assert deaths.repeats["model"] > 10, "calls were in flight"


def test_a_power_failure_that_takes_the_last_transactions_costs_no_more_than_what_they_held(deaths, whole):
    draw = random.Random(9)
    lost = []

    def lose(folder: Path) -> Counter:
        """Cut the write-ahead log anywhere, or leave a hole in it, as a disk may that has not written everything."""
        wal = folder / ".crewmix" / "crewmix.db-wal"
        before = answered(folder)
        content = bytearray(wal.read_bytes())
        place = draw.randrange(len(content))
        if draw.random() < 0.5:
            del content[place:]
        else:
            content[place : place + 4096] = bytes(len(content[place : place + 4096]))
        wal.write_bytes(content)
        lost.append(before - answered(folder))
        return lost[-1]

    points = draw.sample(range(5, whole["transactions"] - 5), 30)
    deaths.all(partial(deaths.die, f"p{n}", {"dies_after": n}, lose=lose) for n in points)
    deaths.show("power failures")
    assert sum(map(bool, lost)) > 10, "answers were lost"


def test_a_killed_run_counts_the_call_in_flight_so_its_budget_holds(deaths, whole):
    calls = sum(line.startswith("model") for line in whole["bill"])
    draw = random.Random(2)
    spent = []

    def die(number: int) -> None:
        folder = write_project(deaths.folder / f"p{number}")
        budget = {"calls": calls, "keep_for_synthesis": 0}
        ways = [moment(draw, 90), moment(draw, 20), {}]
        for lives, way in enumerate(ways):
            outcome = deaths.work(folder, resume=lives > 0, budget=budget, seconds=0.01, **way)
            if outcome is not None:
                break
            deaths.kills += 1
        bill = Bill(folder / "bill.txt").count()
        made = sum(times for line, times in bill.items() if line.startswith("model"))
        deaths.repeats["model"] += sum(t - 1 for line, t in bill.items() if line.startswith("model"))
        assert made <= calls, "the provider counts more calls than were allowed"
        spent.append((made, outcome["told"]["status"] if "told" in outcome else outcome["error"]["code"]))
        whole_again = "told" in outcome and outcome["told"] == whole["told"]
        assert whole_again or made == calls or outcome["told"]["status"] == "partial"

    deaths.all(partial(die, n) for n in range(30))
    deaths.show(f"with a budget of {calls} calls")
    print(Counter(spent))
    assert deaths.repeats["model"] > 5
