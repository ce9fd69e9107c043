"""Rows of the journal's tables as data, checked: the file may be damaged, or come from anywhere."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from crewmix.errors import StorageError
from crewmix.journal.failures import from_record
from crewmix.journal.rows import EffectKey, Recording, RunRow, Spent

RUN_COLUMNS = ("run_id", "crew", "goal", "definition", "status", "epoch", "created", "updated", "result", "error")
EFFECT_COLUMNS = (
    *("scope", "kind", "key", "occurrence", "epoch", "task", "role", "response", "failure", "spent"),
    *("started", "finished"),
)
DAMAGED = "damaged"
"""The status of a run whose row cannot be read."""
_RUN_ID = re.compile(r"\w[\w.-]{0,199}", re.ASCII)
"""It is a part of the name of a lock file."""
_LAST_TIME = 253_402_214_400.0
"""The end of the year 9999, as seconds."""
_HINT = "`crewmix runs --prune --status damaged` deletes such runs; `crewmix import` brings back one that was exported"


class _Fault(Exception):
    """What is wrong with a row."""


def run_row(values: Sequence[Any], path: Path | None) -> RunRow:
    """The row with the columns `RUN_COLUMNS`.

    Raises:
        StorageError: It is damaged; names the file, the run and the column.
    """
    try:
        return _run_row(dict(zip(RUN_COLUMNS, values, strict=True)))
    except _Fault as fault:
        raise StorageError(f"run {values[0]} in {path} is damaged: {fault}", hint=_HINT) from None


def listed_row(values: Sequence[Any], path: Path | None) -> RunRow:
    """The same for a list of runs: a damaged row is one of status `damaged`, with what is wrong as its error."""
    try:
        return run_row(values, path)
    except StorageError as error:
        row = dict(zip(RUN_COLUMNS, values, strict=True))
        created, updated = (row[name] if _is_time(row[name]) else 0.0 for name in ("created", "updated"))
        crew, goal = (str(row[name]) for name in ("crew", "goal"))
        return RunRow(str(row["run_id"]), crew, goal, {}, DAMAGED, 1, created, updated, None, error.message)


def recording(values: Sequence[Any], run_id: str, path: Path | None) -> Recording:
    """The effect with the columns `EFFECT_COLUMNS`.

    Raises:
        StorageError: It is damaged; names the file, the run, the effect's place and the column.
    """
    try:
        return _recording(dict(zip(EFFECT_COLUMNS, values, strict=True)))
    except _Fault as fault:
        message = f"run {run_id} in {path} is damaged: at {values[0]}, {fault}"
        raise StorageError(message, hint=_HINT) from None


def event(seq: int, text: Any) -> dict[str, Any]:
    """A kept event as data; one that cannot be read has the type `Unreadable` and its `text`."""
    try:
        data: Any = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        data = None
    if not isinstance(data, dict) or not isinstance(cast(dict[str, Any], data).get("type"), str):
        data = {"type": "Unreadable", "text": str(text)}
    return {**cast(dict[str, Any], data), "seq": seq}


def _run_row(row: dict[str, Any]) -> RunRow:
    for name in ("run_id", "crew", "goal", "status"):
        _require(name, isinstance(row[name], str), "no text")
    _require("run_id", _RUN_ID.fullmatch(row["run_id"]) is not None, "no id of a run")
    for name in ("created", "updated"):
        _require(name, _is_time(row[name]), "no time")
    _require("epoch", isinstance(row["epoch"], int), "no number")
    _require("error", row["error"] is None or isinstance(row["error"], str), "no text")
    _require("definition", row["definition"] is not None, "missing")
    row["definition"], row["result"] = _object(row, "definition"), _object(row, "result")
    return RunRow(**row)


def _recording(row: dict[str, Any]) -> Recording:
    for name in ("scope", "kind", "key", "task", "role"):
        _require(name, isinstance(row[name], str), "no text")
    for name in ("occurrence", "epoch"):
        _require(name, isinstance(row[name], int), "no number")
    _require("started", _is_time(row["started"]), "no time")
    _require("finished", row["finished"] is None or _is_time(row["finished"]), "no time")
    if row["response"] is not None:
        _json(row, "response")
    failure, spent = _object(row, "failure"), _object(row, "spent")
    try:
        row["spent"] = None if spent is None else _spent(spent)
        if failure is not None:
            from_record(failure)
    except (KeyError, TypeError, ValueError, ArithmeticError):
        raise _Fault("`spent` or `failure` is not what this version writes") from None
    row["key"] = EffectKey(*(row.pop(name) for name in ("scope", "kind", "key", "occurrence")))
    return Recording(**row)


def _spent(data: dict[str, Any]) -> Spent:
    spent = Spent.from_dict(data)
    amount = spent.amount
    usd = amount.usd is None or (amount.usd.is_finite() and amount.usd >= 0)
    counts = all(isinstance(count, int) and count >= 0 for count in (amount.calls, amount.tokens))  # pyright: ignore[reportUnnecessaryIsInstance]
    if not (usd and counts and all(isinstance(key, str) for key in spent.by)):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ValueError("no amount")
    return spent


def _is_time(value: Any) -> bool:
    return isinstance(value, float | int) and math.isfinite(value) and 0 <= value <= _LAST_TIME


def _require(name: str, right: bool, wrong: str) -> None:
    if not right:
        raise _Fault(f"`{name}` is {wrong}")


def _json(row: dict[str, Any], name: str) -> Any:
    try:
        return json.loads(row[name])
    except (TypeError, ValueError, RecursionError):
        raise _Fault(f"`{name}` is no JSON") from None


def _object(row: dict[str, Any], name: str) -> dict[str, Any] | None:
    """The JSON object in a column; None when there is nothing in it."""
    if row[name] is None:
        return None
    data = _json(row, name)
    if not isinstance(data, dict):
        raise _Fault(f"`{name}` is no JSON object")
    return cast(dict[str, Any], data)
