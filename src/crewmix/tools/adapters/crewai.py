"""crewAI tools as ours, and ours as crewAI's."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Mapping
from typing import Any, cast

from crewai.tools import BaseTool
from crewai.tools.base_tool import Tool as DecoratedTool
from crewai.tools.tool_failure import ToolFailure, ToolFailureReason
from pydantic import BaseModel, ConfigDict, PrivateAttr, create_model

from crewmix.definitions.tool_names import sanitize_tool_name
from crewmix.errors import ToolDefinitionError
from crewmix.tools.base import Risk, Tool, ToolContext, ToolErrorCode, ToolResult

BlockingCall = Callable[[Tool, dict[str, Any]], ToolResult]
"""Calls a tool through `crewmix.tools.door.call` on the home loop and waits. What stops the run must not be raised here,
because crewAI turns every exception of a tool into text for the model: remember it, return a failed result, and raise from
a PRE_TOOL_CALL hook or the next model call."""

_REASONS: dict[ToolErrorCode | None, ToolFailureReason] = {
    "bad_args": ToolFailureReason.INVALID_INPUT,
    "unknown_tool": ToolFailureReason.UNKNOWN_TOOL,
}


def from_crewai(tool: BaseTool | type[BaseTool], *, risk: Risk = "net", timeout: float = 60.0) -> Tool:
    """A crewAI tool as one of ours.

    Nothing in a crewAI tool says what it does to the world, so unless told otherwise it counts as `net`: calls need
    consent, or a rule like `approve: [{tools: "serper*", by: always}]` in the crew file.

    Args:
        tool: An instance, or a class that can be made without arguments.
        risk: What it can do to the world.
        timeout: Seconds a call may take.

    Raises:
        ToolDefinitionError: It cannot be made, or has no usable name, description or arguments.
    """
    instance = _instance(tool)
    name = sanitize_tool_name(instance.name)
    if not name or not instance.description.strip():
        raise ToolDefinitionError(f"the crewAI tool {type(instance).__name__} needs a name and a description")
    model = instance.args_schema
    try:
        parameters = model.model_json_schema()
    except Exception as error:
        raise ToolDefinitionError(f"the arguments of the crewAI tool {name} cannot be described: {error}") from error
    return Tool(
        name=name,
        description=instance.description.strip(),
        parameters={**parameters, "properties": parameters.get("properties", {})},
        function=_runner(instance),
        risk=risk,
        timeout=timeout,
        source=f"crewai:{type(instance).__module__}.{type(instance).__qualname__}",
        arguments_model=model,
    )


def _instance(tool: BaseTool | type[BaseTool]) -> BaseTool:
    if not isinstance(tool, type):
        return tool
    try:
        return tool()  # pyright: ignore[reportCallIssue]
    except Exception as error:
        raise ToolDefinitionError(
            f"the crewAI tool {tool.__name__} cannot be made without arguments: {error}",
            hint=f"give an instance: tools=[{tool.__name__}(…)]",
        ) from error


def _runner(tool: BaseTool) -> Callable[[Mapping[str, Any], ToolContext], Any]:
    # crewAI runs `async def _run` by asyncio.run, a new loop for each call, in which connection pools break.
    function: Any = tool.func if isinstance(tool, DecoratedTool) else tool._run  # pyright: ignore
    if inspect.iscoroutinefunction(function):

        async def on_loop(arguments: Mapping[str, Any], context: ToolContext) -> Any:
            spent = tool._claim_usage()  # pyright: ignore[reportPrivateUsage]
            return _result(spent or await function(**_plain(arguments)))

        return on_loop

    def in_thread(arguments: Mapping[str, Any], context: ToolContext) -> Any:
        return _result(tool.run(**_plain(arguments)))

    return in_thread


def _plain(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Nested models as dicts: that is what crewAI gives its tools."""
    return {k: v.model_dump() if isinstance(v, BaseModel) else v for k, v in arguments.items()}


def _result(value: Any) -> Any:
    if isinstance(value, ToolFailure):
        return ToolResult(value.message, ok=False, error="failed")
    return value


def never_cache(_arguments: Any = None, _result: Any = None) -> bool:
    """Tells crewAI not to answer a call of a tool with side effects from its cache."""
    return False


class CrewMixTool(BaseTool):
    """One of our tools inside a crewAI agent."""

    _tool: Tool = PrivateAttr()
    _call: BlockingCall = PrivateAttr()

    def _validate_kwargs(self, kwargs: dict[str, Any]) -> dict[str, Any]:
        return kwargs  # the door validates, with better texts

    def _run(self, **kwargs: Any) -> Any:
        result = self._call(self._tool, kwargs)
        if result.ok:
            return result.text
        return ToolFailure(
            message=result.text, reason=_REASONS.get(result.error, ToolFailureReason.TOOL_REPORTED), code=result.error
        )

    async def _arun(self, **kwargs: Any) -> Any:
        return await asyncio.to_thread(self._run, **kwargs)


def to_crewai(tool: Tool, call: BlockingCall) -> BaseTool:
    """One of our tools for a crewAI agent.

    Args:
        tool: The tool.
        call: Calls it and waits; crewAI runs tools on worker threads.
    """
    ours = CrewMixTool(
        name=tool.name,
        description=tool.description,
        args_schema=tool.arguments_model or _schema_model(tool),
        cache_function=never_cache,
    )
    ours._tool, ours._call = tool, call  # pyright: ignore[reportPrivateUsage]
    return ours


def _schema_model(tool: Tool) -> type[BaseModel]:
    """A model that shows the tool's own JSON Schema word for word and accepts everything: the door validates."""

    class Shown(BaseModel):
        model_config = ConfigDict(extra="allow")

        @classmethod
        def model_json_schema(cls, *args: Any, **kwargs: Any) -> dict[str, Any]:
            return dict(tool.parameters)

    required = set(tool.parameters.get("required", ()))
    names = (n for n in tool.parameters.get("properties", {}) if n.isidentifier() and not n.startswith("_"))
    fields: dict[str, Any] = {n: (Any, ... if n in required else None) for n in names if not hasattr(BaseModel, n)}
    return cast(type[BaseModel], create_model(f"{tool.name}_arguments", __base__=Shown, **fields))
