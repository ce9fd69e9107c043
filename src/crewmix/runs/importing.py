"""Reading a run's file into a project. See `crewmix.runs.export` for what stands in it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from crewmix.definitions.project import Project
from crewmix.errors import RunFileError
from crewmix.journal.failures import from_record
from crewmix.journal.open import open_store
from crewmix.journal.rows import IMPORTED, EffectKey, Recording, RunRow, Spent
from crewmix.journal.run import canonical
from crewmix.journal.transfer import CarriedRun, put_in, take_out
from crewmix.opening import new_run_id
from crewmix.runs.export import VERSION, body_lines, moved_key
from crewmix.runs.lines import EffectLine, EndLine, EventLine, HeaderLine, RunFile, RunLine
from crewmix.runs.places import Places
from crewmix.runs.recorded import checked_row, readable, recorded_reply


@dataclass(frozen=True, slots=True)
class Imported:
    """A run that was read in. `new`: it was not there before, or it was given a new id."""

    run_id: str
    new: bool
    effects: int
    events: int


def import_run(project: Project, path: Path, *, as_new: bool = False) -> Imported:
    """Read a run's file into the project's journal, all of it or nothing.

    The run can then be shown, replayed, forked, diffed, and resumed where its crew's files are.

    Args:
        project: Where to put it.
        path: A file that `export_run` wrote, packed with gzip or not.
        as_new: Give the run a new id.

    Raises:
        RunFileError: The file is no run, is damaged or cut off, or too large; names the line. Or the project has another run
            of that id.
        StorageError: The project's journal cannot be written.
    """
    run = _read(project, path)
    if as_new:
        run = _renamed(run, new_run_id())
    store = open_store(project.database)
    new = put_in(store, run)
    if not new and list(body_lines(project, take_out(store, run.row.run_id))) != list(body_lines(project, run)):
        raise RunFileError(
            f"the project has another run {run.row.run_id} already, which differs from the one in {path}",
            hint="`--as-new` gives the one in the file a new id",
        )
    return Imported(run.row.run_id, new, len(run.effects), len(run.events))


def _renamed(run: CarriedRun, run_id: str) -> CarriedRun:
    result = run.row.result and {**run.row.result, "run_id": run_id}
    events = [{**e, "run_id": run_id} if "run_id" in e else e for e in run.events]
    return replace(run, row=replace(run.row, run_id=run_id, result=result), events=events)


def _read(project: Project, path: Path) -> CarriedRun:
    """The run in a file."""
    with RunFile(path) as file:
        header = file.next(HeaderLine)
        if header.version != VERSION:
            hint = f"it was written by crewmix {header.crewmix}; upgrade"
            raise file.wrong(f"version {header.version} of the format is unknown", hint=hint)
        places = Places(project)
        row = _row(file, file.next(RunLine), places)
        effects: dict[EffectKey, tuple[Recording, str]] = {}
        events: dict[int, dict[str, Any]] = {}
        while not isinstance(line := file.next(EffectLine, EventLine, EndLine), EndLine):
            if isinstance(line, EventLine):
                if line.seq <= max(events, default=0):
                    raise file.wrong(f"event {line.seq} is out of order")
                events[line.seq] = _event(file, line, places)
                continue
            recording, request = _effect(file, line, places)
            if recording.key in effects:
                raise file.wrong("the same effect stands in the file already")
            effects[recording.key] = recording, request
        file.end(line, len(effects), len(events))
    return CarriedRun(row, tuple(effects.values()), tuple(events.values()))


def _row(file: RunFile, line: RunLine, places: Places) -> RunRow:
    data = places.here(line.model_dump(exclude={"type"}))
    data["definition"] = {**data["definition"], IMPORTED: True}
    row = RunRow(**data)
    file.check(lambda: checked_row(row))
    return row


def _effect(file: RunFile, line: EffectLine, places: Places) -> tuple[Recording, str]:
    request = places.here(line.request)
    response = canonical(places.here(line.response)) if "response" in line.model_fields_set else None
    failure = None if line.failure is None else places.here(line.failure)
    key = EffectKey(line.scope, line.kind, moved_key(line.key, line.request, request), line.occurrence)
    recording = Recording(
        key=key,
        epoch=line.epoch,
        task=line.task,
        role=line.role,
        response=response,
        failure=None if failure is None else canonical(failure),
        spent=None if line.spent is None else Spent.from_dict(line.spent.model_dump()),
        started=line.started,
        finished=line.finished,
    )
    if failure is not None:
        file.check(lambda: from_record(failure))
    if line.kind == "model":
        file.check(lambda: recorded_reply(recording))
    return recording, canonical(request)


def _event(file: RunFile, line: EventLine, places: Places) -> dict[str, Any]:
    event = places.here(line.event)
    if not isinstance(event.get("type"), str) or event.get("seq") != line.seq:
        raise file.wrong("an event needs its `type` and its `seq`")
    if readable(event) != event:
        raise file.wrong(f"its fields are not those of the event {event['type']}")
    return event
