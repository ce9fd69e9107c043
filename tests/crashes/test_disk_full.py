"""A journal that cannot be written ends the run with an error that says why; later it goes on as if nothing had happened."""

import shutil
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import closing, suppress
from pathlib import Path

import pytest

from crewmix.definitions.project import Project
from crewmix.errors import StorageError
from crewmix.journal import database
from crewmix.result import NOT_KEPT
from crewmix.runs import find_run, list_runs
from support.command import START, crewmix, environment
from support.crash import Mortals
from support.crash_crew import Bill, Words, make_crew, told, write_project

MEGABYTE = 1 << 20
DISK = 16 * MEGABYTE


@pytest.fixture
def whole(tmp_path):
    """What the run comes to when nothing is in its way, and how many calls it makes."""
    folder = write_project(tmp_path / "whole")
    crew, people = make_crew(folder)
    outcome = told(crew.run("Shall we?", **people))
    bill = Bill(folder / "bill.txt").count()
    return outcome, bill


def again(bill: Counter) -> Counter:
    return Counter(line.split()[0] for line, times in bill.items() for _ in range(times - 1))


# -- the disk --------------------------------------------------------------------------------------------------------------


def bubblewrap(*arguments: str) -> tuple[str, ...]:
    return ("bwrap", "--dev-bind", "/", "/", "--die-with-parent", *arguments)


