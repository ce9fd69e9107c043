"""Several processes and one run: one works it, the others are told so and pay nothing."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from crewmix import Crew, Role
from crewmix.definitions.project import Project
from crewmix.errors import FencedError
from crewmix.journal.lock import is_worked, lock_run, release_run
from crewmix.models.types import ModelReply
from crewmix.runs import find_run, list_runs
from support.command import crewmix
from support.crash import Mortals
from support.crash_crew import Bill, write_project
from support.gate import LONG, Gate
from support.provider import Provider
from support.trio import project, start

TRIES = 20


@pytest.fixture(scope="module")
def mortals(tmp_path_factory):
    with Mortals(tmp_path_factory.mktemp("mortals")) as started:
        yield started


def test_of_two_processes_that_resume_a_run_at_once_one_works_it_and_none_pays_twice(mortals, tmp_path):
    whole = mortals.work(write_project(tmp_path / "whole"))
    fenced = 0
    with ThreadPoolExecutor(2) as pool:
        for n in range(TRIES):
            folder = write_project(tmp_path / f"p{n}")
            assert mortals.work(folder, dies_after=whole["transactions"] // 2) is None
            with closing(sqlite3.connect(folder / ".crewmix" / "crewmix.db")) as db:
                unanswered = "select count(*) from effects where kind='model' and response is null"
                in_flight = db.execute(unanswered).fetchone()[0]
            both = [pool.submit(mortals.work, folder, resume=True) for _ in range(2)]
            outcomes = [one.result() for one in both]
            won = [o for o in outcomes if "told" in o]
            lost = [o["error"]["code"] for o in outcomes if "error" in o]
            assert won and all(o["told"] == whole["told"] for o in won)
            assert lost == ["fenced"] * (2 - len(won))
            fenced += len(lost)
            bill = Bill(folder / "bill.txt").count()
            again = [line for line, times in bill.items() if times > 1 and line.startswith("model")]
            assert len(again) <= in_flight, "only calls in flight at the kill are made again"
            assert all(bill[line] == 2 for line in again), "and by one of the two"
            with closing(sqlite3.connect(folder / ".crewmix" / "crewmix.db")) as db:
                assert db.execute("select status, epoch from runs").fetchall() == [("done", 1 + len(won))]
    print(f"\n{TRIES} tries: {fenced} processes were told that the other one works the run")


class Held:
    """A run of another process that waits for its model."""

    def __init__(self, folder: Path) -> None:
        self.gate = Gate(2)
        self.folder = folder

    def __enter__(self):
        self.provider = Provider(self.gate).start()
        project(self.folder, self.provider.url)
        self.child = start(self.folder, "run", "trio", "Why?")
        assert self.gate.reached.wait(60)
        return self

    def kill(self):
        self.child.kill()
        self.child.communicate()
        self.provider.wait_until(lambda p: p.in_flight == 0)

    def __exit__(self, *_):
        self.child.kill()
        self.child.communicate()
        self.provider.close()


def test_a_run_that_is_worked_or_stopped_cannot_be_resumed_until_its_process_is_gone(tmp_path):
    with Held(tmp_path / "p") as held:
        home = Project(held.folder)
        for stopped in (False, True):
            if stopped:
                os.kill(held.child.pid, signal.SIGSTOP)
            done = crewmix("resume", "last", cwd=held.folder, check=1)
            assert "is being worked by another process" in done.stderr and "end that process" in done.stderr
            assert "Traceback" not in done.stderr
            assert find_run(home, "last").status == "running"
        assert len(held.provider.bodies) == 2, "nobody else has asked anything"
        held.kill()
        assert find_run(home, "last").status == "interrupted"
        held.gate.open()
        crewmix("resume", "last", cwd=held.folder)
        assert held.provider.calls == 4


def test_a_lock_file_that_somebody_left_holds_nobody_up(tmp_path):
    with Held(tmp_path / "p") as held:
        held.kill()
        held.gate.open()
        locks = list((held.folder / ".crewmix" / "locks").iterdir())
        assert len(locks) == 1, "a killed process leaves its file"
        crewmix("resume", "last", cwd=held.folder)
        assert list((held.folder / ".crewmix" / "locks").iterdir()) == []


def test_where_the_lock_is_gone_the_older_process_is_fenced_off_and_pays_nothing_more(tmp_path):
    with Held(tmp_path / "p") as held:
        for lock in (held.folder / ".crewmix" / "locks").iterdir():
            lock.unlink()
        held.gate.open()
        crewmix("resume", "last", cwd=held.folder)
        asked = len(held.provider.bodies)
        events = seen_events(held.folder)
        held.gate.let_go()
        _, shown = held.child.communicate(timeout=60)
        assert held.child.returncode == 1
        assert "was taken over by another process" in shown and "Traceback" not in shown
        assert len(held.provider.bodies) == asked, "the older process has asked nothing more"
        assert find_run(Project(held.folder), "last").status == "done"
        assert seen_events(held.folder) == events, "what the newer process wrote is still there"


def seen_events(folder: Path) -> list:
    with closing(sqlite3.connect(folder / ".crewmix" / "crewmix.db")) as db:
        return db.execute("select * from events order by seq").fetchall()


def test_looking_at_runs_never_stands_in_the_way_of_resuming_them(tmp_path):
    class Silent:
        async def complete(self, request, on_delta=None):
            return ModelReply("fine")

    crew = Crew(roles=[Role(role="A", goal="g")], plan="none", models={"default": Silent()}, project=tmp_path)
    run_id = crew.run("Why?").run_id
    with closing(sqlite3.connect(crew.project.database)) as db:
        db.execute("update runs set status='running'")
        db.commit()
    over = threading.Event()

    def look():
        while not over.is_set():
            list_runs(crew.project)

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        for _ in range(100):
            release_run(lock_run(crew.project.state, run_id))
    finally:
        over.set()
        watcher.join(LONG)


def test_a_run_is_locked_once(tmp_path):
    lock = lock_run(tmp_path, "r")
    with pytest.raises(FencedError):
        lock_run(tmp_path, "r")
    assert is_worked(tmp_path, "r") and not is_worked(tmp_path, "other")
    release_run(lock)
    assert not is_worked(tmp_path, "r")
    script = "import sys; from pathlib import Path; from crewmix.journal.lock import lock_run; lock_run(Path(sys.argv[1]), 'r')"
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True)
    assert not is_worked(tmp_path, "r"), "a process that ended holds nothing"
