"""What a journal holds as the objects that were written into it, checked to the last field: the file may be damaged."""

from __future__ import annotations

import json
from functools import cache
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from crewmix.errors import StorageError
from crewmix.journal.events import EVENTS
from crewmix.journal.rows import Recording, RunRow
from crewmix.models.kept import kept_reply
from crewmix.models.types import ModelReply
from crewmix.result import RunResult
from crewmix.runs.shapes import Definition

T = TypeVar("T")


def checked_row(row: RunRow) -> RunRow:
    """The row of a run, whose definition and result are what a run writes.

    Raises:
        StorageError: They are not.
    """
    try:
        Definition.model_validate(row.definition)
    except ValidationError as error:
        raise StorageError(f"the definition of run {row.run_id} is damaged: {fault(error)}") from None
    recorded_result(row)
    return row


def readable(event: dict[str, Any]) -> dict[str, Any]:
    """A kept event whose fields are what its type says; one of a known type that is not gets the type `Unreadable`."""
    kind = EVENTS.get(event["type"])
    if kind is None:
        return event
    try:
        _reader(kind).validate_python({name: value for name, value in event.items() if name != "type"})
    except ValidationError:
        return {"type": "Unreadable", "text": json.dumps(event), "seq": event["seq"]}
    return event


def recorded_result(row: RunRow) -> RunResult | None:
    """The result of a run; None when it has none.

    Raises:
        StorageError: What the journal holds is no result.
    """
    if row.result is None:
        return None
    try:
        return _reader(RunResult).validate_python(row.result)
    except ValidationError as error:
        raise StorageError(f"the result of run {row.run_id} is damaged: {fault(error)}") from None


def recorded_reply(recording: Recording) -> ModelReply | None:
    """What a model answered; None when it did not.

    Raises:
        StorageError: What the journal holds is no answer of a model.
    """
    if recording.response is None:
        return None
    try:
        _reader(ModelReply).validate_json(recording.response)
        return kept_reply(json.loads(recording.response), recording.key.scope)
    except ValidationError as error:
        raise StorageError(f"the answer at {recording.key.scope} is damaged: {fault(error)}") from None


def fault(error: ValidationError) -> str:
    """The first thing that is wrong: where, and what."""
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(map(str, first["loc"]))
    return f"`{where}`: {first['msg']}" if where else first["msg"]


@cache
def _reader(kind: type[T]) -> TypeAdapter[T]:
    return TypeAdapter(kind)
