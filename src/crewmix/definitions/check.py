"""What a schema cannot say: whether the names, texts and settings of a crew fit together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping

from crewmix.definitions.check_models import check_models
from crewmix.definitions.check_settings import check_chat, check_synthesis
from crewmix.definitions.names import nearest
from crewmix.definitions.nodes import Node
from crewmix.definitions.parts import Member, Parts, Work
from crewmix.definitions.placeholders import placeholders
from crewmix.definitions.spec import ChatSpec
from crewmix.errors import Problem


def check_crew(parts: Parts, environ: Mapping[str, str]) -> Iterator[Problem]:
    """Everything about a crew but its tools, its knowledge and what `check_task` finds."""
    yield from _members(parts)
    yield from check_chat(parts.spec.chat, parts.node.at("chat"))
    yield from check_synthesis(parts.spec.synthesis, parts.node.at("synthesis"))
    yield from _plan(parts)
    yield from check_models(parts, environ)
    yield from _task_names(parts)
    yield from _cycles(parts.tasks)
    yield from _texts(parts)
    if parts.complete:
        yield from _speakers(parts)
    if "goal" in parts.spec.inputs:
        message = "`goal` is always an input; it is what the run is given"
        yield parts.node.at("inputs", "goal").problem("reserved_name", message, on_key=True)


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
    writers: dict[str, str] = {}
    for work in parts.tasks:
        file = work.task.output_file
        if file and writers.setdefault(file, work.task.id) != work.task.id:
            message = f"task `{writers[file]}` writes {file!r} already"
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
        if task.roles and writing and set(task.roles) <= set(approving):
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
        message = f"`quorum: {chat.quorum}` cannot be reached: {owner} has only {len(drafting)} to write drafts"
        yield where.at("quorum").problem("senseless", message)
