"""Processes that die at a chosen moment, cheaply: forked from one that has everything imported and has not begun to work.

```python
with Mortals() as mortals:
    mortals.work(folder, dies_after=17)  # None: it was killed right after the 17th transaction of its journal
    mortals.work(folder, resume=True)  # what the resumed run came to
```
"""

from __future__ import annotations

import gc
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import traceback
from contextlib import closing
from pathlib import Path
from typing import Any

from support.command import REPOSITORY, environment


class Mortals:
    """Starts processes that work the crew of `support.crash_crew`, each in a folder.

    Args:
        command: Put before the command that starts them, e.g. to give them a small disk.
        folder: Where their socket is; it must be there for us and for them.
    """

    def __init__(self, folder: Path, command: tuple[str, ...] = ()) -> None:
        self._address = str(folder / "mortals.sock")
        self._command = (*command, sys.executable, "-m", "support.crash", self._address)

    def __enter__(self) -> Mortals:
        env = environment(PYTHONPATH=f"{REPOSITORY / 'tests'}{os.pathsep}{REPOSITORY / 'src'}")
        self._process = subprocess.Popen(self._command, env=env, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"ready\n"
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def work(self, folder: Path, **job: Any) -> dict[str, Any] | None:
        """What a process came to; None when it was killed.

        Args:
            folder: The project's folder.
            **job: `resume`: go on with the last run. `dies_after`: kill it right after that many transactions of its journal.
                `dies_at`: kill it so many seconds after it has done so many things (lines of its bill). `free`: how many bytes
                the disk has left, None = all of it. `bill`: the file with the bill, None = in the folder. `seconds`, `budget`:
                as for `make_crew`.
        """
        with closing(socket.socket(socket.AF_UNIX)) as line:
            line.connect(self._address)
            line.sendall(json.dumps({"folder": str(folder), **job}).encode() + b"\n")
            answer = line.makefile("rb").read()
        outcome = json.loads(answer) if answer else None
        assert outcome is None or "broken" not in outcome, outcome["broken"]
        return outcome


# -- in the other process --------------------------------------------------------------------------------------------------


def _serve(address: str) -> None:
    """Fork a process for each job; a process that dies closes its line, which is all the news there is."""
    from crewmix.models.adapters.crewai_silence import load_crewai

    load_crewai()
    import crewmix.agents.crewai_turn
    import crewmix.chat.autogen_chat
    import crewmix.session  # noqa: F401
    import support.crash_crew  # noqa: F401

    gc.collect()
    gc.freeze()  # what is shared with the forked processes stays shared
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with closing(socket.socket(socket.AF_UNIX)) as door:
        door.bind(address)
        door.listen(64)
        print("ready", flush=True)
        while True:
            line, _ = door.accept()
            if os.fork() == 0:
                door.close()
                _work(line)
            line.close()


def _work(line: socket.socket) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        outcome = _outcome(**json.loads(line.makefile("rb").readline()))
    except BaseException:
        outcome = {"broken": traceback.format_exc()}
    line.sendall(json.dumps(outcome).encode())
    os._exit(0)


def _outcome(
    folder: str,
    resume: bool = False,
    dies_after: int | None = None,
    dies_at: tuple[int, float] | None = None,
    free: int | None = None,
    bill: str | None = None,
    seconds: float = 0.0,
    budget: dict[str, Any] | None = None,
) -> dict[str, Any]:
    from crewmix.errors import CrewmixError
    from crewmix.runs import find_run
    from support.crash_crew import Bill, make_crew, told, write_project

    place = Path(folder)
    (place.parent / "ballast").unlink(missing_ok=True)
    if not place.exists():
        write_project(place)
    if free is not None:
        _fill(place, free)
    transactions = _count_transactions(dies_after)
    if dies_at is not None:
        _die_at(*dies_at)
    crew, people = make_crew(place, bill=bill and Bill(Path(bill)), seconds=seconds, budget=budget)
    try:
        result = crew.resume(find_run(crew.project, "last"), **people) if resume else crew.run("Shall we?", **people)
    except CrewmixError as error:
        return {
            "error": error.as_dict(),
            "in_flight": _in_flight(crew.project.database),
            "transactions": transactions[0],
        }
    return {"told": told(result), "warnings": list(result.warnings), "transactions": transactions[0]}


def _fill(place: Path, free: int) -> None:
    """Fill the disk, which only this folder may use, up to so many bytes."""
    for other in place.parent.iterdir():
        if other != place:
            shutil.rmtree(other)
    disk = os.statvfs(place)
    with (place.parent / "ballast").open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, disk.f_bavail * disk.f_frsize - free)


def _in_flight(database: Path) -> dict[str, int]:
    """How many effects of each kind have begun and have no outcome."""
    with closing(sqlite3.connect(database)) as db:
        try:
            return dict(db.execute("select kind, count(*) from effects where response is null group by kind"))
        except sqlite3.OperationalError:
            return {}


def _count_transactions(dies_after: int | None) -> list[int]:
    """Count the journal's transactions from now on, and die right after one of them has been committed."""
    count = [0]
    connect = sqlite3.connect

    class Counted(sqlite3.Connection):
        def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
            done = super().execute(sql, *values)
            if sql == "commit":
                count[0] += 1
                if count[0] == dies_after:
                    _die()
            return done

    def counted(database: Any, *args: Any, **options: Any) -> sqlite3.Connection:
        if str(database).endswith("crewmix.db"):
            options["factory"] = Counted
        return connect(database, *args, **options)

    sqlite3.connect = counted  # pyright: ignore[reportAttributeAccessIssue]
    return count


def _die_at(things: int, seconds: float) -> None:
    """Die so many seconds after so many things were done."""
    from support.crash_crew import Bill

    done, note = [0], Bill.note

    def counted(bill: Bill, *words: object) -> None:
        note(bill, *words)
        done[0] += 1
        if done[0] == things:
            threading.Timer(seconds, _die).start()

    Bill.note = counted


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    _serve(sys.argv[1])
