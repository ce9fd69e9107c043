"""A run as one file that can be sent, kept and read elsewhere.

```
{"type": "crewmix-run", "version": 1, "crewmix": "0.1.0"}
{"type": "run", "run_id": "…", "crew": "…", "goal": "…", "definition": {…}, "status": "done", …}
{"type": "effect", "scope": "task.1/chat/round.1/ann/model", "request": {…}, "response": {…}, "spent": {…}, …}   one each
{"type": "event", "seq": 1, "event": {…}}                                                                       one each
{"type": "end", "effects": 12, "events": 40, "sha256": "…"}                              of all bytes before this line
```

JSON Lines in ASCII; the same run always gives the same bytes. An effect without `response` has no outcome.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

from crewmix import __version__
from crewmix.definitions.project import Project
from crewmix.errors import UsageError
from crewmix.journal.redact import Redactor
from crewmix.journal.rows import IMPORTED, Recording
from crewmix.journal.run import canonical, digest
from crewmix.journal.transfer import CarriedRun, take_out
from crewmix.runs.find import open_runs
from crewmix.runs.places import Places
from crewmix.runs.recorded import checked_row, readable

FORMAT, VERSION = "crewmix-run", 1
_KEY = re.compile(r'"api_key": "\$\{(\w+)\}"', re.ASCII)


def export_run(project: Project, run_id: str, path: Path) -> Path:
    """Write a run into a file, without secrets and without folders of this machine. gzip when its name ends in `.gz`.

    Args:
        project: Where the run's journal is.
        run_id: The run's id, the beginning of it, or `last`.
        path: The file; one that is there is replaced when the new one is whole.

    Raises:
        NotFoundError: There is no such run.
        StorageError: The journal, or what it holds of the run, cannot be read.
        UsageError: The file cannot be written.
    """
    write_lines(path, run_lines(project, run_id))
    return path


def run_lines(project: Project, run_id: str) -> Iterator[str]:
    """The lines of a run's file, each with its line break.

    Raises:
        NotFoundError: There is no such run.
        StorageError: The journal, or what it holds of the run, cannot be read.
    """
    run = take_out(open_runs(project), run_id)
    header = {"type": FORMAT, "version": VERSION, "crewmix": __version__}
    lines = [_line(header), *body_lines(project, run)]
    yield from lines
    sha256 = hashlib.sha256("".join(lines).encode()).hexdigest()
    yield _line({"type": "end", "effects": len(run.effects), "events": len(run.events), "sha256": sha256})


def body_lines(project: Project, run: CarriedRun) -> Iterator[str]:
    """The lines of a run's file between the first and the last.

    Raises:
        StorageError: What the journal holds of the run is damaged.
    """
    definition = {part: data for part, data in run.row.definition.items() if part != IMPORTED}
    redactor = Redactor(os.environ[name] for name in _key_names(definition) if os.environ.get(name))
    places = Places(project, _documents(definition))

    def portable(data: Any) -> Any:
        return redactor.data(places.away(data))

    row = checked_row(run.row)
    head = {"run_id": row.run_id, "crew": row.crew, "goal": row.goal, "definition": definition, "status": row.status}
    times = {"epoch": row.epoch, "created": row.created, "updated": row.updated}
    yield _line(
        {"type": "run", **portable(head), **times, "result": portable(row.result), "error": portable(row.error)}
    )
    for recording, request in run.effects:
        asked = json.loads(request)
        moved = portable(asked)
        outcome = {} if recording.response is None else {"response": portable(json.loads(recording.response))}
        failure = None if recording.failure is None else portable(json.loads(recording.failure))
        effect = {"type": "effect", **_identity(recording), "key": moved_key(recording.key.key, asked, moved)}
        yield _line({**effect, "request": moved, **outcome, "failure": failure})
    for event in run.events:
        yield _line({"type": "event", "seq": event["seq"], "event": portable(readable(event))})


def moved_key(key: str, before: Any, after: Any) -> str:
    """The key of an effect whose request is written in another way: the hash of what is asked, as before."""
    return digest(canonical(after)) if before != after and digest(canonical(before)) == key else key


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """Write a file of lines at once, so that there is never half of it. gzip when its name ends in `.gz`.

    Raises:
        UsageError: The file cannot be written.
    """
    text = "".join(lines).encode()
    data = gzip.compress(text, mtime=0) if path.suffix == ".gz" else text
    half = path.with_name(f".{path.name}.part")
    try:
        if path.exists() and not path.is_file():
            path.write_bytes(data)
            return
        half.write_bytes(data)
        os.replace(half, path)
    except OSError as error:
        with suppress(OSError):
            half.unlink(missing_ok=True)
        raise UsageError(f"{path} cannot be written: {error.strerror or error}") from error


def _identity(recording: Recording) -> dict[str, Any]:
    key = recording.key
    return {
        "scope": key.scope,
        "kind": key.kind,
        "occurrence": key.occurrence,
        "epoch": recording.epoch,
        "task": recording.task,
        "role": recording.role,
        "started": recording.started,
        "finished": recording.finished,
        "spent": recording.spent and recording.spent.as_dict(),
    }


def _line(data: Mapping[str, Any]) -> str:
    return json.dumps(data, separators=(",", ":")) + "\n"


def _key_names(definition: Mapping[str, Any]) -> set[str]:
    """Environment variables that hold the keys of the crew's models, whatever they are called."""
    return set(_KEY.findall(json.dumps(definition)))


def _documents(definition: Mapping[str, Any]) -> list[str]:
    """The folders and files of knowledge, as far as they are named by their place on this machine."""
    crew, options = (cast(Mapping[str, Any], definition.get(part) or {}) for part in ("crew", "options"))
    named = [*cast(Sequence[str], crew.get("knowledge") or ()), *cast(Sequence[str], options.get("knowledge") or ())]
    return [path for path in named if Path(path).is_absolute()]
