"""`@tool`: a tool from a typed Python function."""

from __future__ import annotations

import inspect
import math
import typing
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, overload

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, create_model
from pydantic.errors import PydanticUserError
from pydantic.json_schema import GenerateJsonSchema

from crewmix.definitions.tool_names import sanitize_tool_name
from crewmix.errors import ToolDefinitionError
from crewmix.tools.base import Risk, Tool, ToolContext
from crewmix.tools.docstring import argument_docs, without_arguments

Function = Callable[..., Any]


@overload
def tool(function: Function, /) -> Tool: ...
@overload
def tool(*, name: str | None = None, risk: Risk = "read", timeout: float = 60.0) -> Callable[[Function], Tool]: ...
def tool(
    function: Function | None = None, /, *, name: str | None = None, risk: Risk = "read", timeout: float = 60.0
) -> Tool | Callable[[Function], Tool]:
    """Make a tool from a typed function.

    The docstring tells the model what the tool does; a Google-style `Args:` section describes its arguments. A parameter
    of type `ToolContext` is filled in by crewmix and hidden from the model. A plain function runs in a thread of its own and
    may block; an `async def` runs on crewmix's event loop and must not. The tool can still be called like the function.

    ```python
    @tool
    def population(city: str) -> int:
        '''Inhabitants of a city, from the 2024 census.'''
        return CENSUS[city]


    @tool(risk="net", timeout=20)
    async def weather(city: str) -> str:
        '''Today's weather in a city.'''
        ...
    ```

    Args:
        function: The function; left out when the decorator is given options.
        name: Its name for models; None = the function's. Made lower case with underscores.
        risk: What it can do to the world. All but `read` need consent: a person's, or a rule's of the crew.
        timeout: Seconds a call may take.

    Raises:
        ToolDefinitionError: The function cannot be a tool; the message says why.
    """
    if function is not None:
        return from_function(function)
    return partial(from_function, name=name, risk=risk, timeout=timeout)


def from_function(function: Function, *, name: str | None = None, risk: Risk = "read", timeout: float = 60.0) -> Tool:
    """What `@tool` does, as a plain call. Arguments and errors as there."""
    _check_function(function)
    shown = name or function.__name__
    if not (final := sanitize_tool_name(shown)):
        raise ToolDefinitionError(f"{shown!r} cannot be a tool's name", hint="use letters, digits and underscores")
    if risk not in typing.get_args(Risk):
        raise ToolDefinitionError(f"tool `{final}`: risk {risk!r} is unknown", hint="use read, write, exec or net")
    if not (timeout > 0 and math.isfinite(timeout)):
        raise ToolDefinitionError(f"tool `{final}`: timeout must be a number of seconds over 0, not {timeout!r}")
    documentation = inspect.getdoc(function) or ""
    description = without_arguments(documentation)
    if not description:
        raise _unfit(function, "it has no docstring", "its first line tells the model what the tool does")
    types = _parameter_types(function)
    context_names = tuple(n for n, kind in types.items() if kind is ToolContext)
    model = _arguments_model(function, {n: t for n, t in types.items() if n not in context_names}, documentation)
    return Tool(
        name=final,
        description=description,
        parameters=_schema(model),
        function=_runner(function, context_names),
        risk=risk,
        timeout=float(timeout),
        source=function.__module__,
        arguments_model=model,
        original=function,
    )


def _unfit(function: Function, why: str, hint: str | None = None) -> ToolDefinitionError:
    code = getattr(inspect.unwrap(function), "__code__", None)
    place = f" ({code.co_filename}:{code.co_firstlineno})" if code is not None else ""
    name = getattr(function, "__name__", repr(function))
    return ToolDefinitionError(f"`{name}`{place} cannot be a tool: {why}", hint=hint)


def _check_function(function: object) -> None:
    if not (inspect.isfunction(function) or inspect.ismethod(function)):
        raise ToolDefinitionError(
            f"{function!r:.200} cannot be a tool: it is not a function",
            hint="put `@tool` on a function; without options it takes no parentheses",
        )
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise _unfit(function, "it yields", "return all of its result at once")


