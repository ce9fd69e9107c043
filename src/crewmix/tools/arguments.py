"""Arguments a model wrote, checked; and what to tell it when they are wrong."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, cast

from pydantic import BaseModel, ValidationError

from crewmix.tools.base import Tool

MAX_CHARACTERS = 1_000_000
"""The longest arguments, as JSON text."""
_SHOWN = 300


@dataclass(frozen=True, slots=True)
class Arguments:
    """Checked arguments."""

    values: dict[str, Any]
    """For the function: defaults filled in, nested models as objects."""
    data: dict[str, Any]
    """The same as JSON-able data: for rules, the journal and events."""


def check_arguments(tool: Tool, raw: str | Mapping[str, Any]) -> Arguments:
    """Check arguments against a tool's model or schema.

    Args:
        tool: The tool they are for.
        raw: A JSON object, or its text. A null for an argument that may be left out counts as left out, because
            providers' strict modes write one for each.

    Raises:
        ValueError: The text says, for the model, everything that is wrong and what the tool takes.
    """
    try:
        data = _without_nulls(tool, _parse(raw))
        return _by_model(tool.arguments_model, data) if tool.arguments_model else _by_schema(tool, data)
    except RecursionError:
        problem = "the arguments are nested too deeply"
    except ValidationError as error:
        known = _properties(tool)
        problem = "; ".join(_explain(e, known) for e in error.errors(include_url=False)[:5])
    except ValueError as error:
        problem = str(error)
    except Exception as error:  # a validator of the tool's own failed
        problem = f"{type(error).__name__}: {error}"
    raise ValueError(f"Wrong arguments for {tool.name}: {problem}. {_takes(tool)}")


def _parse(raw: str | Mapping[str, Any]) -> dict[str, Any]:
    try:
        text = raw.strip() or "{}" if isinstance(raw, str) else json.dumps(raw, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(f"they are not JSON data ({error})") from error
    if len(text) > MAX_CHARACTERS:
        raise ValueError(f"they are {len(text):,} characters long, at most {MAX_CHARACTERS:,} are allowed")
    try:
        data = json.loads(text, parse_constant=_refuse_constant)
        json.dumps(data, ensure_ascii=False, allow_nan=False).encode()
    except UnicodeEncodeError as error:
        raise ValueError("they contain half of a Unicode surrogate pair") from error
    except ValueError as error:
        raise ValueError(f"they are not valid JSON ({error})") from error
    if not isinstance(data, dict):
        raise ValueError(f"they must be a JSON object like {{}}, not {text[:50]}")
    return cast(dict[str, Any], data)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON value")


def _properties(tool: Tool) -> Mapping[str, Any]:
    return tool.parameters.get("properties", {})


def _without_nulls(tool: Tool, data: dict[str, Any]) -> dict[str, Any]:
    optional = set(_properties(tool)) - set(tool.parameters.get("required", ()))
    return {key: value for key, value in data.items() if value is not None or key not in optional}


def _by_model(model: type[BaseModel], data: dict[str, Any]) -> Arguments:
    checked = model.model_validate(data)
    extra = checked.model_extra or {}
    values = {info.alias or name: getattr(checked, name) for name, info in model.model_fields.items()}
    return Arguments(
        values={**values, **extra},
        data=checked.model_dump(mode="json", by_alias=True, fallback=str, warnings=False),
    )


def _by_schema(tool: Tool, data: dict[str, Any]) -> Arguments:
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError
    from jsonschema.protocols import Validator
    from referencing import Registry

    try:
        Draft202012Validator.check_schema(tool.parameters)
    except SchemaError as error:
        raise ValueError(f"the tool's own schema is broken ({error.message[:_SHOWN]})") from error
    # An empty registry: a schema must not make us fetch what it refers to.
    validator = cast(Validator, Draft202012Validator(tool.parameters, registry=Registry()))  # pyright: ignore[reportUnknownArgumentType]
    errors = sorted(validator.iter_errors(data), key=lambda e: [str(part) for part in e.path])
    if errors:
        raise ValueError("; ".join(f"{_path(e.path) or 'arguments'}: {e.message[:_SHOWN]}" for e in errors[:5]))
    return Arguments(values=data, data=data)


def _path(parts: Iterable[Any]) -> str:
    return ".".join(map(str, parts))


def _explain(error: Any, known: Mapping[str, Any]) -> str:
    name = _path(error["loc"])
    if error["type"] == "missing":
        return f'the argument "{name}" is missing'
    if error["type"] == "extra_forbidden":
        near = difflib.get_close_matches(name, known, n=1)
        return f'there is no argument "{name}"' + (f', did you mean "{near[0]}"?' if near else "")
    got = json.dumps(error["input"], ensure_ascii=False, default=str)
    got = got if len(got) <= 60 else f"{got[:60]}…"
    return f'"{name}": {error["msg"]}, got {got}' if name else f"{error['msg']}"


def _takes(tool: Tool) -> str:
    required = set(tool.parameters.get("required", ()))
    properties = list(_properties(tool).items())
    shown = [_describe(name, schema, name in required) for name, schema in properties[:30]]
    if len(properties) > 30:
        shown.append(f"and {len(properties) - 30} more")
    return f"It takes: {', '.join(shown)}." if shown else "It takes no arguments."


def _describe(name: str, schema: Any, required: bool) -> str:
    if not isinstance(schema, Mapping):
        return name
    details = cast(Mapping[str, Any], schema)
    kind = details.get("type") or ("one of " + json.dumps(details["enum"]) if "enum" in details else "")
    need = (
        "required" if required else f"default {json.dumps(details['default'])}" if "default" in details else "optional"
    )
    return f"{name} ({', '.join(filter(None, [str(kind), need]))})"
