"""Tools as a journal knows them: what a model sees of them, without the code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crewmix.errors import ReplayMissError
from crewmix.tools.base import Tool, ToolContext


def recorded_tools(data: Mapping[str, Mapping[str, Any]]) -> tuple[Tool, ...]:
    """The tools of a recorded run. Their calls are answered from the journal; one that is not there cannot be made.

    Args:
        data: Name -> `description`, `parameters`, `risk` and `timeout`, as a run records them at its start.
    """
    return tuple(
        Tool(
            name=name,
            description=tool["description"],
            parameters=tool["parameters"],
            function=_never,
            risk=tool["risk"],
            timeout=tool["timeout"],
            source="recorded",
        )
        for name, tool in data.items()
    )


def _never(_arguments: Mapping[str, Any], context: ToolContext) -> Any:
    raise ReplayMissError(f"the tool called at {context.scope.path} is only known by its description")
