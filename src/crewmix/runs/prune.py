"""Deleting runs that are no longer wanted."""

from __future__ import annotations

import time
from collections.abc import Collection
from contextlib import ExitStack
from dataclasses import dataclass

from crewmix.definitions.project import Project
from crewmix.errors import FencedError
from crewmix.journal.lock import lock_run, release_run
from crewmix.journal.open import open_store
from crewmix.journal.reading import DAMAGED
from crewmix.journal.rows import RunRow
from crewmix.journal.transfer import shrink, sizes, take_away
from crewmix.runs.find import list_runs


@dataclass(frozen=True, slots=True)
class Prunable:
    """A run that can be deleted, and what it takes in the journal, in bytes."""

    row: RunRow
    size: int


@dataclass(frozen=True, slots=True)
class Pruned:
    """What was deleted, and how many bytes smaller the journal's file is; 0 while another program uses it."""

    runs: tuple[Prunable, ...]
    freed: int


def prunable_runs(
    project: Project, *, keep: int = 0, older_than: float | None = None, status: Collection[str] = ()
) -> list[Prunable]:
    """The runs that fit all that is given, the newest first. Never one that is being worked.

    Args:
        project: Where the runs' journal is.
        keep: How many of the newest runs are left out.
        older_than: Seconds since the run last changed, at least; None = any age.
        status: Of which status, as `crewmix runs` shows it; empty = any but `waiting`.
    """
    if not project.database.exists():
        return []
    rows = list_runs(project, limit=-1)[keep:]
    now, known = time.time(), sizes(open_store(project.database))
    return [
        Prunable(row, known.get(row.run_id, 0))
        for row in rows
        if row.status != "running"
        and (row.status in status if status else row.status != "waiting")
        and (older_than is None or now - row.updated >= older_than)
    ]


def prune_runs(project: Project, runs: Collection[Prunable]) -> Pruned:
    """Delete runs with all their effects and events, and give the space back to the disk.

    One that somebody has begun to work on meanwhile is left.

    Args:
        project: Where the runs' journal is.
        runs: From `prunable_runs`.

    Raises:
        StorageError: The journal cannot be written.
    """
    if not runs:
        return Pruned((), 0)
    store = open_store(project.database)
    with ExitStack() as closing:
        mine: list[Prunable] = []
        for run in runs:
            try:
                if run.row.status != DAMAGED:
                    closing.callback(release_run, lock_run(project.state, run.row.run_id))
            except FencedError:
                continue
            mine.append(run)
        take_away(store, [run.row.run_id for run in mine])
    return Pruned(tuple(mine), shrink(store))
