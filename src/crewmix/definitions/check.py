"""What a schema cannot say: whether the names, texts and settings of a crew fit together."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePath

from crewmix.definitions.names import METHODS, PATTERNS, nearest
from crewmix.definitions.placeholders import placeholders, variables
from crewmix.definitions.spec import ChatSpec, CrewSpec, ModelSpec, Role, SynthesisSpec, Task
from crewmix.definitions.yaml_tree import Node
from crewmix.errors import Problem

_FUNCTION = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")
_USERINFO = re.compile(r"://[^/@]*:[^/@]+@")


@dataclass(frozen=True)
class Member:
    """A role of a crew: `node` is where it is written, `named_at` where the crew names it."""

    role: Role
    node: Node
    named_at: Node


@dataclass(frozen=True)
class Work:
    """A task of a crew: `node` is where it is written, `named_at` where the crew names it."""

    task: Task
    node: Node
    named_at: Node


@dataclass(frozen=True)
class Parts:
    """A crew whose parts were found, but not yet held against each other."""

    spec: CrewSpec
    node: Node
    roles: tuple[Member, ...]
    others: tuple[Member, ...]
    """Planner and synthesizer."""
    tasks: tuple[Work, ...]
    models: Mapping[str, ModelSpec]
    """The crew's models with those given at the start."""
    given: Collection[str]
    """Names of the models given at the start: the file is not to blame for them."""
    complete: bool
    """Whether every role and task was found, so that a missing name is a mistake of its own."""


def check_crew(parts: Parts, environ: Mapping[str, str]) -> Iterator[Problem]:
    """Everything about a crew but its tools, its knowledge and what `check_task` finds."""
    yield from _members(parts)
    yield from check_chat(parts.spec.chat, parts.node.at("chat"))
    yield from check_synthesis(parts.spec.synthesis, parts.node.at("synthesis"))
    yield from _plan(parts)
    yield from _models(parts, environ)
    yield from _task_names(parts)
    yield from _cycles(parts.tasks)
    yield from _texts(parts)
    if parts.complete:
        yield from _speakers(parts)
    if "goal" in parts.spec.inputs:
        message = "`goal` is always an input; it is what the run is given"
        yield parts.node.at("inputs", "goal").problem("reserved_name", message, on_key=True)


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


def model_uses(parts: Parts) -> Iterator[tuple[str, Node]]:
    """Every model that roles, chats and syntheses name, and where."""
    for member in (*parts.roles, *parts.others):
        yield member.role.llm, member.node.at("llm")
    owners = [(parts.spec.chat, parts.spec.synthesis, parts.node)]
    for work in parts.tasks:
        owners.append((work.task.chat or ChatSpec(), work.task.synthesis or SynthesisSpec(), work.node))
    for chat, synthesis, node in owners:
        if chat.select.llm is not None:
            yield chat.select.llm, node.at("chat", "select", "llm")
        if synthesis.llm is not None:
            yield synthesis.llm, node.at("synthesis", "llm")


def is_model_string(text: str) -> bool:
    """Whether this is `provider/model`, `provider:model` or `auto`, and not a name from a crew's `models`."""
    provider, _, name = text.replace(":", "/", 1).partition("/")
    return text == "auto" or bool(provider and name)


def _members(parts: Parts) -> Iterator[Problem]:
    seen: dict[str, Member] = {}
    for member in parts.roles:
        if member.role.name in seen:
            hint = "give one of them another `name`"
            yield member.named_at.problem("duplicate_role", f"role `{member.role.name}` is named twice", hint=hint)
        seen.setdefault(member.role.name, member)


def _plan(parts: Parts) -> Iterator[Problem]:
    plan, tasks = parts.node.at("plan"), parts.node.at("tasks")
    if parts.spec.tasks and plan is not parts.node and plan.text != "none" and plan.source is tasks.source:
        message = "`plan` and `tasks` exclude each other: `tasks` is a fixed plan"
        yield plan.problem("senseless", message, hint="leave one of them out", on_key=True)


def _models(parts: Parts, environ: Mapping[str, str]) -> Iterator[Problem]:
    for name, model in parts.models.items():
        blamed = name not in parts.given and name in parts.node.at("models").fields
        where = parts.node.at("models", name) if blamed else Node(None, parts.node.source)
        yield from _one_model(name, model, where, environ)
    for text, where in model_uses(parts):
        if text in parts.models:
            continue
        if not is_model_string(text):
            message = f"there is no model `{text}` in the crew's `models`"
            hint = nearest(text, parts.models) or "write `provider/model`"
            yield where.problem("unknown_model", message, hint=hint)
        else:
            yield from _unset(text, where, environ)


def _one_model(name: str, model: ModelSpec, where: Node, environ: Mapping[str, str]) -> Iterator[Problem]:
    place = where.at("model")
    if not is_model_string(model.model):
        message = f"model `{name}` must be `provider/model` or `auto`, not {model.model!r}"
        yield place.problem("unknown_model", message, hint="for example `openai/gpt-5-mini` or `ollama/qwen3`")
    secret = where.line and model.api_key and len(model.api_key) >= 12 and not variables(model.api_key)
    if secret:
        hint = "put it into an environment variable and write `${NAME}`"
        yield where.at("api_key").problem("literal_secret", "a key must not stand in the file", hint=hint, on_key=True)
    for field, text in (("model", model.model), ("base_url", model.base_url), ("api_key", model.api_key)):
        yield from _unset(text or "", where.at(field), environ)
        if field != "api_key" and where.line and _USERINFO.search(text or "") and not variables(text or ""):
            hint = "put it into an environment variable and write `${NAME}`"
            yield where.at(field).problem(
                "literal_secret", "a password must not stand in the file", hint=hint, on_key=True
            )


