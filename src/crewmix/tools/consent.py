"""Who must agree before a tool runs."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from crewmix.errors import CrewmixError
from crewmix.journal.events import ApprovalAsked
from crewmix.journal.run import canonical
from crewmix.tools.base import Tool, ToolContext

if TYPE_CHECKING:
    from crewmix.definitions.spec import ApproveSpec

_NOBODY = "it needs consent and nobody can be asked here"


async def refusal(tool: Tool, arguments: Mapping[str, Any], context: ToolContext) -> str | None:
    """Why a call may not happen; None = it may.

    The first of the crew's `approve` rules that matches decides. Without one, tools that only read run and all others need
    the consent of a person. What the person said is an effect, so a resumed run does not ask again.

    Args:
        tool: The tool.
        arguments: What it would be called with, validated and with defaults filled in.
        context: Holds the rules and whom to ask.
    """
    rule = _first_match(tool, arguments, context.rules)
    by = rule.by if rule is not None else ("always" if tool.risk == "read" else "human")
    if by == "human":
        decision, _ = await context.scope.effect(
            "approval", {"tool": tool.name, "arguments": arguments}, lambda: _ask(tool, arguments, context)
        )
        reason = decision["refusal"]
        answer = "yes, by the person in charge" if reason is None else f"no: {reason}"
    else:
        shown = f"the crew's rule `{rule.tools}`" if rule is not None else "default"
        reason = f"{shown} forbids it" if by == "never" else None
        answer = f"{'no' if reason else 'yes'}, by {shown}"
    if tool.risk != "read" or by != "always":
        context.scope.emit(ApprovalAsked(role=context.scope.role, tool=tool.name, arguments=arguments, answer=answer))
    return reason


def _first_match(tool: Tool, arguments: Mapping[str, Any], rules: tuple[ApproveSpec, ...]) -> ApproveSpec | None:
    text = canonical(arguments)
    for rule in rules:
        if fnmatchcase(tool.name, rule.tools) and fnmatchcase(text, rule.arguments):
            return rule
    return None


async def _ask(tool: Tool, arguments: Mapping[str, Any], context: ToolContext) -> dict[str, str | None]:
    if context.approve is None:
        return {"refusal": _NOBODY}
    try:
        answer = await context.approve(context, tool, arguments)
    except CrewmixError:
        raise
    except Exception as error:
        return {"refusal": f"the question could not be put: {type(error).__name__}: {error}"}
    if answer is True:
        return {"refusal": None}
    return {"refusal": answer if isinstance(answer, str) and answer.strip() else "the person in charge said no"}
