"""Where journals are kept: one SQLite file, `.crewmix/crewmix.db`."""

from __future__ import annotations

import json
import re
import sqlite3
import time
from collections.abc import Callable, Collection
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from crewmix.errors import FencedError, NotFoundError, StorageError
from crewmix.journal import reading
from crewmix.journal.database import Database
from crewmix.journal.rows import EffectKey, Recording, RunRow, Spent

_RUN_COLUMNS = ", ".join(reading.RUN_COLUMNS)
_EFFECT_COLUMNS = ", ".join(reading.EFFECT_COLUMNS)
_LAST = re.compile(r"last(?:~(\d{1,9}))?")
_THIS_EFFECT = "run_id=? and scope=? and kind=? and key=? and occurrence=?"


@dataclass(frozen=True, slots=True)
class Intent:
    """An effect that is about to be performed: for whom, and what is asked, as JSON text."""

    key: EffectKey
    request: str
    task: str = ""
    role: str = ""


class SqliteStore(Database):
    """Runs, effects and events in one SQLite file. See `Database` for how it is written."""

    # -- runs ------------------------------------------------------------------------------------------------------

    async def create_run(
        self,
        run_id: str,
        crew: str,
        goal: str,
        definition: dict[str, Any],
        *,
        inherits: RunRow | None = None,
        without: Callable[[Recording], bool] | None = None,
    ) -> None:
        """Register a new run with status `running` and epoch 1.

        Args:
            run_id: Its id.
            crew: The crew's name.
            goal: What is to be achieved.
            definition: The crew as data, and how it was loaded.
            inherits: A run whose answered effects the new one takes over, under epoch 0.
            without: Says which of these it does not take over.
        """
        now = time.time()
        row = (run_id, crew, goal, json.dumps(definition, ensure_ascii=False), now, now)
        known = self.recordings(inherits.run_id) if inherits else []
        taken = {r.key for r in known if r.response is not None and not (without and without(r))}

        def job(db: sqlite3.Connection) -> None:
            db.execute(
                "insert into runs(run_id, crew, goal, definition, status, epoch, created, updated)"
                " values(?,?,?,?,'running',1,?,?)",
                row,
            )
            if inherits is None:
                return
            db.execute(
                "insert into effects(run_id, scope, kind, key, occurrence, epoch, request, response, started, finished,"
                " task, role) select ?, scope, kind, key, occurrence, 0, request, response, started, finished, task, role"
                " from effects where run_id=? and response is not null",
                (run_id, inherits.run_id),
            )
            copied = db.execute("select scope, kind, key, occurrence from effects where run_id=?", (run_id,)).fetchall()
            left_out = [_where(run_id, key) for row in copied if (key := EffectKey(*row)) not in taken]
            db.executemany(f"delete from effects where {_THIS_EFFECT}", left_out)

        await self.write(job)

    async def claim(self, run_id: str, forget: Collection[str] = (), definition: dict[str, Any] | None = None) -> int:
        """Take a run over under a new epoch, which fences off an older owner.

        Args:
            run_id: The run.
            forget: Kinds of effects to drop, so that they are performed anew.
            definition: The run's definition from now on; None = as it is.

        Returns:
            The new epoch.

        Raises:
            NotFoundError: The run is gone.
        """
        text = definition and json.dumps(definition, ensure_ascii=False)

        def job(db: sqlite3.Connection) -> int:
            for kind in forget:
                db.execute("delete from effects where run_id=? and kind=?", (run_id, kind))
            changed = db.execute(
                "update runs set epoch=epoch+1, status='running', error=null, updated=?, definition=coalesce(?, definition)"
                " where run_id=? returning epoch",
                (time.time(), text, run_id),
            ).fetchone()
            if changed is None:
                raise NotFoundError(f"run {run_id} is no longer in {self.path}")
            return int(changed[0])

        return await self.write(job)

    async def finish_run(
        self, run_id: str, epoch: int, status: str, result: dict[str, Any] | None, error: str | None
    ) -> None:
        """Record how a run ended; ignored when another process owns the run."""
        text = json.dumps(result, ensure_ascii=False, default=str) if result is not None else None
        row = (status, text, error, time.time(), run_id, epoch)
        await self.write(
            lambda db: db.execute(
                "update runs set status=?, result=?, error=?, updated=? where run_id=? and epoch=?", row
            )
        )

    def run(self, run_id: str) -> RunRow:
        """The run with this id, or the only one whose id starts so; `last` is the newest, `last~1` the one before.

        Raises:
            NotFoundError: There is none, or several match.
            StorageError: The file cannot be read, or the run in it is damaged.
        """
        run_id = run_id.encode("utf-8", "replace").decode()
        if not run_id:
            raise NotFoundError("the run's id is empty", hint="`crewmix runs` lists them; `last` is the newest")
        if newest := _LAST.fullmatch(run_id):
            before = int(newest[1] or 0)
            rows = self.read(f"select {_RUN_COLUMNS} from runs order by rowid desc limit 1 offset ?", (before,))
        else:
            pattern = run_id.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
            rows = self.read(
                f"select {_RUN_COLUMNS} from runs where run_id like ? escape '\\' order by run_id != ? limit 2",
                (pattern, run_id),
            )
            if rows and rows[0][0] == run_id:
                rows = rows[:1]
        if len(rows) != 1:
            what = "no run" if not rows else "more than one run"
            raise NotFoundError(f"{what} matches {run_id!r} in {self.path}", hint="`crewmix runs` lists them")
        return reading.run_row(rows[0], self.path)

    def runs(self, limit: int = 50) -> list[RunRow]:
        """The newest runs first, damaged ones with the status `damaged`; `limit` -1 = all."""
        rows = self.read(f"select {_RUN_COLUMNS} from runs order by rowid desc limit ?", (limit,))
        return [reading.listed_row(row, self.path) for row in rows]

    # -- effects ---------------------------------------------------------------------------------------------------

    async def begin_effect(self, run_id: str, epoch: int, intent: Intent) -> None:
        """Record the intent of an effect before it is performed.

        Raises:
            FencedError: Another process owns the run by now.
        """
        key = intent.key
        row = (run_id, key.scope, key.kind, key.key, key.occurrence, epoch, intent.request, time.time())

        def job(db: sqlite3.Connection) -> None:
            done = db.execute(
                "insert into effects(run_id, scope, kind, key, occurrence, epoch, request, started, task, role)"
                " select ?,?,?,?,?,?,?,?,?,? from runs where run_id=? and epoch=?"
                " on conflict do update set epoch=excluded.epoch, started=excluded.started where response is null",
                (*row, intent.task, intent.role, run_id, epoch),
            )
            if done.rowcount == 0:
                raise _fenced(run_id)

        await self.write(job)

    async def commit_effect(self, run_id: str, epoch: int, key: EffectKey, spent: Spent) -> None:
        """Record what an effect comes to at worst, before what it is for is sent.

        Raises:
            FencedError: Another process owns the run by now.
        """
        row = (json.dumps(spent.as_dict()), *_where(run_id, key), run_id, epoch)

        def job(db: sqlite3.Connection) -> None:
            done = db.execute(
                f"update effects set spent=? where {_THIS_EFFECT} and response is null"
                " and exists(select 1 from runs where run_id=? and epoch=?)",
                row,
            )
            if done.rowcount == 0:
                raise _fenced(run_id)

        await self.write(job)

    def book_effect(
        self, run_id: str, epoch: int, key: EffectKey, spent: Spent, failure: str | None = None
    ) -> Future[Any]:
        """Queue what an effect comes to so far, and how its last try ended; the outcome tells when it is on disk.

        Ignored when another process has begun the effect anew, which books what it comes to since.
        """
        row = (json.dumps(spent.as_dict()) if spent.by else None, failure, *_where(run_id, key), epoch)
        return self.submit(
            lambda db: db.execute(
                f"update effects set spent=?, failure=? where {_THIS_EFFECT} and response is null and epoch=?", row
            )
        )

    async def finish_effect(
        self, run_id: str, epoch: int, key: EffectKey, response: str, spent: Spent | None = None
    ) -> None:
        """Record an effect's outcome. A paid answer is always kept; the first one stays.

        Another process that took the run over has booked what the effect comes to itself, so its booking stays. When the
        outcome cannot be written, it is written with whatever can be written next.

        Raises:
            StorageError: It could not be written now.
        """
        booked = spent and json.dumps(spent.as_dict())
        row = (response, time.time(), epoch, booked, *_where(run_id, key))

        def job(db: sqlite3.Connection) -> None:
            db.execute(
                "update effects set response=?, finished=?, spent=case when epoch=? then ? else spent end, failure=null"
                f" where {_THIS_EFFECT} and response is null",
                row,
            )

        try:
            await self.write(job)
        except StorageError:
            self.submit(job)
            raise

    def recordings(self, run_id: str) -> list[Recording]:
        """Every effect of a run, also those without an outcome, in the order in which they began.

        Raises:
            StorageError: The file cannot be read, or an effect in it is damaged.
        """
        rows = self.read(f"select {_EFFECT_COLUMNS} from effects where run_id=? order by started", (run_id,))
        return [reading.recording(row, run_id, self.path) for row in rows]

    def request(self, run_id: str, key: EffectKey) -> str:
        """What was asked, as JSON text.

        Raises:
            NotFoundError: The run has no such effect.
        """
        rows = self.read(f"select request from effects where {_THIS_EFFECT}", _where(run_id, key))
        if not rows:
            raise NotFoundError(f"run {run_id} has no {key.kind} effect at {key.scope}")
        return rows[0][0]

    # -- events ----------------------------------------------------------------------------------------------------

    def add_event(self, run_id: str, epoch: int, seq: int, event: str) -> None:
        """Queue an event, as JSON text, for writing, in order; ignored when another process owns the run."""
        row = (run_id, seq, event, run_id, epoch)
        self.submit(
            lambda db: db.execute(
                "insert or replace into events select ?,?,? from runs where run_id=? and epoch=?", row
            )
        )

    def events(self, run_id: str) -> list[dict[str, Any]]:
        """A run's kept events, in order, as data; see `reading.event` for damaged ones."""
        rows = self.read("select cast(seq as integer), event from events where run_id=? order by seq", (run_id,))
        return [reading.event(seq, text) for seq, text in rows]

    def last_seq(self, run_id: str) -> int:
        """The highest event number of a run, 0 when it has none."""
        return self.read("select coalesce(max(cast(seq as integer)), 0) from events where run_id=?", (run_id,))[0][0]


def _fenced(run_id: str) -> FencedError:
    return FencedError(f"run {run_id} was taken over by another process", hint=f"see `crewmix show {run_id}`")


def _where(run_id: str, key: EffectKey) -> tuple[str | int, ...]:
    return (run_id, key.scope, key.kind, key.key, key.occurrence)
