"""Who must agree before a tool runs."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from crewmix.errors import PersonMissingError
from crewmix.journal.events import ApprovalAsked, PersonAnswered, PersonAsked
from crewmix.journal.run import Run, canonical
from crewmix.tools.base import Tool, ToolContext
from crewmix.tools.people import Consent, put, shown

if TYPE_CHECKING:
    from crewmix.definitions.spec import ApproveSpec

_allowed: WeakKeyDictionary[Run, set[str]] = WeakKeyDictionary()
"""Tools that a person allowed for the rest of a run."""


async def refusal(tool: Tool, arguments: Mapping[str, Any], context: ToolContext) -> str | None:
    """Why a call may not happen; None = it may.

    The first of the crew's `approve` rules that matches decides. Without one, tools that only read run and all others need
    the consent of a person. What the person said is an effect, so a resumed run does not ask again; that nobody could be asked
    is no answer, so it does.

    Args:
        tool: The tool.
        arguments: What it would be called with, validated and with defaults filled in.
        context: Holds the rules and whom to ask.

    Raises:
        WaitingError: Nobody can be asked now, and the run is to wait.
    """
    rule = next((rule for rule in context.rules if matches(rule, tool.name, arguments)), None)
    by = rule.by if rule is not None else ("always" if tool.risk == "read" else "human")
    if by == "human":
        reason, answer = await _decided(tool, arguments, context)
    else:
        named = f"the crew's rule `{rule.tools}`" if rule is not None else "default"
        reason = f"{named} forbids it" if by == "never" else None
        answer = f"{'no' if reason else 'yes'}, by {named}"
    if tool.risk != "read" or by != "always":
        context.scope.emit(ApprovalAsked(role=context.scope.role, tool=tool.name, arguments=arguments, answer=answer))
    return reason


# -- rules ----------------------------------------------------------------------------------------------------------------


def matches(rule: ApproveSpec, tool: str, arguments: Mapping[str, Any]) -> bool:
    """Whether a rule is about a call.

    Paths that lead back (`out/../secret`) are also read as what they come to: a rule that allows must match both ways, one that
    asks or forbids either.
    """
    if not fnmatchcase(tool, rule.tools):
        return False
    both = [_fits(rule.arguments, read) for read in (arguments, _straight(arguments))]
    return all(both) if rule.by == "always" else any(both)


def _fits(globs: str | Mapping[str, str], arguments: Mapping[str, Any]) -> bool:
    if isinstance(globs, str):
        return fnmatchcase(canonical(arguments), globs)
    return all(name in arguments and fnmatchcase(_text(arguments[name]), glob) for name, glob in globs.items())


def _text(value: Any) -> str:
    return value if isinstance(value, str) else canonical(value)


def _straight(value: Any) -> Any:
    """The same data, every text that can be a path without its detours."""
    match value:
        case str():
            head, mark, path = value.rpartition("://")
            end = "/" if path.endswith("/") else ""
            return head + mark + f"{posixpath.normpath(path)}{end}".replace("//", "/") if "/" in path else value
        case Mapping():
            return {name: _straight(item) for name, item in value.items()}  # pyright: ignore[reportUnknownVariableType]
        case list():
            return [_straight(item) for item in value]  # pyright: ignore[reportUnknownVariableType]
        case _:
            return value


# -- asking ---------------------------------------------------------------------------------------------------------------


async def _decided(tool: Tool, arguments: Mapping[str, Any], context: ToolContext) -> tuple[str | None, str]:
    """Why a person refuses, None = not at all; and the same for the event."""
    scope, allowed = context.scope, _allowed_tools(context.scope.run)
    text = question(scope.role, tool.name, arguments)

    async def perform() -> dict[str, Any]:
        if tool.name in allowed:
            return {"refusal": None, "standing": True}
        told = PersonAsked(kind="approval", role=scope.role, question=text)
        answer = await put(scope, context.people, told, text, context.people.approve, context, tool, arguments)
        return answer_record(tool.name, answer)

    try:
        record, recalled = await scope.effect("approval", {"tool": tool.name, "arguments": arguments}, perform)
    except PersonMissingError as error:
        return f"it needs consent, and {error.message}", f"no: {error.message}"
    if record.get("standing"):
        return None, "yes, allowed for the whole run"
    reason = record["refusal"]
    if "always" in record:
        allowed.add(record["always"])
    answer = "yes, by the person in charge" if reason is None else f"no: {reason}"
    scope.emit(PersonAnswered(kind="approval", role=scope.role, answer=answer, recalled=recalled))
    return reason, answer


def question(role: str, tool: str, arguments: Mapping[str, Any]) -> str:
    """What a person is asked about a call of `tool`."""
    return f"{role or 'The crew'} wants to run {tool} with {canonical(arguments)}"


def answer_record(tool: str, answer: object) -> dict[str, Any]:
    """What the journal keeps of a person's answer about a call of `tool`.

    Args:
        tool: The tool's name.
        answer: True, `Consent.ALWAYS`, False, or a text that says why not.

    Raises:
        PersonMissingError: It is none of these.
    """
    if answer is True:
        return {"refusal": None}
    if answer is Consent.ALWAYS:
        return {"refusal": None, "always": tool}
    if answer is False or isinstance(answer, str):
        return {"refusal": answer.strip() or _NO if isinstance(answer, str) else _NO}
    raise PersonMissingError(f"`approve` gave {shown(answer)} instead of True, False or a text that says why not")


_NO = "the person in charge said no"


def _allowed_tools(run: Run) -> set[str]:
    if run not in _allowed:
        records = (json.loads(r.response) for r in run.recordings("approval") if r.response is not None)
        _allowed[run] = {record["always"] for record in records if "always" in record}
    return _allowed[run]
