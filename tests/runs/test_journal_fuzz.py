"""Damaged journals: every command says what is wrong, and what is whole can still be used."""

from __future__ import annotations

import json
import random
import sqlite3
from pathlib import Path

import pytest

from crewmix.definitions.project import Project
from crewmix.journal.reading import DAMAGED
from crewmix.runs import list_runs
from support.commands_in_process import command
from support.kept_runs import close, run_talk, tampered

LOOKING = (
    ("runs",),
    ("runs", "--json"),
    ("show", "last"),
    ("show", "last", "--events", "--drafts"),
    ("show", "last", "--json", "--events", "--drafts"),
    ("show", "last", "--cost"),
    ("export", "last", "-o", "-"),
    ("export", "--all", "--format", "training", "-o", "-"),
    ("replay", "last"),
    ("diff", "last", "last"),
)
WORKING = (("fork", "last"), ("resume", "last"), ("runs", "--prune", "--keep", "0", "--yes"))

NASTY: tuple[object, ...] = (
    None,
    "",
    "no json {",
    "[1, 2]",
    '"text"',
    "{}",
    '{"type": "TurnStarted", "task": 1, "role": null, "round": "x", "model": []}',
    '{"tasks": 1, "text": 2, "crew": [], "options": 3}',
    "[" * 20_000,
    "9" * 5_000,
    -1,
    10**15,
    1.5,
    "1e999",
    b"\xff\xfe",
    "a\x00b/../../c",
)
COLUMNS = {
    "runs": ("run_id", "crew", "goal", "definition", "status", "epoch", "created", "updated", "result", "error"),
    "effects": (
        *("run_id", "scope", "kind", "key", "occurrence", "epoch", "request", "response", "started", "finished"),
        *("task", "role", "failure", "spent"),
    ),
    "events": ("run_id", "seq", "event"),
}


@pytest.fixture(scope="module")
def kept(tmp_path_factory) -> Project:
    """Two runs."""
    folder = tmp_path_factory.mktemp("kept")
    for number in range(2):
        run_talk(folder, f"Is it {number}?")
    yield Project(folder)
    close(Project(folder))


def everything(project: Project) -> None:
    for arguments in (*LOOKING, *WORKING):
        command(*arguments, project=project.root)


@pytest.mark.parametrize(("table", "column"), [(t, c) for t, columns in COLUMNS.items() for c in columns])
def test_a_nasty_value_in_any_column_is_told(table, column, kept, tmp_path):
    for number, value in enumerate(NASTY):
        with tampered(kept, tmp_path / f"{number}") as (project, db):
            newest = "run_id=(select run_id from runs order by created desc limit 1)"
            choose = "" if table == "runs" else f" and {'seq' if table == 'events' else 'scope'} like '%o%' or seq=5"
            where = newest if table != "effects" else f"{newest} and scope='task.facts/chat/round.1/writer/model'"
            where = where if table != "events" else f"{newest} and seq=5"
            assert choose is not None
            try:
                changed = db.execute(f"update {table} set {column}=? where {where}", (value,)).rowcount
            except sqlite3.IntegrityError:
                continue
            assert changed == 1
            everything(project)
