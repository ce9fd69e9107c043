"""One SQLite file with one writing thread.

All writes go through that thread, which commits whatever has queued up as one transaction. A caller that must know that its
write is on disk awaits it. `synchronous=NORMAL` with WAL survives the death of the process; power loss may lose the last
commits, which are then paid again but never corrupt.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from crewmix.errors import CrewmixError, StorageError
from crewmix.journal.schema import bring_up_to_date

Job = Callable[[sqlite3.Connection], Any]
_STOP = object()


class Database:
    """A SQLite file with the journal's tables.

    Args:
        path: The file; its folder is created. None keeps everything in memory.

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
            bring_up_to_date(self._db, path)
        except (OSError, sqlite3.Error) as error:
            raise StorageError(f"the journal {path} cannot be opened: {error}", hint=_hint(error)) from error
        self._thread = threading.Thread(target=self._write_forever, name="crewmix-journal", daemon=True)
        self._thread.start()

    def _write_forever(self) -> None:
        while True:
            batch = [self._queue.get()]
            while not self._queue.empty() and len(batch) < 500:
                batch.append(self._queue.get())
            stop = _STOP in batch
            self._commit([job for job in batch if job is not _STOP])
            if stop:
                return

    def _commit(self, batch: list[tuple[Job, Future[Any]]]) -> None:
        with self._lock:
            outcomes: list[tuple[Future[Any], Any, BaseException | None]] = []
            try:
                self._db.execute("begin immediate")
                outcomes = [self._done(job, future) for job, future in batch]
                self._db.execute("commit")
            except sqlite3.Error as error:
                if self._db.in_transaction:
                    self._db.execute("rollback")
                failure = StorageError(f"the journal {self.path} cannot be written: {error}", hint=_hint(error))
                outcomes = [(future, None, failure) for _, future in batch]
        for future, value, error in outcomes:
            if not future.set_running_or_notify_cancel():
                continue
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(value)

    def _done(self, job: Job, future: Future[Any]) -> tuple[Future[Any], Any, BaseException | None]:
        try:
            return future, job(self._db), None
        except CrewmixError as error:
            return future, None, error
        except UnicodeError as error:
            return future, None, StorageError(f"the journal cannot hold a text that is no valid Unicode: {error}")

    def submit(self, job: Job) -> Future[Any]:
        """Queue a write, in order; it happens whatever becomes of the caller."""
        future: Future[Any] = Future()
        self._queue.put((job, future))
        return future

    async def write(self, job: Job) -> Any:
        """Write, and wait until it is on disk.

        Raises:
            StorageError: It could not be written.
        """
        # Shielded: a write that was handed over happens, also when the caller is cancelled meanwhile.
        return await asyncio.shield(asyncio.wrap_future(self.submit(job)))

    def read(self, sql: str, values: Iterable[Any] = ()) -> list[tuple[Any, ...]]:
        """Rows of a query.

        Raises:
            StorageError: The file cannot be read.
        """
        try:
            with self._lock:
                return self._db.execute(sql, tuple(values)).fetchall()
        except sqlite3.Error as error:
            raise StorageError(f"the journal {self.path} cannot be read: {error}", hint=_hint(error)) from error

    async def flush(self) -> None:
        """Wait until everything queued so far is on disk."""
        await self.write(lambda _: None)

    def close(self) -> None:
        """Write what is queued and close the file."""
        self._queue.put(_STOP)
        self._thread.join()
        self._db.close()


def _hint(error: Exception) -> str | None:
    text = str(error)
    if "full" in text:
        return "free some space and resume the run"
    if "locked" in text or "busy" in text:
        return "another program holds the file; close it and resume the run"
    if "not a database" in text or "malformed" in text:
        return "the file is damaged or no journal; move it away, and `crewmix import` runs you have exported"
    return None