def _parameter_types(function: Function) -> dict[str, Any]:
    bare = inspect.unwrap(function)
    annotations = {n: a for n, a in getattr(bare, "__annotations__", {}).items() if n != "return"}
    types: dict[str, Any] = {}
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
            raise _unfit(function, f"a model cannot fill in the parameter `{parameter}`", "name each parameter")
        if name.startswith("_"):
            raise _unfit(function, f"the parameter `{name}` begins with an underscore")
        if name not in annotations:
            raise _unfit(function, f"its parameter `{name}` has no type", f"write `{name}: str` or the like")
        types[name] = _resolve(function, name, annotations[name], bare)
    return types


def _resolve(function: Function, name: str, annotation: Any, bare: Function) -> Any:
    holder: Any = type("Holder", (), {"__annotations__": {name: annotation}})
    try:
        return typing.get_type_hints(holder, globalns=getattr(bare, "__globals__", {}), include_extras=True)[name]
    except Exception as error:
        raise _unfit(
            function,
            f"the type `{annotation}` of its parameter `{name}` cannot be found ({error})",
            "import or define the type at the top level of the module, not inside a function or `if TYPE_CHECKING`",
        ) from error


def _arguments_model(function: Function, types: Mapping[str, Any], documentation: str) -> type[BaseModel]:
    docs = argument_docs(documentation)
    parameters = inspect.signature(function).parameters
    fields: dict[str, Any] = {}
    for name, kind in types.items():
        default = parameters[name].default
        options: dict[str, Any] = {} if default is inspect.Parameter.empty else {"default": default}
        if name in docs:
            options["description"] = docs[name]
        if taken := hasattr(BaseModel, name):
            options["alias"] = name
        fields[f"{name}_" if taken else name] = (kind, Field(**options))
    config = ConfigDict(extra="forbid", protected_namespaces=(), validate_by_name=True, validate_by_alias=True)
    try:
        model = create_model(f"{function.__name__}_arguments", __config__=config, **fields)
        _schema(model)
    except (PydanticUserError, TypeError, ValueError) as error:
        culprit = next((n for n, kind in types.items() if not _describable(kind)), None)
        what = f"the type of its parameter `{culprit}`" if culprit else "its parameters"
        raise _unfit(
            function,
            f"{what} cannot be described to a model ({str(error).splitlines()[0]})",
            "use str, int, float, bool, Literal, list, dict, dates, dataclasses, TypedDicts or pydantic models",
        ) from error
    return model


def _describable(kind: Any) -> bool:
    try:
        TypeAdapter(kind).json_schema()
    except (PydanticUserError, TypeError, ValueError):
        return False
    return True


class _JsonSchema(GenerateJsonSchema):
    ignored_warning_kinds = {"skipped-choice", "non-serializable-default"}  # noqa: RUF012


def _schema(model: type[BaseModel]) -> dict[str, Any]:
    """The model's JSON Schema, as short as it can be: every call of a role pays for it.

    That unknown arguments are refused need not be said in advance; a model that sends one is told.
    """
    schema = model.model_json_schema(schema_generator=_JsonSchema)
    schema.pop("title", None)
    schema.pop("additionalProperties", None)
    required = schema.get("required", [])
    for name, details in schema.setdefault("properties", {}).items():
        details.pop("title", None)
        if name not in required:
            _drop_null(details)
    return schema


def _drop_null(details: dict[str, Any]) -> None:
    """`X | None = None` is shown as an optional X: models leave it out instead of writing null."""
    choices = [c for c in details.get("anyOf", ()) if c != {"type": "null"}]
    if details.get("default", ...) is None and len(choices) < len(details.get("anyOf", ())):
        del details["default"], details["anyOf"]
        details.update(choices[0] if len(choices) == 1 else {"anyOf": choices})


def _runner(function: Function, context_names: tuple[str, ...]) -> Callable[[Mapping[str, Any], ToolContext], Any]:
    if inspect.iscoroutinefunction(function):

        async def run_async(arguments: Mapping[str, Any], context: ToolContext) -> Any:
            return await function(**arguments, **dict.fromkeys(context_names, context))

        return run_async

    def run(arguments: Mapping[str, Any], context: ToolContext) -> Any:
        return function(**arguments, **dict.fromkeys(context_names, context))

    return run