def can_mount() -> bool:
    try:
        return subprocess.run(bubblewrap("--tmpfs", "/mnt", "true"), capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


MOUNTS = pytest.mark.skipif(not can_mount(), reason="no disk of a chosen size can be mounted here")


@MOUNTS
def test_a_disk_that_fills_up_at_any_stage_stops_the_run_and_space_lets_it_go_on(whole, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    stages = Counter()
    with Mortals(tmp_path, bubblewrap("--size", str(DISK), "--tmpfs", str(disk))) as mortals:
        needed = mortals.work(disk / "measured", bill=str(tmp_path / "measured"), free=DISK // 2)
        assert needed["told"] == whole[0]
        for n, free in enumerate(range(0, 4 * MEGABYTE, 4 * MEGABYTE // 20)):
            job = {"folder": disk / f"p{n}", "bill": str(tmp_path / f"bill{n}")}
            if n % 2:
                mortals.work(job["folder"], bill=str(tmp_path / "before"))  # so that the journal is there already
            outcome = mortals.work(**job, free=free)
            stages[stage(outcome)] += 1
            if stage(outcome) != "stopped":
                assert outcome["told"] == whole[0]
                continue
            assert outcome["error"]["code"] == "storage" and "space" in outcome["error"]["hint"], outcome["error"]
            resumed = mortals.work(**job, resume=True)
            if not in_journal(outcome, resumed):
                resumed = mortals.work(**job)
            assert resumed["told"] == whole[0]
            bill = Bill(tmp_path / f"bill{n}").count()
            assert set(bill) == set(whole[1])
            assert again(bill) <= Counter(outcome["in_flight"]), "what was answered and kept is not done again"
    print(f"\nthe disk filled up: {dict(stages)}")
    assert stages["stopped"] > 5 and stages["whole"] > 0


def stage(outcome: dict) -> str:
    if "error" in outcome:
        return "stopped"
    return "in memory" if any(NOT_KEPT in warning for warning in outcome["warnings"]) else "whole"


def in_journal(outcome: dict, resumed: dict) -> bool:
    """Whether the run was begun before the disk was full."""
    return resumed.get("error", {}).get("code") != "not_found"


@MOUNTS
def test_a_project_that_cannot_be_written_is_worked_in_memory_and_says_so(tmp_path):
    (tmp_path / "crewmix.yaml").write_text("")
    mount = bubblewrap("--ro-bind", str(tmp_path), str(tmp_path))
    command = [
        *mount,
        sys.executable,
        "-c",
        START,
        "run",
        "decide",
        "Tea or coffee?",
        "--quiet",
        "--project",
        str(tmp_path),
    ]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() and "Traceback" not in done.stderr
    assert not (tmp_path / ".crewmix").exists()


# -- another program -------------------------------------------------------------------------------------------------------


class Locking(Words):
    """Another program takes the journal while the model answers the n-th call."""

    def __init__(self, bill: Bill, journal: Path, call: int = 0) -> None:
        super().__init__(bill)
        self.journal, self.call, self.made = journal, call, 0
        self.other: sqlite3.Connection | None = None

    async def complete(self, request, on_delta=None):
        self.made += 1
        if self.made == self.call:
            self.other = sqlite3.connect(self.journal, isolation_level=None, check_same_thread=False)
            self.other.execute("begin exclusive")
        return await super().complete(request, on_delta)

    def release(self) -> None:
        if self.other is not None:
            self.other.close()


def test_a_journal_held_by_another_program_at_any_stage_stops_the_run_and_is_free_for_its_resume(
    whole, tmp_path, monkeypatch
):
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.05)
    calls = sum(line.startswith("model") for line in whole[1])
    repeated = Counter()
    for call in range(1, calls + 1, 3):
        folder = write_project(tmp_path / f"p{call}")
        bill = Bill(folder / "bill.txt")
        journal = folder / ".crewmix" / "crewmix.db"
        model = Locking(bill, journal, call)
        crew, people = make_crew(folder, model=model)
        with pytest.raises(StorageError, match="locked") as stopped:
            crew.run("Shall we?", **people)
        assert "another program holds the file" in str(stopped.value.hint)
        model.release()
        with closing(sqlite3.connect(crew.project.database)) as db:
            in_flight = Counter(
                dict(db.execute("select kind, count(*) from effects where response is null group by 1"))
            )
        crew, people = make_crew(folder, model=Locking(bill, journal))
        row = find_run(crew.project, "last")
        assert row.status == "interrupted", "nothing could be written any more"
        assert told(crew.resume(row, **people)) == whole[0]
        assert again(bill.count()) <= in_flight
        repeated += again(bill.count())
        with closing(sqlite3.connect(crew.project.database)) as db:
            numbers = [n for (n,) in db.execute("select seq from events order by seq")]
            assert numbers == list(range(1, len(numbers) + 1)), "no event is lost"
    print(f"\nheld by another program: done again {dict(repeated)}")


HURRIED = f"import crewmix.journal.database as database; database.BUSY_SECONDS = 0.1; {START}"


def test_the_command_says_who_is_in_the_way_and_ends_with_1(tmp_path):
    crewmix("run", "decide", "Tea or coffee?", "--quiet", cwd=tmp_path)
    with closing(sqlite3.connect(tmp_path / ".crewmix" / "crewmix.db", isolation_level=None)) as other:
        other.execute("begin immediate")
        command = [sys.executable, "-c", HURRIED, "run", "decide", "Tea or coffee?", "--quiet"]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=100, check=False
        )
    assert done.returncode == 1
    assert "another program holds the file" in done.stderr and "Traceback" not in done.stderr


# -- files that vanish -----------------------------------------------------------------------------------------------------


class Vandal(Words):
    """Does something to the journal while the model answers the tenth call."""

    def __init__(self, bill: Bill, act) -> None:
        super().__init__(bill)
        self.act, self.made = act, 0

    async def complete(self, request, on_delta=None):
        self.made += 1
        if self.made == 10:
            self.act()
        return await super().complete(request, on_delta)


def deleted(state: Path) -> None:
    shutil.rmtree(state)


def replaced(state: Path) -> None:
    other = state / "other.db"
    with closing(sqlite3.connect(other)) as db:
        db.execute("create table unrelated(x)")
    for end in ("-wal", "-shm"):
        with suppress(FileNotFoundError):
            (state / f"crewmix.db{end}").unlink()
    other.rename(state / "crewmix.db")


@pytest.mark.parametrize("act", [deleted, replaced])
def test_a_run_whose_journal_vanishes_gives_its_answer_and_says_that_it_is_not_kept(act, whole, tmp_path):
    folder = write_project(tmp_path / "p")
    state = folder / ".crewmix"
    crew, people = make_crew(folder, model=Vandal(Bill(folder / "bill.txt"), lambda: act(state)))
    result = crew.run("Shall we?", **people)
    assert told(result) == whole[0]
    assert [w for w in result.warnings if w.startswith(NOT_KEPT) and "deleted or replaced" in w]
    assert set(Bill(folder / "bill.txt").count().values()) == {1}
    crew, people = make_crew(folder)
    assert told(crew.run("Shall we?", **people)) == whole[0]
    assert [row.status for row in list_runs(Project(folder))] == ["done"], "the next run is kept"
