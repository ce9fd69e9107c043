"""Replies in fields: the shape a `graph` node asks for, and replies made up for an estimate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crewmix.definitions.spec_chat import FieldType

VERDICTS = ("approve", "revise")
MADE_UP_ITEMS = 3
"""How many items an estimate expects in a list."""

_TYPES: Mapping[str, Mapping[str, Any]] = {
    "text": {"type": "string"},
    "number": {"type": "number"},
    "boolean": {"type": "boolean"},
    "list": {"type": "array", "items": {"type": "string"}},
}


def schema_of(fields: Mapping[str, FieldType], *, approves: bool = False) -> dict[str, Any] | None:
    """The JSON Schema of a reply in these fields, all of them required; None = plain text.

    Args:
        fields: Name -> type, as in a crew file.
        approves: Whether a reviewer replies, so that the verdict is a field as well.
    """
    if not fields:
        return None
    wanted: dict[str, FieldType] = {**fields, **({"verdict": VERDICTS} if approves else {})}
    return {
        "type": "object",
        "properties": {name: _schema(kind) for name, kind in wanted.items()},
        "required": list(wanted),
        "additionalProperties": False,
    }


def _schema(kind: FieldType) -> dict[str, Any]:
    return {"type": "string", "enum": list(kind)} if isinstance(kind, tuple) else dict(_TYPES[kind])


def made_up(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Data that fits `schema`, for an estimate: lists of three items, the first of the allowed words, 1, true.

    Args:
        schema: What `schema_of` gave.
    """
    return {name: _example(kind) for name, kind in schema["properties"].items()}


def _example(kind: Mapping[str, Any]) -> Any:
    if "enum" in kind:
        return kind["enum"][0]
    items = [f"item {n}" for n in range(1, MADE_UP_ITEMS + 1)]
    return {"string": "text", "number": 1, "boolean": True, "array": items}[kind["type"]]
