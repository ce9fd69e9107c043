"""What is given in Python instead of in files: specs as plain data, models, tools. Checked as strictly, with the same words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from crewmix.definitions.definition import CrewDefinition
from crewmix.definitions.explain import validate
from crewmix.definitions.nodes import SourceFile, from_data
from crewmix.definitions.spec import ModelSpec
from crewmix.definitions.spec_base import Spec
from crewmix.definitions.tool_names import sanitize_tool_name
from crewmix.errors import DefinitionError, UsageError

if TYPE_CHECKING:
    from crewmix.models.types import Model

S = TypeVar("S", bound=Spec)

ModelSource: TypeAlias = "str | ModelSpec | Mapping[str, Any] | Model"
"""What may stand for a model in Python: a model string, a `ModelSpec` or its fields, or an object that answers itself."""


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


def split_models(
    models: Mapping[str, ModelSource] | None,
) -> tuple[dict[str, str | ModelSpec], dict[str, Model]]:
    """Models that are named, and models that are Python objects; the latter stand as `python/NAME` in the definition."""
    strings: dict[str, str | ModelSpec] = {}
    objects: dict[str, Model] = {}
    for name, model in (models or {}).items():
        if isinstance(model, str | ModelSpec):
            strings[name] = model
        elif isinstance(model, Mapping):
            strings[name] = from_python(ModelSpec, model, f"models[{name!r}]")
        elif callable(getattr(model, "complete", None)):
            objects[name] = model
            strings[name] = f"python/{name}"
        else:
            raise UsageError(
                f"the model {name!r} is a {type(model).__name__}",
                hint="give a model string, a ModelSpec or an object with an async `complete(request, on_delta)`",
            )
    return strings, objects


def tool_names(tools: Iterable[object]) -> tuple[str, ...]:
    """The names by which roles can name tools."""
    return tuple(
        sanitize_tool_name(str(getattr(tool, "name", None) or getattr(tool, "__name__", ""))) for tool in tools
    )


def with_free_tools(definition: CrewDefinition, names: Sequence[str]) -> CrewDefinition:
    """The crew with tools that no role names given to every role that can call tools and is no reviewer."""
    named = {tool for role in definition.roles for tool in role.tools}
    free = tuple(name for name in names if name not in named)
    if not free:
        return definition
    roles = tuple(
        role.model_copy(update={"tools": (*role.tools, *free)})
        if role.actor in {"auto", "crewai"} and not role.approves and role.crew is None
        else role
        for role in definition.roles
    )
    return replace(definition, roles=roles)


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
