"""Looking at runs in a project's journal."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from crewmix.definitions.project import Project
from crewmix.errors import NotFoundError
from crewmix.journal.lock import is_worked
from crewmix.journal.open import open_store
from crewmix.journal.rows import RunRow
from crewmix.journal.store import SqliteStore
from crewmix.runs.recorded import checked_row, readable


def open_runs(project: Project) -> SqliteStore:
    """The project's journal.

    Raises:
        NotFoundError: Nothing was run yet.
        StorageError: It cannot be opened.
    """
    if not project.database.exists():
        raise NotFoundError(f"{project.root} has no runs yet", hint='start one: `crewmix run research "your question"`')
    return open_store(project.database)


def list_runs(project: Project, limit: int = 50) -> list[RunRow]:
    """The project's runs, the newest first; none when nothing was run yet. See `find_run` for their status."""
    rows = open_runs(project).runs(limit) if project.database.exists() else []
    return [_as_it_is(project, row) for row in rows]


def find_run(project: Project, run_id: str) -> RunRow:
    """A run by its id, the beginning of its id, or `last`.

    A run whose process was killed has the status `interrupted`: it can be resumed.

    Raises:
        NotFoundError: There is none, or several match.
        StorageError: The journal cannot be read, or the run in it is damaged.
    """
    return _as_it_is(project, checked_row(open_runs(project).run(run_id)))


def _as_it_is(project: Project, row: RunRow) -> RunRow:
    """The row with the status `interrupted` when it says `running` and no process holds the run."""
    if row.status != "running" or is_worked(project.state, row.run_id):
        return row
    return replace(row, status="interrupted")


def run_events(project: Project, run_id: str) -> list[dict[str, Any]]:
    """A run's events, in order, as data. One that is damaged has the type `Unreadable` and its `text`.

    Raises:
        NotFoundError: There is no such run.
    """
    store = open_runs(project)
    return [readable(event) for event in store.events(store.run(run_id).run_id)]
