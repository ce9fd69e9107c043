"""Opening a run's journal: of a new run, a fork, a resumed one, or a replay, which leaves no trace."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from crewmix.definitions.compare import changes
from crewmix.definitions.definition import CrewDefinition
from crewmix.errors import CrewmixError, StorageError
from crewmix.journal.lock import lock_run, release_run
from crewmix.journal.nearest import explain
from crewmix.journal.open import open_store
from crewmix.journal.redact import Redactor
from crewmix.journal.rows import IMPORTED, Recording
from crewmix.journal.run import Run
from crewmix.journal.store import SqliteStore
from crewmix.launch import Launch
from crewmix.result import NOT_KEPT
from crewmix.staff import Staff
from crewmix.tools.recorded import described

_ENDED = {"partial", "failed", "budget"}
_SETTLED = ("failure", "quorum")
"""Kinds of effects by which a run goes on without what failed."""
_CONSENT = ("approval",)
"""What only counts where it was given: who resumes or forks an imported run is asked again."""
_DECIDES = ("crew", "inputs", "options", "staff", "tools")
"""The parts of a run's definition that decide what it asks."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A run with its journal. `notices`: code and text of what its reader must know from the start."""

    run: Run
    notices: tuple[tuple[str, str], ...] = ()


def new_run_id() -> str:
    """A run id that sorts by time: `20260131-235959-a1b2c3`."""
    return f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(3)}"


async def open_run(launch: Launch, crew: CrewDefinition, goal: str, staff: Staff, closing: ExitStack) -> Opened:
    """The run with its journal.

    Args:
        launch: What it is started with.
        crew: The crew, filled in.
        goal: What is to be achieved.
        staff: The crew with its models.
        closing: Takes what is to be closed when the run is over.

    Raises:
        FencedError: Another process works on the run.
        StorageError: The journal of a run that is resumed cannot be opened, or the new run cannot be written.
    """
    redactor = Redactor()
    if launch.replays is not None:
        source, run_id = open_store(launch.project.database), launch.replays.run_id
        memory = SqliteStore(None)
        closing.callback(memory.close)
        recordings = source.recordings(run_id)
        return Opened(Run(run_id, memory, 1, redactor, recordings=recordings, missing=explain(source, run_id)))
    run_id = launch.resumes.run_id if launch.resumes else launch.run_id or new_run_id()
    store, problem = await _open_store(launch, run_id, closing)
    notices = (("not_kept", problem),) if problem else ()
    if launch.resumes is not None:
        row = store.run(run_id)  # as it is now that nobody else can work on it
        # What a finished run went on without is tried again; a run that was cut off goes on as it did before.
        forget = _SETTLED if row.status in _ENDED else ()
        if IMPORTED in row.definition:
            forget = (*forget, *_CONSENT)
        before, now = row.definition, redactor.data(_record(launch, staff))
        epoch = await store.claim(run_id, forget, _renewed(before, now))
        return Opened(Run(run_id, store, epoch, redactor), (*notices, *_changed(before, now, launch.given)))
    definition = redactor.data(_record(launch, staff))
    fork = launch.forks

    def left_out(recording: Recording) -> bool:
        foreign = fork is not None and IMPORTED in fork.row.definition and recording.key.kind in _CONSENT
        return foreign or (fork is not None and fork.without(recording))

    await store.create_run(run_id, crew.name, goal, definition, inherits=fork and fork.row, without=left_out)
    recordings = store.recordings(run_id) if fork else ()
    return Opened(Run(run_id, store, 1, redactor, recordings=recordings), notices)


def _record(launch: Launch, staff: Staff) -> dict[str, Any]:
    """Everything that decides a run, as it is at its start."""
    return {
        "crew": launch.crew.as_dict(),
        "inputs": dict(launch.inputs),
        "options": dict(launch.options),
        "staff": staff.as_dict(),
        "tools": {name: described(tool) for name, tool in launch.tools.items()},
        "forked_from": launch.forks.row.run_id if launch.forks else "",
    }


def _renewed(before: dict[str, Any], now: dict[str, Any]) -> dict[str, Any] | None:
    """The definition with which a resumed run goes on, and the one it began with; None = it is as it was."""
    if IMPORTED not in before and all(now[part] == before.get(part) for part in _DECIDES):
        return None
    began = before.get("began") or before
    return {**now, "forked_from": before.get("forked_from", ""), "began": began}


def _changed(before: Mapping[str, Any], now: Mapping[str, Any], given: Collection[str]) -> Iterator[tuple[str, str]]:
    """What is no longer as it was when the run began, but for what was changed on purpose."""
    found = [*changes(before["crew"], now["crew"])]
    for part in ("inputs", "tools"):
        found += [f"{part}.{place}" for place in changes(before.get(part, now[part]), now[part])]
    unmeant = [place for place in found if not any(place == g or place.startswith(f"{g}.") for g in given)]
    if unmeant:
        places = ", ".join(f"`{place}`" for place in unmeant)
        yield (
            "definition_changed",
            f"the crew is no longer as it was when the run began: {places}; what depends on it is asked anew",
        )


async def _open_store(launch: Launch, run_id: str, closing: ExitStack) -> tuple[SqliteStore, str | None]:
    """The run's store, locked for this process; in memory, with the reason, when the project cannot be written."""
    try:
        store = await asyncio.to_thread(open_store, launch.project.database)
        closing.callback(release_run, lock_run(launch.project.state, run_id))
    except (StorageError, OSError) as error:
        if launch.resumes is not None or launch.forks is not None:
            raise
        memory = SqliteStore(None)
        closing.callback(memory.close)
        reason = error.message if isinstance(error, CrewmixError) else str(error)
        return memory, f"{NOT_KEPT}: {reason}"
    return store, None
