"""Answers kept across runs: one SQLite file, keyed by everything that decides an answer."""

from __future__ import annotations

import asyncio
import hashlib
import json
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from crewmix.errors import StorageError
from crewmix.journal.run import canonical
from crewmix.models.types import ModelReply

T = TypeVar("T")


def cache_key(identity: Mapping[str, Any]) -> str:
    """The key of a call: the hash of its identity (model, address, messages, tools, schema, parameters …)."""
    return hashlib.sha256(canonical(identity).encode()).hexdigest()


class Cache:
    """Model replies by key.

    Opened at first use. The work happens in threads, so a slow disk holds up nobody else.

    Args:
        path: The file; its folder is created.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._db: sqlite3.Connection | None = None

    async def get(self, key: str) -> ModelReply | None:
        """The kept reply, None when there is none.

        Raises:
            StorageError: The file cannot be read.
        """

        def read(db: sqlite3.Connection) -> str | None:
            row = db.execute("select reply from replies where key=?", (key,)).fetchone()
            return row[0] if row else None

        text = await asyncio.to_thread(self._do, read)
        try:
            return ModelReply.from_dict(json.loads(text)) if text is not None else None
        except (KeyError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
            raise StorageError(f"the cache {self.path} holds what is no answer", hint="delete the file") from error

    async def put(self, key: str, reply: ModelReply) -> None:
        """Keep a reply; the first one under a key stays.

        Raises:
            StorageError: The file cannot be written.
        """
        row = (key, json.dumps(reply.as_dict()), time.time())
        await asyncio.to_thread(self._do, lambda db: db.execute("insert or ignore into replies values(?,?,?)", row))

    def _do(self, work: Callable[[sqlite3.Connection], T]) -> T:
        with self._lock:
            try:
                if self._db is None:
                    self._db = self._open()
                return work(self._db)
            except (OSError, sqlite3.Error) as error:
                raise StorageError(f"the cache {self.path} cannot be used: {error}", hint="delete the file") from error

    def _open(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        db = sqlite3.connect(self.path, timeout=10, check_same_thread=False, isolation_level=None)
        try:
            db.execute("pragma journal_mode=wal")
            db.execute("pragma synchronous=normal")
            db.execute(
                "create table if not exists replies(key text primary key, reply text, created real) without rowid"
            )
        except BaseException:
            db.close()
            raise
        return db

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            if self._db is not None:
                self._db.close()
                self._db = None
