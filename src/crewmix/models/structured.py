"""Answers as JSON of a wanted shape: asking for it, reading it, and saying what is wrong with it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, cast

from crewmix.models.types import ChatMessage, ModelReply, ModelRequest

Schema = Mapping[str, Any]

_FENCE = re.compile(r"```(?:json)?\s*\n(.*?)```", re.DOTALL)
_NOT_STRICT = frozenset({"default", "examples", "title", "$schema", "$id"})


def strict_schema(schema: Schema) -> dict[str, Any] | None:
    """`schema` as OpenAI's strict mode wants it, None where strict mode cannot express it.

    Strict mode demands that every object closes itself and requires all its properties; an optional one becomes nullable.
    See https://platform.openai.com/docs/guides/structured-outputs.
    """
    try:
        return _strict(schema)
    except _OpenObject:
        return None


class _OpenObject(Exception):
    """The schema allows properties that it does not name."""


def _strict(node: Any) -> Any:
    if isinstance(node, list):
        return [_strict(item) for item in cast(list[Any], node)]
    if not isinstance(node, Mapping):
        return node
    fields = cast(Mapping[str, Any], node)
    if fields.get("type") == "object" or "properties" in fields:
        return _strict_object(fields)
    named = ("$defs", "definitions")
    return {
        key: {name: _strict(part) for name, part in value.items()}
        if key in named
        else value
        if key in ("enum", "const", "required")
        else _strict(value)
        for key, value in fields.items()
        if key not in _NOT_STRICT
    }


def _strict_object(fields: Mapping[str, Any]) -> dict[str, Any]:
    properties: Mapping[str, Any] = fields.get("properties") or {}
    if not properties or fields.get("additionalProperties") not in (None, False):
        raise _OpenObject
    required = set(fields.get("required", ()))
    rest = {k: v for k, v in fields.items() if k not in ("properties", "required", "additionalProperties", "type")}
    closed = {name: _strict(part) for name, part in properties.items()}
    return {
        "type": "object",
        **_strict(rest),
        "properties": {name: part if name in required else _nullable(part) for name, part in closed.items()},
        "required": list(properties),
        "additionalProperties": False,
    }


def _nullable(part: Any) -> Any:
    kind = part.get("type")
    if isinstance(kind, str) and "enum" not in part and "const" not in part:
        return {**part, "type": [kind, "null"]} if kind != "null" else part
    options = part.get("anyOf")
    if options is not None and {"type": "null"} in options:
        return part
    return {"anyOf": [part, {"type": "null"}]}


def wanted(schema: Schema) -> str:
    """The words that ask for a reply of this shape."""
    return (
        "Reply with one JSON value that fits this JSON Schema, and with nothing else: no explanation, no code fence.\n"
        + json.dumps(schema, ensure_ascii=False)
    )


def in_prompt(request: ModelRequest) -> ModelRequest:
    """The request with its schema written into the prompt, for servers that take no `json_schema`."""
    wish = wanted(request.schema or {})
    first, *others = request.messages
    if first.role == "system":
        messages = (replace(first, content=f"{first.content}\n\n{wish}"), *others)
    else:
        messages = (ChatMessage("system", wish), *request.messages)
    return replace(request, messages=messages)


def read(text: str, schema: Schema) -> tuple[Any, str | None]:
    """The JSON value in a model's text, and what is wrong with it (None = it fits `schema`).

    Text around the JSON, code fences, and the slips that models make (trailing commas, single quotes, a missing bracket) are
    forgiven; a value of the wrong shape is not.
    """
    if not text.strip():
        return None, "it is empty"
    try:
        return _checked(_parse(text), schema)
    except ValueError:
        return None, "it is not JSON"
    except RecursionError:
        return None, "it is nested too deeply"


def _parse(text: str) -> Any:
    candidates = [text, *_FENCE.findall(text)]
    for candidate in candidates:
        with suppress(ValueError):
            return json.loads(candidate)
    if "{" not in text and "[" not in text:
        raise ValueError(text)
    import json_repair

    return json_repair.loads(candidates[-1], skip_json_loads=True)


def _checked(value: Any, schema: Schema) -> tuple[Any, str | None]:
    value = without_nulls(value, schema, schema)
    from jsonschema import Draft202012Validator

    # Only the message and place of an error are used, so the untyped library stays inside this function.
    errors = sorted(Draft202012Validator(dict(schema)).iter_errors(value), key=lambda e: e.json_path)  # pyright: ignore[reportUnknownMemberType, reportUnknownLambdaType, reportUnknownArgumentType]
    if not errors:
        return value, None
    return value, "; ".join(f"at {e.json_path}: {e.message[:200]}" for e in errors[:5])


def without_nulls(value: Any, schema: Any, root: Schema) -> Any:
    """`value` without the nulls by which strict mode writes "left out"."""
    schema = _resolved(schema, root)
    if isinstance(value, list) and isinstance(schema.get("items"), Mapping):
        return [without_nulls(item, schema["items"], root) for item in cast(list[Any], value)]
    if not isinstance(value, dict) or "properties" not in schema:
        return cast(Any, value)
    properties, required = schema["properties"], schema.get("required", ())
    return {
        key: without_nulls(item, properties.get(key, {}), root)
        for key, item in cast(dict[str, Any], value).items()
        if item is not None or key in required or key not in properties or _takes_null(properties[key], root)
    }


def _resolved(schema: Any, root: Schema) -> Mapping[str, Any]:
    for _ in range(20):
        if not isinstance(schema, Mapping):
            return {}
        reference = str(cast(Mapping[str, Any], schema).get("$ref", ""))
        if not reference.startswith("#/"):
            break
        schema = root
        for step in reference[2:].split("/"):
            schema = cast(Mapping[str, Any], schema).get(step, {}) if isinstance(schema, Mapping) else {}
    return cast(Mapping[str, Any], schema)


def _takes_null(schema: Any, root: Schema) -> bool:
    found = _resolved(schema, root)
    kind = found.get("type")
    if kind == "null" or (isinstance(kind, list) and "null" in kind) or not found:
        return True
    if None in found.get("enum", ()):
        return True
    return any(_takes_null(option, root) for key in ("anyOf", "oneOf") for option in found.get(key, ()))


def ask_again(request: ModelRequest, reply: ModelReply, problem: str) -> ModelRequest:
    """The request once more, with the answer that did not fit and what is wrong with it."""
    said = ChatMessage("assistant", reply.text or "(nothing)")
    return replace(request, messages=(*request.messages, said, ChatMessage("user", complaint(problem))))


def complaint(problem: str) -> str:
    """What a model is told about a reply that cannot be used."""
    return f"That reply cannot be used: {problem}. Reply again, with only the corrected JSON."
