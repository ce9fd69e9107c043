"""A goal becomes tasks: given by the crew file, the goal itself, or split by the planner role."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from graphlib import TopologicalSorter
from typing import Any

from crewmix.definitions.definition import CrewDefinition
from crewmix.definitions.spec import PlanSpec, Task
from crewmix.errors import BadReplyError, PlanError
from crewmix.journal.events import PlanMade
from crewmix.journal.scope import Scope
from crewmix.models.gateway import Gateway
from crewmix.models.types import Brief, ChatMessage, ModelRequest
from crewmix.planning.checks import check_plan
from crewmix.planning.review import review
from crewmix.tools.people import NOBODY, People, Plan

_RULES = """\
Split the goal into tasks for this team. Use as few tasks as the goal needs, {limit} at most; one is fine when the goal is one \
piece of work. Each description must be understandable without the goal. Tasks without `needs` are worked at the same time; \
name in `needs` the ids of tasks whose answers a task really has to build on. Do not plan a task that only combines or \
summarises the others: that happens by itself at the end.

The team:
{team}

Reply with JSON: {{"tasks": [{{"id": "short_name", "description": "…", "expected_output": "…", "roles": ["…"], \
"needs": ["…"]}}]}}. `roles` names who works on the task; an empty list means everyone."""


async def make_plan(
    scope: Scope, gateway: Gateway, crew: CrewDefinition, goal: str, people: People = NOBODY
) -> tuple[Task, ...]:
    """The tasks of a run, in an order in which every task comes after what it needs.

    Args:
        scope: The run's place for planning.
        gateway: The door to the models; only used when the crew has a planner.
        crew: Who can work, and how the goal is to be split.
        goal: What is to be achieved.
        people: Who reviews the plan, where the crew says `review: plan`. A goal that is the only task is not reviewed.

    Raises:
        PlanError: The planner's second attempt was not valid either.
        ModelError: The planner's model gave no usable answer.
        RunCancelledError: The person who reviewed the plan does not want it to be worked.
        PersonMissingError: It is to be reviewed and nobody can be asked.
        WaitingError: The same, and the run is to wait.
    """
    if crew.tasks:
        tasks = crew.tasks
    elif crew.plan is None:
        tasks = (Task(id="answer", description=goal),)
    else:
        tasks = await _split(scope, gateway, crew, crew.plan, goal)
    ordered = in_order(with_roles(task, crew) for task in tasks)
    if crew.review == "plan" and (crew.tasks or crew.plan):
        reviewed = await review(scope.at("review"), people, Plan(goal, ordered, _names(crew)))
        ordered = in_order(with_roles(task, crew) for task in reviewed)
    scope.emit(PlanMade(tasks=tuple(_described(task) for task in ordered)))
    return ordered


def _names(crew: CrewDefinition) -> tuple[str, ...]:
    return tuple(role.name for role in crew.roles)


def _described(task: Task) -> dict[str, Any]:
    return task.model_dump(include={"id", "description", "expected_output", "roles", "needs"})


def with_roles(task: Task, crew: CrewDefinition) -> Task:
    """The task with its roles named, in crew order.

    Where approval ends the talk and the task names no reviewer, the crew's reviewers join. A planner cannot take roles out of a
    mixture, vote, debate or graph: these say themselves who works.
    """
    everyone = {role.name for role in crew.roles}
    chat = task.chat or crew.chat
    planned = not crew.tasks and chat.pattern in {"layers", "vote", "debate", "graph"}
    names = everyone if planned else set(task.roles) or everyone
    reviewers = {role.name for role in crew.roles if role.approves}
    if chat.stop_when == "approved" and not names & reviewers:
        names |= reviewers
    return task.model_copy(update={"roles": tuple(r.name for r in crew.roles if r.name in names)})


def in_order(tasks: Iterable[Task]) -> tuple[Task, ...]:
    """Tasks in an order in which each comes after those it needs.

    Raises:
        CycleError: They need each other in a circle.
    """
    named = {task.id: task for task in tasks}
    order = TopologicalSorter({task.id: task.needs for task in named.values()}).static_order()
    return tuple(named[name] for name in order)


async def _split(scope: Scope, gateway: Gateway, crew: CrewDefinition, plan: PlanSpec, goal: str) -> tuple[Task, ...]:
    try:
        reply = await gateway.complete(scope.at("model", role=crew.planner.name), _request(crew, plan, goal))
    except BadReplyError as error:
        raise PlanError(
            f"the planner ({crew.planner.name}) gave no valid plan: {error.message}",
            hint="give the planner a stronger model, or fix the plan with `tasks:` in the crew file",
        ) from error
    return check_plan(reply.data, _names(crew), plan.max_tasks)[0]


def _request(crew: CrewDefinition, plan: PlanSpec, goal: str) -> ModelRequest:
    planner = crew.planner
    # Reviewers who end the talk join every task by themselves, so the planner does not assign them.
    team = [r for r in crew.roles if not r.approves] or list(crew.roles)
    system = f"You are {planner.role}. {planner.backstory}".strip() + f"\nYour goal: {planner.goal}"
    rules = _RULES.format(limit=plan.max_tasks, team="\n".join(f"- {r.name}: {r.role}. {r.goal}" for r in team))
    return ModelRequest(
        model=planner.llm,
        messages=(ChatMessage("system", f"{system}\n\n{rules}"), ChatMessage("user", goal)),
        schema=plan_schema([r.name for r in team]),
        schema_name="plan",
        temperature=planner.temperature,
        max_output_tokens=planner.max_output_tokens,
        brief=Brief(
            purpose="plan",
            role=planner.name,
            goal=goal,
            question=goal,
            candidates=tuple(r.name for r in team),
            limit=plan.max_tasks,
        ),
        check=lambda data: "\n".join(check_plan(data, _names(crew), plan.max_tasks)[1]) or None,
    )


def plan_schema(roles: Sequence[str]) -> dict[str, Any]:
    """JSON Schema of a plan. What it cannot say well, such as which ids exist, `check_plan` says."""
    text = {"type": "string"}
    task = {
        "type": "object",
        "properties": {
            "id": text,
            "description": text,
            "expected_output": text,
            "roles": {"type": "array", "items": text, "description": f"of: {', '.join(roles)}"},
            "needs": {"type": "array", "items": text},
        },
        "required": ["id", "description", "expected_output", "roles", "needs"],
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "properties": {"tasks": {"type": "array", "items": task}},
        "required": ["tasks"],
        "additionalProperties": False,
    }