def _unset(text: str, where: Node, environ: Mapping[str, str]) -> Iterator[Problem]:
    for name in variables(text):
        if not environ.get(name):
            message = f"the environment variable `{name}` is not set"
            yield where.problem("unset_variable", message, hint=f"set it before you start, e.g. `export {name}=…`")


def _task_names(parts: Parts) -> Iterator[Problem]:
    roles = [member.role.name for member in parts.roles]
    counts = Counter(work.task.id for work in parts.tasks)
    for place, work in enumerate(parts.tasks):
        name = work.task.id
        if any(earlier.task.id == name for earlier in parts.tasks[:place]):
            yield work.named_at.problem("duplicate_task", f"task `{name}` is named twice")
        for number, role in enumerate(work.task.roles):
            if parts.complete and role not in roles:
                where = work.node.at("roles", number)
                message = f"task `{name}` names the role `{role}`, which is not in the crew"
                yield where.problem("unknown_role", message, hint=nearest(role, roles))
        for number, need in enumerate(work.task.needs):
            if parts.complete and need not in counts:
                where = work.node.at("needs", number)
                others = [other for other in counts if other != name]
                yield where.problem(
                    "unknown_task", f"task `{name}` needs `{need}`, which is no task", hint=nearest(need, others)
                )
    files = Counter(work.task.output_file for work in parts.tasks if work.task.output_file)
    for work in parts.tasks:
        if work.task.output_file and files[work.task.output_file] > 1:
            message = f"several tasks write {work.task.output_file!r}"
            yield work.node.at("output_file").problem("output_file", message)


def _cycles(tasks: Iterable[Work]) -> Iterator[Problem]:
    """One problem for each circle of needs, at the task it is entered by."""
    works = {work.task.id: work for work in tasks}
    done: set[str] = set()
    for start, first in works.items():
        stack = [(start, iter(first.task.needs))] if start not in done else []
        while stack:
            path = [name for name, _ in stack]
            need = next(stack[-1][1], None)
            if need is None:
                done.add(path[-1])
                stack.pop()
            elif need in path and need != path[-1]:
                circle = [*path[path.index(need) :], need]
                where = works[need].node.at("needs")
                yield where.problem("needs_cycle", f"tasks need each other in a circle: {' -> '.join(circle)}")
            elif need in works and need not in done and need not in path:
                stack.append((need, iter(works[need].task.needs)))


def _texts(parts: Parts) -> Iterator[Problem]:
    known = {"goal", *parts.spec.inputs}
    for member in (*parts.roles, *parts.others):
        for field in ("role", "goal", "backstory"):
            yield from _unfilled(member.node.at(field), getattr(member.role, field), known, parts.spec.name)
        for place, rule in enumerate(member.role.guardrails):
            yield from _unfilled(member.node.at("guardrails", place), rule, known, parts.spec.name)
    for work in parts.tasks:
        for field in ("description", "expected_output"):
            yield from _unfilled(work.node.at(field), getattr(work.task, field), known, parts.spec.name)


def _unfilled(node: Node, text: str, known: Collection[str], crew: str) -> Iterator[Problem]:
    for name in placeholders(text):
        if name not in known:
            near = nearest(name, known)
            hint = (
                near
                if near and near.startswith("did")
                else f"add `{name}` to `inputs`, or write `{{{{{name}}}}}` for braces"
            )
            message = f"`{{{name}}}` is neither `goal` nor an input of crew `{crew}`"
            yield node.source.problem("unknown_placeholder", message, *node.find(f"{{{name}}}"), hint)


def _speakers(parts: Parts) -> Iterator[Problem]:
    """Whether the chats have someone who drafts, someone who approves, and enough of them."""
    approving = [member.role.name for member in parts.roles if member.role.approves]
    writing = [member.role.name for member in parts.roles if not member.role.approves]
    if not writing:
        message = "every role has `approves: true`, so nobody would write a draft"
        yield parts.node.at("roles").problem("senseless", message, on_key=True)
    chat = parts.spec.chat
    yield from _reachable(chat, parts.node.at("chat"), writing, "the crew")
    if chat.stop_when == "approved" and not approving:
        yield _nobody_approves(parts.node)
    for work in parts.tasks:
        own, task = [name for name in work.task.roles or writing if name in writing], work.task
        if task.roles and writing and not own:
            message = f"task `{task.id}` has only roles with `approves: true`, so nobody would write a draft"
            yield work.node.at("roles").problem("senseless", message)
        elif task.chat or task.roles:
            where = work.node.at("chat" if task.chat else "roles")
            yield from _reachable(task.chat or chat, where, own, f"task `{task.id}`")
        if task.chat and task.chat.stop_when == "approved" and not approving:
            yield _nobody_approves(work.node)


def _nobody_approves(node: Node) -> Problem:
    message = "`stop_when: approved`, but no role of the crew has `approves: true`"
    return node.at("chat", "stop_when").problem("senseless", message)


def _reachable(chat: ChatSpec, where: Node, drafting: Collection[str], owner: str) -> Iterator[Problem]:
    if chat.quorum is not None and drafting and chat.quorum > len(drafting):
        message = f"`quorum: {chat.quorum}` cannot be reached: {owner} has {len(drafting)} roles that write drafts"
        yield where.at("quorum").problem("senseless", message)
