"""AutoGen tools as ours, and ours as AutoGen's."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, cast

from autogen_core import CancellationToken
from autogen_core.tools import BaseTool, ParametersSchema, ToolSchema
from pydantic import BaseModel, ConfigDict

from crewmix.definitions.tool_names import sanitize_tool_name
from crewmix.tools.base import Risk, Tool, ToolContext, ToolResult

AsyncCall = Callable[[Tool, dict[str, Any]], Awaitable[ToolResult]]
"""Calls a tool through `crewmix.tools.door.call`."""


def from_autogen(tool: BaseTool[Any, Any], *, risk: Risk = "net", timeout: float = 60.0) -> Tool:
    """An AutoGen tool (`FunctionTool` and the like) as one of ours.

    As with crewAI tools nothing says what it does to the world, so it counts as `net` unless told otherwise.

    Args:
        tool: The tool.
        risk: What it can do to the world.
        timeout: Seconds a call may take; then its cancellation token is cancelled.
    """

    async def run(arguments: Mapping[str, Any], context: ToolContext) -> Any:
        token = CancellationToken()
        try:
            return tool.return_value_as_string(await tool.run_json(dict(arguments), token))
        except asyncio.CancelledError:
            token.cancel()
            raise

    return Tool(
        name=sanitize_tool_name(tool.name),
        description=tool.description,
        parameters=cast(Mapping[str, Any], tool.schema.get("parameters", {"type": "object", "properties": {}})),
        function=run,
        risk=risk,
        timeout=timeout,
        source=f"autogen:{type(tool).__module__}.{type(tool).__qualname__}",
    )


class ToolFailedError(Exception):
    """A failed call; AutoGen shows its text to the model and marks the result as an error."""


class _AnyArguments(BaseModel):
    model_config = ConfigDict(extra="allow")


class AutoGenTool(BaseTool[BaseModel, BaseModel]):
    """One of our tools inside an AutoGen agent or workbench."""

    def __init__(self, tool: Tool, call: AsyncCall) -> None:
        super().__init__(tool.arguments_model or _AnyArguments, BaseModel, tool.name, tool.description)
        self._tool = tool
        self._call = call

    @property
    def schema(self) -> ToolSchema:
        """Our own JSON Schema: AutoGen's translation would lose constraints."""
        return ToolSchema(
            name=self._tool.name,
            description=self._tool.description,
            parameters=cast(ParametersSchema, dict(self._tool.parameters)),
            strict=False,
        )

    async def run_json(
        self, args: Mapping[str, Any], cancellation_token: CancellationToken, call_id: str | None = None
    ) -> Any:
        """Call the tool.

        Raises:
            ToolFailedError: The call failed; the text is for the model.
        """
        work = asyncio.ensure_future(self._call(self._tool, dict(args)))
        cancellation_token.link_future(work)
        result = await work
        if not result.ok:
            raise ToolFailedError(result.text)
        return result.text

    async def run(self, args: BaseModel, cancellation_token: CancellationToken) -> Any:
        """As `run_json`, with arguments as a model."""
        return await self.run_json(args.model_dump(mode="json", by_alias=True), cancellation_token)


def to_autogen(tool: Tool, call: AsyncCall) -> BaseTool[BaseModel, BaseModel]:
    """One of our tools for an AutoGen agent.

    Args:
        tool: The tool.
        call: Calls it.
    """
    return AutoGenTool(tool, call)
