"""A person looks at the plan, and may change it, before its tasks begin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, cast

from pydantic import Field

from crewmix.definitions.explain import validate
from crewmix.definitions.nodes import Node, SourceFile, from_data
from crewmix.definitions.spec import Task
from crewmix.definitions.spec_base import Name, Spec, Text
from crewmix.definitions.write import yaml_text
from crewmix.definitions.yaml_tree import parse_yaml
from crewmix.errors import DefinitionError, PersonMissingError, Problem, RunCancelledError
from crewmix.journal.events import PersonAnswered, PersonAsked, PlanReviewed
from crewmix.journal.scope import Scope
from crewmix.planning.checks import check_plan
from crewmix.tools.people import People, Plan, put, shown

FIELDS = ("id", "description", "expected_output", "roles", "needs")
"""What of a task a person may change. The rest stays as the crew's file has it for the task of that id."""

MAX_TASKS = 50
"""The most tasks of a plan that a person made; `plan.max_tasks` binds the planner only."""


class _EditedTask(Spec):
    id: Name
    description: Text
    expected_output: str = ""
    roles: tuple[Name, ...] = ()
    needs: tuple[Name, ...] = ()


class _EditedPlan(Spec):
    tasks: Annotated[tuple[_EditedTask, ...], Field(min_length=1)]


async def review(scope: Scope, people: People, plan: Plan) -> tuple[Task, ...]:
    """The tasks that a person wants to be worked; a resumed run does not ask again.

    Args:
        scope: The place of the review in the run.
        people: Who can be asked.
        plan: The plan as it was made.

    Raises:
        RunCancelledError: The person does not want the plan to be worked. A resumed run asks again.
        DefinitionError: The plan that `people.review` gave is not right.
        PersonMissingError: Nobody can be asked.
        WaitingError: Nobody can be asked, and the run is to wait.
    """

    async def perform() -> dict[str, Any]:
        told = PersonAsked(kind="plan", role="", question=plan_text(plan))
        answer = await put(scope, people, told, "the plan is to be reviewed", people.review, plan)
        if answer is False or isinstance(answer, str):
            why = f": {answer.strip()}" if answer else ""
            hint = f"`crewmix resume {scope.run.run_id}` shows the plan again"
            raise RunCancelledError(f"the plan was not accepted{why}", hint=hint)
        return answer_record(plan, answer)

    record, recalled = await scope.effect("review", as_request(plan), perform)
    changed = record["tasks"] is not None
    note = "changed" if changed else "accepted"
    scope.emit(PersonAnswered(kind="plan", role="", answer=note, recalled=recalled))
    scope.emit(PlanReviewed(changed=changed))
    if not changed:
        return plan.tasks
    known = {task.id: task for task in plan.tasks}
    edited = [Task.model_validate(fields) for fields in record["tasks"]]
    return tuple(
        known[task.id].model_copy(update={name: getattr(task, name) for name in FIELDS}) if task.id in known else task
        for task in edited
    )


def as_request(plan: Plan) -> dict[str, Any]:
    """The plan as the journal keeps it."""
    return {"goal": plan.goal, "roles": list(plan.roles), "tasks": [_fields(task) for task in plan.tasks]}


def from_request(request: Mapping[str, Any]) -> Plan:
    """The plan that `as_request` described."""
    return Plan(request["goal"], tuple(Task.model_validate(t) for t in request["tasks"]), tuple(request["roles"]))


def answer_record(plan: Plan, answer: object) -> dict[str, Any]:
    """What the journal keeps of a person's answer.

    Args:
        plan: The plan that was reviewed.
        answer: True, or the tasks to work instead: `Task`s, or mappings with their fields.

    Raises:
        DefinitionError: Everything that is wrong with the tasks.
        PersonMissingError: It is no answer.
    """
    if answer is True:
        return {"tasks": None}
    if not isinstance(answer, Sequence) or isinstance(answer, str | bytes):
        raise PersonMissingError(f"`review` gave {shown(answer)} instead of True, tasks, False or a text")
    items = cast("Sequence[object]", answer)
    source = SourceFile("the reviewed plan")
    fixed = [source.problem("fixed", text) for item in items if isinstance(item, Task) for text in _fixed(plan, item)]
    if fixed:
        raise DefinitionError(fixed)
    tasks = [_fields(item) if isinstance(item, Task) else item for item in items]
    return _checked(plan, from_data({"tasks": tasks}, source))


# -- as text ---------------------------------------------------------------------------------------------------------------


def plan_text(plan: Plan) -> str:
    """The plan as YAML that a person can edit."""
    return yaml_text({"tasks": [_fields(task) for task in plan.tasks]})


def read_plan(plan: Plan, text: str, name: str) -> dict[str, Any]:
    """What the journal keeps of a plan that a person has edited.

    Args:
        plan: The plan that was reviewed.
        text: The edited YAML.
        name: What to call the text in messages.

    Raises:
        DefinitionError: Everything that is wrong in it, with line and column.
    """
    node, problems = parse_yaml(SourceFile(name, text))
    if node is None or problems:
        raise DefinitionError(problems)
    return _checked(plan, node)


# -- inside ----------------------------------------------------------------------------------------------------------------


def _fields(task: Task) -> dict[str, Any]:
    return task.model_dump(mode="json", include=set(FIELDS))


def _fixed(plan: Plan, task: Task) -> list[str]:
    """What is wrong with a task given in Python: it changes what only a crew's file can say."""
    before = next((known for known in plan.tasks if known.id == task.id), Task(id=task.id, description="new"))
    changed = [
        name for name in Task.model_fields if name not in FIELDS and getattr(task, name) != getattr(before, name)
    ]
    return [f"`{name}` of task {task.id!r} cannot be changed in a review, only in the crew's file" for name in changed]


def _checked(plan: Plan, node: Node) -> dict[str, Any]:
    made, _, problems = validate(_EditedPlan, node)
    if made is None or problems:
        raise DefinitionError(problems)
    data = made.model_dump(mode="json")
    _, mistakes = check_plan(data, plan.roles, MAX_TASKS)
    if mistakes:
        raise DefinitionError([_problem(node, mistake) for mistake in mistakes])
    return {"tasks": None if data["tasks"] == as_request(plan)["tasks"] else data["tasks"]}


def _problem(node: Node, mistake: str) -> Problem:
    """A mistake at the task it is about, as far as it names one."""
    tasks = node.at("tasks").items
    about = [task for task in tasks if repr(task.at("id").value) in mistake]
    return (about[-1].at("id") if about else node).problem("plan", mistake)
