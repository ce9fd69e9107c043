"""The stores this process has open: one per database file, shared by all runs."""

from __future__ import annotations

import threading
from pathlib import Path

from crewmix.journal.store import SqliteStore

_stores: dict[Path, SqliteStore] = {}
_stores_lock = threading.Lock()


def open_store(path: Path) -> SqliteStore:
    """The process's one store for a database file, opened at first use.

    Raises:
        StorageError: It cannot be opened.
    """
    with _stores_lock:
        store = _stores.get(path)
        if store is None or store.lost:
            store = _stores[path] = SqliteStore(path)
        return store
