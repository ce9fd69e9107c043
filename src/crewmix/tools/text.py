"""What a model gets to see of a tool's result: text, of bounded length, without secrets."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel

from crewmix.journal.redact import Redactor
from crewmix.tools.base import ToolResult

LIMIT = 16_000
"""The most characters of a result."""
_HEAD = 12_000
_TAIL = 3_900
_MARGIN = 4_000
"""Read beyond a cut while looking for secrets, so that one that lies across it is found."""
_EMPTY = "(no result)"


def to_result(value: Any) -> Any:
    """Whatever a tool returned as a `ToolResult`; an awaitable is returned as it is."""
    if hasattr(value, "__await__"):
        return value
    if not isinstance(value, ToolResult):
        return ToolResult(to_text(value))
    if value.ok or value.error:
        return value
    return dataclasses.replace(value, error="failed")


def to_text(value: Any) -> str:
    """Any value as text for a model: text as it is, data as JSON, nothing as `(no result)`, other things by `str`."""
    if value is None or value == "":
        return _EMPTY
    if isinstance(value, str):
        return value
    if isinstance(value, bytes | bytearray):
        return f"({len(value)} bytes of binary data)"
    if isinstance(value, dict | list | tuple | set | frozenset | BaseModel) or dataclasses.is_dataclass(value):
        try:
            return json.dumps(value, ensure_ascii=False, default=_jsonable)
        except (TypeError, ValueError, RecursionError):
            return str(value)  # pyright: ignore[reportUnknownArgumentType]
    return str(value)


def _jsonable(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", fallback=str, warnings=False)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    if isinstance(value, set | frozenset):
        return sorted(value, key=str)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    return str(value)


def presentable(result: ToolResult, redactor: Redactor) -> ToolResult:
    """The result as it may be shown and kept: clipped, without secrets, and valid Unicode. Doing it twice changes nothing."""
    text, cut = clip(result.text, redactor.text)
    sources = tuple(dataclasses.replace(s, quote=clip(s.quote, redactor.text)[0]) for s in result.sources)
    return dataclasses.replace(result, text=text, sources=sources, clipped=result.clipped or cut)


def clip(text: str, clean: Callable[[str], str]) -> tuple[str, bool]:
    """Text of at most `LIMIT` characters, cleaned, and whether something was cut from its middle.

    Args:
        text: The whole text, of any length.
        clean: Removes secrets.
    """
    if len(text) <= LIMIT:
        text = clean(text)
    if len(text) <= LIMIT:
        return _valid(text), False
    head = clean(text[: _HEAD + _MARGIN])[:_HEAD]
    tail = clean(text[-_TAIL - _MARGIN :])[-_TAIL:]
    gone = len(text) - _HEAD - _TAIL
    return _valid(f"{head}\n… [{gone:,} characters left out here; ask for less at a time] …\n{tail}"), True


def _valid(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")
