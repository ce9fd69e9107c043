"""A run's rows as they are carried from one journal to another."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from crewmix.errors import StorageError
from crewmix.journal.rows import Recording, RunRow
from crewmix.journal.store import SqliteStore


@dataclass(frozen=True, slots=True)
class CarriedRun:
    """Everything a journal holds of one run.

    `effects` are recordings with their requests as JSON text, in the order in which they began; `events` are in their order.
    """

    row: RunRow
    effects: Sequence[tuple[Recording, str]]
    events: Sequence[dict[str, Any]]


def take_out(store: SqliteStore, run_id: str) -> CarriedRun:
    """A run with everything that belongs to it, always in the same order.

    Args:
        store: The journal.
        run_id: The run, its id's beginning, or `last`.

    Raises:
        NotFoundError: There is none, or several match.
        StorageError: The journal cannot be read, or what it holds of the run is damaged.
    """
    row = store.run(run_id)
    recordings = sorted(store.recordings(row.run_id), key=_order)
    effects = [(recording, _request(store, row.run_id, recording)) for recording in recordings]
    return CarriedRun(row, effects, store.events(row.run_id))


def _request(store: SqliteStore, run_id: str, recording: Recording) -> str:
    text = store.request(run_id, recording.key)
    try:
        json.loads(text)
    except (TypeError, ValueError, RecursionError):
        place = recording.key.scope
        raise StorageError(f"run {run_id} in {store.path} is damaged: at {place}, `request` is no JSON") from None
    return text


def _order(recording: Recording) -> tuple[Any, ...]:
    key = recording.key
    return recording.started, key.scope, key.kind, key.key, key.occurrence


def put_in(store: SqliteStore, run: CarriedRun) -> bool:
    """Write a run, all of it or nothing.

    Returns:
        False when the journal has a run of that id already; then nothing was written.

    Raises:
        StorageError: It cannot be written.
    """
    row = run.row
    values = (
        *(row.run_id, row.crew, row.goal, _text(row.definition), row.status, row.epoch, row.created, row.updated),
        *(None if row.result is None else _text(row.result), row.error),
    )
    effects = [_effect_values(row.run_id, recording, request) for recording, request in run.effects]
    events = [(row.run_id, event["seq"], _text(event)) for event in run.events]

    def job(db: sqlite3.Connection) -> bool:
        names = "run_id, crew, goal, definition, status, epoch, created, updated, result, error"
        written = db.execute(f"insert into runs({names}) values(?,?,?,?,?,?,?,?,?,?) on conflict do nothing", values)
        if not written.rowcount:
            return False
        db.executemany(
            "insert into effects(run_id, scope, kind, key, occurrence, epoch, request, response, started, finished, task,"
            " role, failure, spent) values(?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
            effects,
        )
        db.executemany("insert into events(run_id, seq, event) values(?,?,?)", events)
        return True

    return _done(store, job)


def take_away(store: SqliteStore, run_ids: Sequence[str]) -> None:
    """Delete runs with everything that belongs to them.

    Raises:
        StorageError: The journal cannot be written.
    """
    ids = [(run_id,) for run_id in run_ids]

    def job(db: sqlite3.Connection) -> None:
        for table in ("events", "effects", "runs"):
            db.executemany(f"delete from {table} where run_id=?", ids)

    _done(store, job)


def sizes(store: SqliteStore) -> dict[str, int]:
    """What each run takes in the journal, in bytes, without what the file itself needs."""
    columns = {
        "runs": ("goal", "definition", "result"),
        "effects": ("scope", "request", "response", "failure", "spent"),
        "events": ("event",),
    }
    found: dict[str, int] = {}
    for table, names in columns.items():
        lengths = " + ".join(f"coalesce(length(cast({name} as blob)), 0)" for name in names)
        for run_id, size in store.read(f"select run_id, sum({lengths}) from {table} group by run_id"):
            found[run_id] = found.get(run_id, 0) + int(size)
    return found


def shrink(store: SqliteStore) -> int:
    """Give what deleted runs took back to the disk.

    Returns:
        How many bytes the file became smaller; 0 when another program uses it just now.
    """
    path = store.path
    if path is None:
        return 0
    before = path.stat().st_size
    db = sqlite3.connect(path, timeout=5, isolation_level=None)
    try:
        db.execute("pragma wal_checkpoint(truncate)")
        db.execute("vacuum")
        db.execute("pragma wal_checkpoint(truncate)")
    except sqlite3.OperationalError:
        return 0
    finally:
        db.close()
    return max(0, before - path.stat().st_size)


def _done(store: SqliteStore, job: Callable[[sqlite3.Connection], Any]) -> Any:
    return store.submit(job).result()


def _effect_values(run_id: str, recording: Recording, request: str) -> tuple[Any, ...]:
    key, spent = recording.key, recording.spent
    return (
        *(run_id, key.scope, key.kind, key.key, key.occurrence, recording.epoch, request, recording.response),
        *(recording.started, recording.finished, recording.task, recording.role, recording.failure),
        None if spent is None else json.dumps(spent.as_dict()),
    )


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
