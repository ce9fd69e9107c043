"""Errors as data: how a failed effect is kept, so that a replay meets the same failure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from crewmix.errors import BudgetExceededError, CrewmixError, DefinitionError, ModelError, RunError


def as_record(error: CrewmixError) -> dict[str, Any]:
    """The error as JSON-able data."""
    record: dict[str, Any] = {"code": error.code, "message": error.message, "hint": error.hint}
    if isinstance(error, ModelError):
        record |= {"provider": error.provider, "status": error.status, "request_sent": error.request_sent}
    if isinstance(error, BudgetExceededError):
        record |= {name: getattr(error, name) for name in ("limit", "owner", "allowed", "needed", "kept")}
    return record


def from_record(record: Mapping[str, Any]) -> CrewmixError:
    """The error that `as_record` described; one of an unknown code, of a later version, becomes a `RunError`."""
    kind = next((k for k in _kinds(CrewmixError) if k.code == record["code"]), RunError)
    if issubclass(kind, BudgetExceededError):
        sizes = {name: record[name] for name in ("allowed", "needed", "kept")}
        return kind(record["limit"], record["owner"], **sizes)
    if issubclass(kind, DefinitionError):
        kind = RunError
    extra = {
        n: record[n] for n in ("provider", "status", "request_sent") if n in record and issubclass(kind, ModelError)
    }
    return kind(record["message"], hint=record["hint"], **extra)


def _kinds(kind: type[CrewmixError]) -> Iterator[type[CrewmixError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from _kinds(below)
