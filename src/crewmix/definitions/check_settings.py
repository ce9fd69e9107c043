"""Whether a chat, a synthesis or a task makes sense by itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from pathlib import PurePath

from crewmix.definitions.check_graph import check_graph
from crewmix.definitions.names import METHODS, PATTERNS, nearest
from crewmix.definitions.nodes import Node
from crewmix.definitions.read_by import CHAT_FIELDS, FOR_STOP, OWN, SYNTHESIS_FIELDS, method_reads, named, pattern_reads
from crewmix.definitions.spec import ChatSpec, SynthesisSpec, Task
from crewmix.definitions.spec_base import FUNCTION
from crewmix.errors import Problem

_LETTERS = 26


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
    """The pattern's name, settings that only another pattern reads, and what each pattern asks for."""
    yield from _pattern(chat.pattern, node.at("pattern"))
    known = (chat.pattern in PATTERNS or ":" in chat.pattern) and (node.size > 0 or "pattern" in node.fields)
    for field in CHAT_FIELDS:
        if known and field in chat.model_fields_set and not pattern_reads(chat.pattern, field):
            yield _unread(node, field, CHAT_FIELDS[field], "pattern", chat.pattern)
    if chat.pattern == "selector":
        yield from _select(chat, node.at("select"))
    elif (
        chat.pattern == "layers"
        and "per_layer" in chat.model_fields_set
        and len(chat.per_layer) != chat.layers - 1
        and node.whole
    ):
        rounds = "the one round" if chat.layers == 2 else f"each of the {chat.layers - 1} rounds"
        message = f"`per_layer` must have one entry for {rounds} of proposers, not {len(chat.per_layer)}"
        hint = f"write `layers: {len(chat.per_layer) + 1}`: the synthesis is the last layer" if chat.per_layer else None
        yield node.at("per_layer").problem("senseless", message, hint=hint)
    elif chat.pattern == "graph":
        yield from check_graph(chat, node)
    elif chat.pattern == "handoff":
        for giver, takers in chat.handoffs.items():
            if giver in takers:
                where = node.at("handoffs", giver, takers.index(giver))
                yield where.problem("senseless", f"`{giver}` cannot pass to itself")


def _pattern(pattern: str, where: Node) -> Iterator[Problem]:
    if ":" in pattern:
        if not FUNCTION.fullmatch(pattern):
            message = f"a pattern of your own must be `{OWN}` of a function or class, not {pattern!r}"
            yield where.problem("wrong_value", message)
    elif pattern not in PATTERNS:
        near = nearest(pattern, PATTERNS)
        hint = f"your own function or class is written `{OWN}`" if "." in pattern else near
        yield where.problem("unknown_pattern", f"there is no chat pattern `{pattern}`", hint=hint)


def _select(chat: ChatSpec, select: Node) -> Iterator[Problem]:
    if chat.select.function is None:
        return
    if chat.select.llm is not None:
        message = "`select` has both `llm` and `function`; only one can pick the next speaker"
        yield select.at("function").problem("senseless", message, on_key=True)
    if not FUNCTION.fullmatch(chat.select.function):
        message = f"`function` must be `package.module:function`, not {chat.select.function!r}"
        yield select.at("function").problem("wrong_value", message)


def check_synthesis(synthesis: SynthesisSpec, node: Node) -> Iterator[Problem]:
    """The method's name, settings that only another method reads, and what each method asks for.

    What a chat with `stop` may read as well is left to `check_work`, which knows the chat.
    """
    if synthesis.method not in METHODS:
        message = f"there is no synthesis method `{synthesis.method}`"
        yield node.at("method").problem("unknown_method", message, hint=nearest(synthesis.method, METHODS))
        return
    for field in SYNTHESIS_FIELDS:
        if field not in FOR_STOP and field in synthesis.model_fields_set and not method_reads(synthesis.method, field):
            yield unread_by_method(synthesis, node, field)
    yield from _once(synthesis.rubric, node.at("rubric"), "the criterion")
    if not node.whole:
        return
    yield from _choices(synthesis, node)
    if synthesis.method == "weighted":
        yield from _weights(synthesis, node)
    elif synthesis.method == "majority" and synthesis.ties != "record":
        for field in ("weights", "record"):
            if getattr(synthesis, field) is not None:
                message = f"`majority` reads `{field}` for ties only, and they are settled by `ties: {synthesis.ties}`"
                hint = "leave one of them out, or write `method: weighted`"
                yield node.at(field).problem("senseless", message, hint=hint, on_key=True)


def unread_by_method(synthesis: SynthesisSpec, node: Node, field: str) -> Problem:
    """The mistake of a field that the method does not read."""
    return _unread(node, field, SYNTHESIS_FIELDS[field], "method", synthesis.method)


def _unread(node: Node, field: str, readers: Collection[str], what: str, chosen: str) -> Problem:
    this = {"pattern": "this chat", "method": "this synthesis"}[what]
    message = f"`{field}` is only read by the {what}{'s' if len(readers) > 1 else ''} {named(readers)}, and {this} is `{chosen}`"
    hint = f"leave it out, or write `{what}: {next(iter(readers))}`"
    return node.at(field).problem("senseless", message, hint=hint, on_key=True)


def _choices(synthesis: SynthesisSpec, node: Node) -> Iterator[Problem]:
    choices, where = synthesis.choices, node.at("choices")
    if synthesis.answer == "label" and not choices:
        message = "`answer: label` needs `choices`, the labels that may be given"
        yield node.at("answer").problem("senseless", message, hint="for example `choices: [spam, no spam]`")
    if not choices:
        return
    if synthesis.answer not in {"auto", "choice", "label"}:
        message = f"`choices` are labels or options to choose from, and `answer` is `{synthesis.answer}`"
        yield where.problem("senseless", message, hint="write `answer: label` or `answer: choice`")
    elif len(choices) == 1:
        yield where.problem("senseless", "with one of `choices` there is nothing to choose", hint="name at least two")
    elif synthesis.answer == "choice" and len(choices) > _LETTERS:
        message = f"options are given as letters A to Z, and there are {len(choices)} of them"
        yield where.problem("senseless", message, hint="write `answer: label`")
    yield from _once(choices, where, "the choice")


def _once(texts: Collection[str], where: Node, what: str) -> Iterator[Problem]:
    seen = Counter[str]()
    for place, text in enumerate(texts):
        seen[text.casefold()] += 1
        if seen[text.casefold()] == 2:
            yield where.at(place).problem("senseless", f"{what} `{text}` stands here twice")


def _weights(synthesis: SynthesisSpec, node: Node) -> Iterator[Problem]:
    weights = synthesis.weights
    if weights is None and synthesis.record is None:
        message = "`method: weighted` needs `weights` or a `record`"
        hint = "for example `weights: {solver: 2, checker: 1}` or `weights: confidence`"
        yield node.at("method").problem("senseless", message, hint=hint)
    elif isinstance(weights, Mapping) and not any(weights.values()):
        message = "`weights` names nobody whose answer would count"
        yield node.at("weights").problem("senseless", message, hint="give at least one a weight above 0")
