"""Tools as a journal knows them: what a model sees of them, without the code."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Mapping
from typing import Any

from crewmix.errors import ReplayMissError
from crewmix.tools.base import Tool, ToolContext


def described(tool: Tool) -> dict[str, Any]:
    """A tool as a run records it at its start: all but its function, of which only a hash of the code is kept."""
    return {
        "description": tool.description,
        "parameters": dict(tool.parameters),
        "risk": tool.risk,
        "timeout": tool.timeout,
        "code": _code(tool),
    }


def _code(tool: Tool) -> str:
    """A hash of the function's text; empty when it cannot be had, as for a tool of another framework."""
    if tool.original is None:
        return ""
    try:
        return hashlib.sha256(inspect.getsource(tool.original).encode()).hexdigest()[:16]
    except (OSError, TypeError):
        return ""


def recorded_tools(data: Mapping[str, Mapping[str, Any]]) -> tuple[Tool, ...]:
    """The tools of a recorded run. Their calls are answered from the journal; one that is not there cannot be made.

    Args:
        data: Name -> what `described` gave.
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
