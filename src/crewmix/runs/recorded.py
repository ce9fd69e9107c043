"""What a journal holds as the objects that were written into it, checked to the last field: the file may be damaged."""

from __future__ import annotations

from functools import cache
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from crewmix.errors import StorageError
from crewmix.journal.rows import Recording, RunRow
from crewmix.models.types import ModelReply
from crewmix.result import RunResult

T = TypeVar("T")


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
        return _reader(ModelReply).validate_json(recording.response)
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
