"""One SQLite file with one writing thread.

All writes go through that thread, which commits whatever has queued up as one transaction. A caller that must know that its
write is on disk awaits it. What could not be written and nobody waits for is written with the next transaction, so that after a
full disk nothing is missing in between. Reads have a connection of their own and never wait for a writer.

`synchronous=NORMAL` with WAL survives the death of the process; power loss may lose the last commits, which are then paid again
but never corrupt.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crewmix.errors import CrewmixError, StorageError
from crewmix.journal.schema import bring_up_to_date

Job = Callable[[sqlite3.Connection], Any]
_STOP = object()

BUSY_SECONDS = 30.0
"""How long to wait while another program holds the file."""

_OWN_FAULTS = (sqlite3.IntegrityError, sqlite3.DataError, sqlite3.ProgrammingError, sqlite3.InterfaceError)
"""What is wrong with one write alone; every other error of SQLite is the file's."""


@dataclass(frozen=True, slots=True)
class _Write:
    job: Job
    outcome: Future[Any]
    awaited: bool


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
        self._left: list[_Write] = []
        self._reading = threading.Lock()
        self._writing = self._reading if path is None else threading.Lock()
        try:
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
            self._db = _connect(path)
            self._db.execute("pragma journal_mode=wal")
            self._db.execute("pragma synchronous=normal")
            bring_up_to_date(self._db, path)
            self._reader = self._db if path is None else _connect(path)
            self._file = _identity(path)
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

    def _commit(self, batch: list[_Write]) -> None:
        batch, self._left = [*self._left, *batch], []
        with self._writing:
            outcomes: list[tuple[Any, Exception | None]] = []
            try:
                self._db.execute("begin immediate")
                outcomes = [self._done(write.job) for write in batch]
                self._db.execute("commit")
            except sqlite3.Error as error:
                if self._db.in_transaction:
                    self._db.execute("rollback")
                self._left = [write for write in batch if not write.awaited]
                batch = [write for write in batch if write.awaited]
                outcomes = [(None, self._failure(error))] * len(batch)
        for write, (value, failure) in zip(batch, outcomes, strict=True):
            if not write.outcome.set_running_or_notify_cancel():
                continue
            if failure is not None:
                write.outcome.set_exception(failure)
            else:
                write.outcome.set_result(value)

    def _done(self, job: Job) -> tuple[Any, Exception | None]:
        """What one write comes to, alone: when it fails, those beside it are not undone."""
        self._db.execute("savepoint job")
        try:
            outcome = job(self._db), None
        except CrewmixError as error:
            outcome = None, error
        except sqlite3.Error as error:
            if not isinstance(error, _OWN_FAULTS):
                raise
            outcome = None, self._failure(error)
        except UnicodeError as error:
            outcome = None, StorageError(f"the journal cannot hold a text that is no valid Unicode: {error}")
        except Exception as error:
            outcome = None, self._failure(error)
        if outcome[1] is not None:
            self._db.execute("rollback to job")
        self._db.execute("release job")
        return outcome

    def _failure(self, error: Exception) -> StorageError:
        return StorageError(f"the journal {self.path} cannot be written: {error}", hint=_hint(error))

    def submit(self, job: Job) -> Future[Any]:
        """Queue a write, in order. It happens whatever becomes of the caller, and as soon as the file can be written."""
        return self._put(job, awaited=False)

    def _put(self, job: Job, *, awaited: bool) -> Future[Any]:
        future: Future[Any] = Future()
        self._queue.put(_Write(job, future, awaited))
        return future

    async def write(self, job: Job) -> Any:
        """Write, and wait until it is on disk, with everything queued before it.

        Raises:
            StorageError: It could not be written.
        """
        # Shielded: a write that was handed over happens, also when the caller is cancelled meanwhile.
        return await asyncio.shield(asyncio.wrap_future(self._put(job, awaited=True)))

    def read(self, sql: str, values: Iterable[Any] = ()) -> list[tuple[Any, ...]]:
        """Rows of a query.

        Raises:
            StorageError: The file cannot be read.
        """
        try:
            with self._reading:
                return self._reader.execute(sql, tuple(values)).fetchall()
        except sqlite3.Error as error:
            raise StorageError(f"the journal {self.path} cannot be read: {error}", hint=_hint(error)) from error

    async def flush(self) -> None:
        """Wait until everything queued so far is on disk."""
        await self.write(lambda _: None)

    @property
    def lost(self) -> bool:
        """Whether the file was deleted or replaced meanwhile, so that nobody will find what is written here."""
        try:
            return _identity(self.path) != self._file
        except OSError:
            return True

    def close(self) -> None:
        """Write what is queued and close the file."""
        self._queue.put(_STOP)
        self._thread.join()
        self._db.close()
        self._reader.close()


def _connect(path: Path | None) -> sqlite3.Connection:
    db = sqlite3.connect(path or ":memory:", timeout=BUSY_SECONDS, check_same_thread=False, isolation_level=None)
    db.text_factory = _text
    return db


def _identity(path: Path | None) -> tuple[int, int] | None:
    if path is None:
        return None
    found = path.stat()
    return found.st_dev, found.st_ino


def _text(data: bytes) -> str:
    """A text column; one row that is no valid UTF-8 must not make all of them unreadable."""
    return data.decode("utf-8", "replace")


def _hint(error: Exception) -> str | None:
    text = str(error)
    if "full" in text:
        return "free some space and resume the run"
    if "locked" in text or "busy" in text:
        return "another program holds the file; close it and resume the run"
    if "readonly" in text or "I/O error" in text or "unable to open" in text:
        return "see to the disk and the file's permissions, and resume the run"
    if "not a database" in text or "malformed" in text:
        return "the file is damaged or no journal; move it away, and `crewmix import` runs you have exported"
    return None
