"""Where journals are kept: one SQLite file, `.crewmix/crewmix.db`.

All writes go through one thread, which commits whatever has queued up as one transaction. A caller that must know that its
write is on disk awaits it; events are only queued, in order. `synchronous=NORMAL` with WAL survives the death of the
process; power loss may lose the last commits, which are then paid again but never corrupt.
"""

from __future__ import annotations

import asyncio
import json
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crewmix.errors import FencedError, NotFoundError, StorageError

SCHEMA_VERSION = 1

_SCHEMA = """
create table if not exists runs(
    run_id text primary key, crew text not null, goal text not null, definition text not null, status text not null,
    epoch integer not null default 0, created real not null, updated real not null,
    result text, error text);
create table if not exists effects(
    run_id text not null, scope text not null, kind text not null, key text not null, occurrence integer not null,
    epoch integer not null, request text not null, response text, started real not null, finished real,
    primary key(run_id, scope, kind, key, occurrence)) without rowid;
create table if not exists events(
    run_id text not null, seq integer not null, event text not null, primary key(run_id, seq)) without rowid;
create index if not exists runs_by_time on runs(created desc);
"""


@dataclass(frozen=True, slots=True)
class EffectKey:
    """What identifies an effect within a run."""

    scope: str
    kind: str
    key: str
    occurrence: int


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run as the store knows it. `definition` and `result` are JSON-able data."""

    run_id: str
    crew: str
    goal: str
    definition: dict[str, Any]
    status: str
    epoch: int
    created: float
    updated: float
    result: dict[str, Any] | None
    error: str | None


_RUN_COLUMNS = "run_id, crew, goal, definition, status, epoch, created, updated, result, error"
_STOP = object()


class SqliteStore:
    """Runs, effects and events in one SQLite file.

    Args:
        path: The database file; its folder is created. None keeps everything in memory.

    Raises:
        StorageError: The file cannot be opened or is no crewmix database.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._lock = threading.Lock()
        try:
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path or ":memory:", timeout=30, check_same_thread=False, isolation_level=None)
            self._db.execute("pragma journal_mode=wal")
            self._db.execute("pragma synchronous=normal")
            self._db.executescript(_SCHEMA)
            version = self._db.execute("pragma user_version").fetchone()[0]
            if version not in (0, SCHEMA_VERSION):
                raise StorageError(
                    f"{path} was written by another version of crewmix (schema {version})",
                    hint="upgrade crewmix, or move the file away",
                )
            self._db.execute(f"pragma user_version={SCHEMA_VERSION}")
        except (OSError, sqlite3.Error) as error:
            raise StorageError(f"the journal {path} cannot be opened: {error}") from error
        self._thread = threading.Thread(target=self._write_forever, name="crewmix-journal", daemon=True)
        self._thread.start()

    # -- writing ---------------------------------------------------------------------------------------------------

    def _write_forever(self) -> None:
        while True:
            batch = [self._queue.get()]
            while not self._queue.empty() and len(batch) < 500:
                batch.append(self._queue.get())
            stop = _STOP in batch
            self._commit([job for job in batch if job is not _STOP])
            if stop:
                return

    def _commit(self, batch: list[tuple[Callable[[], Any], Future[Any]]]) -> None:
        with self._lock:
            outcomes: list[tuple[Future[Any], Any, BaseException | None]] = []
            try:
                self._db.execute("begin immediate")
                for job, future in batch:
                    try:
                        outcomes.append((future, job(), None))
                    except FencedError as error:
                        outcomes.append((future, None, error))
                    except UnicodeError as error:
                        failure = StorageError(f"the journal cannot hold a text that is no valid Unicode: {error}")
                        outcomes.append((future, None, failure))
                self._db.execute("commit")
            except sqlite3.Error as error:
                if self._db.in_transaction:
                    self._db.execute("rollback")
                failure = StorageError(f"the journal {self.path} cannot be written: {error}", hint=_disk_hint(error))
                outcomes = [(future, None, failure) for _, future in batch]
        for future, value, error in outcomes:
            if not future.set_running_or_notify_cancel():
                continue
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(value)

    def _submit(self, job: Callable[[], Any]) -> Future[Any]:
        future: Future[Any] = Future()
        self._queue.put((job, future))
        return future

    async def _write(self, job: Callable[[], Any]) -> Any:
        # Shielded: a write that was handed over happens, also when the caller is cancelled meanwhile.
        return await asyncio.shield(asyncio.wrap_future(self._submit(job)))

    async def create_run(self, run_id: str, crew: str, goal: str, definition: dict[str, Any]) -> None:
        """Register a new run with status `running` and epoch 1."""
        now = time.time()
        row = (run_id, crew, goal, json.dumps(definition, ensure_ascii=False), now, now)
        await self._write(
            lambda: self._db.execute(
                "insert into runs(run_id, crew, goal, definition, status, epoch, created, updated)"
                " values(?,?,?,?,'running',1,?,?)",
                row,
            )
        )

    async def claim(self, run_id: str, forget: Collection[str] = ()) -> int:
        """Take a run over under a new epoch, which fences off an older owner.

        Args:
            run_id: The run.
            forget: Kinds of effects to drop, so that they are performed anew.

        Returns:
            The new epoch.
        """

        def job() -> int:
            for kind in forget:
                self._db.execute("delete from effects where run_id=? and kind=?", (run_id, kind))
            changed = self._db.execute(
                "update runs set epoch=epoch+1, status='running', error=null, updated=? where run_id=? returning epoch",
                (time.time(), run_id),
            ).fetchone()
            return int(changed[0])

        return await self._write(job)

    async def begin_effect(self, run_id: str, epoch: int, key: EffectKey, request: str) -> None:
        """Record the intent of an effect before it is performed.

        Raises:
            FencedError: Another process owns the run by now.
        """

        def job() -> None:
            done = self._db.execute(
                "insert into effects(run_id, scope, kind, key, occurrence, epoch, request, started)"
                " select ?,?,?,?,?,?,?,? from runs where run_id=? and epoch=?"
                " on conflict do update set epoch=excluded.epoch, started=excluded.started where response is null",
                (run_id, key.scope, key.kind, key.key, key.occurrence, epoch, request, time.time(), run_id, epoch),
            )
            if done.rowcount == 0:
                raise FencedError(
                    f"run {run_id} was taken over by another process", hint=f"see `crewmix show {run_id}`"
                )

        await self._write(job)

    async def finish_effect(self, run_id: str, key: EffectKey, response: str) -> None:
        """Record an effect's outcome. A paid answer is always kept; the first one stays."""
        where = (run_id, key.scope, key.kind, key.key, key.occurrence)
        await self._write(
            lambda: self._db.execute(
                "update effects set response=?, finished=? where run_id=? and scope=? and kind=? and key=?"
                " and occurrence=? and response is null",
                (response, time.time(), *where),
            )
        )

    def add_event(self, run_id: str, seq: int, event: str) -> None:
        """Queue an event, as JSON text, for writing, in order."""
        row = (run_id, seq, event)
        self._submit(lambda: self._db.execute("insert or replace into events values(?,?,?)", row))

    async def finish_run(
        self, run_id: str, epoch: int, status: str, result: dict[str, Any] | None, error: str | None
    ) -> None:
        """Record how a run ended; ignored when another process owns the run."""
        text = json.dumps(result, ensure_ascii=False, default=str) if result is not None else None
        row = (status, text, error, time.time(), run_id, epoch)
        await self._write(
            lambda: self._db.execute(
                "update runs set status=?, result=?, error=?, updated=? where run_id=? and epoch=?", row
            )
        )

    # -- reading ---------------------------------------------------------------------------------------------------

    def _read(self, sql: str, values: Iterable[Any] = ()) -> list[tuple[Any, ...]]:
        try:
            with self._lock:
                return self._db.execute(sql, tuple(values)).fetchall()
        except sqlite3.Error as error:
            raise StorageError(f"the journal {self.path} cannot be read: {error}") from error

    def run(self, run_id: str) -> RunRow:
        """The run with this id, or the only one whose id starts so; `last` is the newest.

        Raises:
            NotFoundError: There is none, or several match.
        """
        if run_id == "last":
            rows = self._read(f"select {_RUN_COLUMNS} from runs order by created desc limit 1")
        else:
            pattern = run_id.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
            rows = self._read(
                f"select {_RUN_COLUMNS} from runs where run_id like ? escape '\\' order by run_id != ? limit 2",
                (pattern, run_id),
            )
            if rows and rows[0][0] == run_id:
                rows = rows[:1]
        if len(rows) != 1:
            what = "no run" if not rows else "more than one run"
            raise NotFoundError(f"{what} matches {run_id!r} in {self.path}", hint="`crewmix runs` lists them")
        return _run_row(rows[0])

    def runs(self, limit: int = 50) -> list[RunRow]:
        """The newest runs first."""
        return [
            _run_row(r) for r in self._read(f"select {_RUN_COLUMNS} from runs order by created desc limit ?", (limit,))
        ]

    def effects(self, run_id: str) -> dict[EffectKey, str]:
        """Every answered effect of a run: key -> response."""
        rows = self._read(
            "select scope, kind, key, occurrence, response from effects where run_id=? and response is not null",
            (run_id,),
        )
        return {EffectKey(*row[:4]): row[4] for row in rows}

    def events(self, run_id: str) -> list[dict[str, Any]]:
        """A run's kept events, in order, as data."""
        return [json.loads(r[0]) for r in self._read("select event from events where run_id=? order by seq", (run_id,))]

    def last_seq(self, run_id: str) -> int:
        """The highest event number of a run, 0 when it has none."""
        return self._read("select coalesce(max(seq), 0) from events where run_id=?", (run_id,))[0][0]

    async def flush(self) -> None:
        """Wait until everything queued so far is on disk."""
        await self._write(lambda: None)

    def close(self) -> None:
        """Write what is queued and close the file."""
        self._queue.put(_STOP)
        self._thread.join()
        self._db.close()


def _disk_hint(error: sqlite3.Error) -> str | None:
    text = str(error)
    if "full" in text:
        return "free some space and resume the run"
    if "locked" in text or "busy" in text:
        return "another program holds the file; close it and resume the run"
    return None


def _run_row(row: tuple[Any, ...]) -> RunRow:
    run_id, crew, goal, definition, status, epoch, created, updated, result, error = row
    parsed = json.loads(result) if result else None
    return RunRow(run_id, crew, goal, json.loads(definition), status, epoch, created, updated, parsed, error)
