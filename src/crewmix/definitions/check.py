"""What a schema cannot say: whether the names, texts and settings of a crew fit together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping

from crewmix.definitions.check_models import check_models
from crewmix.definitions.check_settings import check_chat, check_synthesis
from crewmix.definitions.check_work import check_work
from crewmix.definitions.circles import circles
from crewmix.definitions.names import nearest
from crewmix.definitions.nodes import Node
from crewmix.definitions.own_code import check_code
from crewmix.definitions.parts import Member, Parts, Work
from crewmix.definitions.placeholders import placeholders
from crewmix.definitions.read_by import pattern_reads
from crewmix.definitions.spec import ChatSpec, Role
from crewmix.errors import Problem


def check_crew(parts: Parts, environ: Mapping[str, str]) -> Iterator[Problem]:
    """Everything about a crew but its tools, its knowledge and what `check_task` finds."""
    yield from _members(parts)
    yield from check_chat(parts.spec.chat, parts.node.at("chat"))
    yield from check_synthesis(parts.spec.synthesis, parts.node.at("synthesis"))
    yield from check_code(parts)
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
        for field in ("llm", "temperature", "max_output_tokens", "max_iter"):
            if member.role.crew and getattr(member.role, field) != Role.model_fields[field].default:
                message = f"`{field}` has no meaning for `{member.role.name}`: the crew `{member.role.crew}` works it"
                yield member.node.at(field).problem("senseless", message, hint="leave it out", on_key=True)
    for member in parts.others:
        if member.role.crew:
            message = f"the crew `{member.role.crew}` can work a role among `roles`, but not plan, merge or judge"
            yield member.node.at("crew").problem("senseless", message)


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
    for circle in circles({name: [n for n in work.task.needs if n != name] for name, work in works.items()}):
        where = works[circle[0]].node.at("needs")
        yield where.problem("needs_cycle", f"tasks need each other in a circle: {' -> '.join(circle)}")


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
    """Whether the chats have someone who drafts and someone who approves."""
    approving = [member.role.name for member in parts.roles if member.role.approves]
    if len(approving) == len(parts.roles):
        message = "every role has `approves: true`, so nobody would write a draft"
        yield parts.node.at("roles").problem("senseless", message, on_key=True)
        return
    if not approving:
        yield from _nobody_approves(parts.spec.chat, parts.node)
    names = {member.role.name for member in parts.roles}
    sound = all(names.issuperset(work.task.roles) for work in parts.tasks)
    for work in parts.tasks:
        if work.task.roles and set(work.task.roles) <= set(approving):
            sound = False
            message = f"task `{work.task.id}` has only roles with `approves: true`, so nobody would write a draft"
            yield work.node.at("roles").problem("senseless", message)
        if work.task.chat and not approving:
            yield from _nobody_approves(work.task.chat, work.node)
    if sound:
        yield from check_work(parts)


def _nobody_approves(chat: ChatSpec, node: Node) -> Iterator[Problem]:
    if chat.stop_when == "approved" and pattern_reads(chat.pattern, "stop_when"):
        message = "`stop_when: approved`, but no role of the crew has `approves: true`"
        yield node.at("chat", "stop_when").problem("senseless", message)
