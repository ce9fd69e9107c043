"""Projects with runs in them, and journals that are changed behind crewmix's back."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from crewmix import Crew
from crewmix.definitions.project import Project
from crewmix.journal import open as opening
from crewmix.result import RunResult
from support.scripted_project import write_project

GOAL = "Is Lyon large enough?"


def run_talk(folder: Path, goal: str = GOAL) -> RunResult:
    """A run of two tasks with six calls, in a new project."""
    return Crew.load("talk", project=write_project(folder)).run(goal)


def empty_project(folder: Path) -> Project:
    """A project without anything."""
    (folder / ".crewmix").mkdir(parents=True)
    return Project(folder)


def close(project: Project) -> None:
    """Close the project's journal, as the end of the process would."""
    store = opening._stores.pop(project.database, None)
    if store is not None:
        store.close()


@contextmanager
def tampered(project: Project, copy: Path) -> Iterator[tuple[Project, sqlite3.Connection]]:
    """A copy of a project whose journal can be changed by SQL; it is closed afterwards."""
    opening.open_store(project.database).submit(lambda db: None).result()
    copied = Project(copy)
    shutil.copytree(project.root, copy, ignore=lambda folder, names: [n for n in names if n.endswith(("-wal", "-shm"))])
    with sqlite3.connect(project.database) as source, sqlite3.connect(copied.database) as target:
        source.backup(target)
    source.close()
    target.close()
    db = sqlite3.connect(copied.database, isolation_level=None)
    try:
        yield copied, db
    finally:
        db.close()
        close(copied)
