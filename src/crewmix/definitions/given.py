"""Specs given in Python as plain data, checked as strictly as a file and with the same words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from crewmix.definitions.explain import validate
from crewmix.definitions.nodes import SourceFile, from_data
from crewmix.definitions.spec import Spec
from crewmix.errors import DefinitionError

S = TypeVar("S", bound=Spec)


def from_python(kind: type[S], data: Mapping[str, Any], label: str) -> S:
    """A spec from a mapping whose values may be specs, paths and numbers of any kind.

    Args:
        kind: Which spec.
        data: Its fields.
        label: What to call it in messages, e.g. `budget`.

    Raises:
        DefinitionError: Everything that is wrong with it.
    """
    made, _, problems = validate(kind, from_data(_plain(data), SourceFile(label)))
    if problems or made is None:
        raise DefinitionError(problems)
    return made


def _plain(value: Any) -> Any:
    """JSON-able data; of a spec only what was set, since a default that nobody wrote is no mistake."""
    match value:
        case BaseModel():
            return value.model_dump(mode="json", exclude_unset=True)
        case Mapping():
            return {str(k): _plain(v) for k, v in value.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        case list() | tuple():
            return [_plain(item) for item in value]  # pyright: ignore[reportUnknownVariableType]
        case _:
            return to_jsonable_python(value, fallback=lambda other: f"{type(other).__name__} object")
