"""Whether a chat, a synthesis or a task makes sense by itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePath

from crewmix.definitions.names import METHODS, PATTERNS, nearest
from crewmix.definitions.nodes import Node
from crewmix.definitions.spec import ChatSpec, SynthesisSpec, Task
from crewmix.errors import Problem

_FUNCTION = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")


def check_task(task: Task, node: Node) -> Iterator[Problem]:
    """What can be said about a task without its crew."""
    if task.chat is not None:
        yield from check_chat(task.chat, node.at("chat"))
    if task.synthesis is not None:
        yield from check_synthesis(task.synthesis, node.at("synthesis"))
    if task.output_file is not None:
        path = PurePath(task.output_file)
        if path.is_absolute() or ".." in path.parts or not path.name or path.parts[0] == ".crewmix":
            message = f"`output_file` must be a path inside the project, not {task.output_file!r}"
            yield node.at("output_file").problem("output_file", message)
    if task.id in task.needs:
        where = node.at("needs", task.needs.index(task.id))
        yield where.problem("needs_cycle", f"task `{task.id}` needs itself")


def check_chat(chat: ChatSpec, node: Node) -> Iterator[Problem]:
    """The pattern's name, and settings that only another pattern reads."""
    if chat.pattern not in PATTERNS:
        message = f"there is no chat pattern `{chat.pattern}`"
        yield node.at("pattern").problem("unknown_pattern", message, hint=nearest(chat.pattern, PATTERNS))
    select = node.at("select")
    if "select" in chat.model_fields_set and chat.pattern != "selector":
        message = f"`select` is only read by the pattern `selector`, and this chat is `{chat.pattern}`"
        yield select.problem("senseless", message, hint="leave it out, or write `pattern: selector`", on_key=True)
    if chat.select.function is not None:
        if chat.select.llm is not None:
            message = "`select` has both `llm` and `function`; only one can pick the next speaker"
            yield select.at("function").problem("senseless", message, on_key=True)
        if not _FUNCTION.fullmatch(chat.select.function):
            message = f"`function` must be `package.module:function`, not {chat.select.function!r}"
            yield select.at("function").problem("wrong_value", message)


def check_synthesis(synthesis: SynthesisSpec, node: Node) -> Iterator[Problem]:
    """The method's name."""
    if synthesis.method not in METHODS:
        message = f"there is no synthesis method `{synthesis.method}`"
        yield node.at("method").problem("unknown_method", message, hint=nearest(synthesis.method, METHODS))
