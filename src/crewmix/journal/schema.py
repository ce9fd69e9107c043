"""The journal's tables, and how files of earlier versions become files of this one."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from crewmix.errors import StorageError

VERSION = 2

_TABLES = """
create table if not exists runs(
    run_id text primary key, crew text not null, goal text not null, definition text not null, status text not null,
    epoch integer not null default 0, created real not null, updated real not null,
    result text, error text);
create table if not exists effects(
    run_id text not null, scope text not null, kind text not null, key text not null, occurrence integer not null,
    epoch integer not null, request text not null, response text, started real not null, finished real,
    task text not null default '', role text not null default '', failure text, spent text,
    primary key(run_id, scope, kind, key, occurrence)) without rowid;
create table if not exists events(
    run_id text not null, seq integer not null, event text not null, primary key(run_id, seq)) without rowid;
create index if not exists runs_by_time on runs(created desc);
"""
_FROM_1 = (
    "alter table effects add column task text not null default ''",
    "alter table effects add column role text not null default ''",
    "alter table effects add column failure text",
    "alter table effects add column spent text",
)


def bring_up_to_date(db: sqlite3.Connection, path: Path | None) -> None:
    """Make the tables, or change those of an earlier version, in one transaction.

    Raises:
        StorageError: The file was written by a later version of crewmix.
        sqlite3.Error: It is no database, or cannot be written.
    """
    if db.execute("pragma user_version").fetchone()[0] == VERSION:
        return
    db.execute("begin immediate")
    try:
        version = db.execute("pragma user_version").fetchone()[0]
        if version not in (0, 1, VERSION):
            raise StorageError(
                f"{path} was written by another version of crewmix (schema {version})",
                hint="upgrade crewmix, or move the file away",
            )
        for statement in _FROM_1 if version == 1 else ():
            db.execute(statement)
        for statement in _TABLES.split(";"):
            db.execute(statement)
        db.execute(f"pragma user_version={VERSION}")
    except BaseException:
        db.execute("rollback")
        raise
    db.execute("commit")
