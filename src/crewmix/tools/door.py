"""The one door to every tool: validate, approve, run, clip, journal."""

from __future__ import annotations

import asyncio
import difflib
import inspect
import time
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from crewmix.errors import BudgetExceededError, FencedError, RunCancelledError, StorageError, WaitingError
from crewmix.journal.events import ToolCalled, Warned
from crewmix.tools.arguments import check_arguments
from crewmix.tools.base import Tool, ToolContext, ToolErrorCode, ToolResult
from crewmix.tools.consent import refusal
from crewmix.tools.people import wait_for_any
from crewmix.tools.text import presentable, to_result
from crewmix.tools.threads import in_thread

STOPS_RUN = (BudgetExceededError, RunCancelledError, FencedError, StorageError, WaitingError)
"""Errors that end the whole run, so a tool that raises one is no mere failed call."""


async def call(
    tool: Tool | None,
    arguments: str | Mapping[str, Any],
    context: ToolContext,
    *,
    name: str,
    known: Collection[str] = (),
) -> ToolResult:
    """Call a tool for a model.

    Whatever goes wrong becomes a result whose text tells the model what to do better; only what stops the whole run is
    raised. The call is an effect of `context.scope`: a resumed run gets the recorded result and the tool does not run again.

    Args:
        tool: The tool; None = there is none of that name.
        arguments: A JSON object, or its text exactly as the model wrote it.
        context: What the tool may use, and where in the run this happens.
        name: The name the model asked for.
        known: Names of the tools there are; used to suggest one when `tool` is None.

    Raises:
        BudgetExceededError: Raised by the tool.
        RunCancelledError: The run was cancelled, or the tool was interrupted.
        FencedError: Another process owns the run.
        StorageError: The journal cannot be written.
        WaitingError: The run waits for a person who has to consent or to answer.
    """
    if tool is None:
        return _announce(context, name, _shown(arguments, context), _failed("unknown_tool", _unknown(name, known)))
    try:
        checked = check_arguments(tool, arguments)
    except ValueError as error:
        return _announce(context, tool.name, _shown(arguments, context), _failed("bad_args", str(error)))
    if reason := await refusal(tool, checked.data, context):
        return _announce(context, tool.name, checked.data, _failed("denied", f"{tool.name} was not allowed: {reason}"))

    async def perform() -> dict[str, Any]:
        result = await _run(tool, checked.values, context)
        return presentable(result, context.scope.run.redactor).as_dict()

    request = {"tool": tool.name, "arguments": checked.data}
    begun = context.scope.run.upcoming(context.scope, "tool", request)
    if tool.risk != "read" and begun is not None and begun.response is None:
        text = f"{tool.name} was at work when the run was interrupted; it may have done its work, and runs again"
        context.scope.emit(Warned(code="tool_again", message=text))
    outcome, recalled = await context.scope.effect("tool", request, perform)
    return _announce(context, tool.name, checked.data, ToolResult.from_dict(outcome), recalled=recalled)


async def _run(tool: Tool, values: Mapping[str, Any], context: ToolContext) -> ToolResult:
    started = time.monotonic()
    work = asyncio.create_task(_attempt(tool, values, context))
    try:
        await wait_for_any({work}, tool.timeout, context.scope)
        if not work.done():
            result = _failed("timeout", _too_slow(tool))
        elif work.cancelled():
            result = _failed("failed", f"{tool.name} failed: it was cancelled from within")
        else:
            result = work.result()
    finally:
        work.cancel()
    return replace(result, seconds=round(time.monotonic() - started, 4))


async def _attempt(tool: Tool, values: Mapping[str, Any], context: ToolContext) -> ToolResult:
    try:
        if inspect.iscoroutinefunction(tool.function):
            value = await tool.function(values, context)
        else:
            value = await in_thread(_thread_name(tool), lambda: to_result(tool.function(values, context)))
        if inspect.isawaitable(value):
            value = await value
        if isinstance(value, ToolResult | str):
            return to_result(value)
        return await in_thread(_thread_name(tool), lambda: to_result(value))
    except (*STOPS_RUN, asyncio.CancelledError, GeneratorExit):
        raise
    except KeyboardInterrupt as error:
        raise RunCancelledError(f"tool {tool.name} was interrupted") from error
    except BaseException as error:
        return _failed("failed", f"{tool.name} failed: {_describe(error)}")


def _describe(error: BaseException) -> str:
    try:
        message = str(error)
    except Exception:
        message = ""
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    place = f" ({Path(last.tb_frame.f_code.co_filename).name}:{last.tb_lineno})" if last is not None else ""
    return f"{type(error).__name__}: {message}{place}" if message else f"{type(error).__name__}{place}"


def _thread_name(tool: Tool) -> str:
    return f"crewmix-tool-{tool.name}"


def _too_slow(tool: Tool) -> str:
    text = f"{tool.name} did not finish within {tool.timeout:g} s"
    if inspect.iscoroutinefunction(tool.function):
        return text
    return f"{text}; its thread `{_thread_name(tool)}` cannot be stopped and goes on in the background"


def _unknown(name: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5) or sorted(known)[:20]
    instead = f" Did you mean: {', '.join(near)}?" if near else " There are no tools to call."
    return f"There is no tool named {name[:100]!r}.{instead}"


def _failed(error: ToolErrorCode, text: str) -> ToolResult:
    return ToolResult(text, ok=False, error=error)


def _shown(arguments: str | Mapping[str, Any], context: ToolContext) -> Mapping[str, Any]:
    """Arguments that may be anything, as data an event can carry."""
    return {"as_written": context.scope.run.redactor.text(str(arguments))[:2000]}


def _announce(
    context: ToolContext, name: str, arguments: Mapping[str, Any], result: ToolResult, *, recalled: bool = False
) -> ToolResult:
    result = presentable(result, context.scope.run.redactor)
    context.scope.emit(
        ToolCalled(
            role=context.scope.role,
            tool=name,
            arguments=arguments,
            text=result.text,
            error=result.error,
            clipped=result.clipped,
            recalled=recalled,
            seconds=result.seconds,
        )
    )
    return result
