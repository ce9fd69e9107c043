"""What is a valid plan, whoever made it: a planner or a person."""

from __future__ import annotations

from collections.abc import Collection
from graphlib import CycleError, TopologicalSorter
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from crewmix.definitions.spec import Task


class _PlannedTask(BaseModel):
    model_config = ConfigDict(extra="ignore", str_strip_whitespace=True)
    id: str = Field(pattern=r"^[A-Za-z_][A-Za-z0-9_-]*$", max_length=64)
    description: str = Field(min_length=1)
    expected_output: str = ""
    roles: list[str] = []
    needs: list[str] = []


class _Plan(BaseModel):
    tasks: list[_PlannedTask] = Field(min_length=1)


def check_plan(data: Any, roles: Collection[str], limit: int) -> tuple[tuple[Task, ...], list[str]]:
    """The tasks of a plan, and everything that is wrong with it, in words that a planner can act on.

    Args:
        data: The plan as JSON-able data: `{"tasks": [{"id", "description", "expected_output", "roles", "needs"}]}`.
        roles: The names that tasks may give as theirs.
        limit: The most tasks.
    """
    try:
        planned = _Plan.model_validate(data).tasks
    except ValidationError as error:
        where = [(".".join(str(part) for part in e["loc"]) or "the reply", e["msg"]) for e in error.errors()]
        return (), [f"{place}: {message}" for place, message in where]
    ids = [task.id for task in planned]
    problems = [f"the id {i!r} is used twice" for i in sorted({i for i in ids if ids.count(i) > 1})]
    if len(planned) > limit:
        problems.append(f"{len(planned)} tasks are too many, at most {limit} are allowed")
    for task in planned:
        problems += [f"task {task.id!r} names the unknown role {r!r}" for r in task.roles if r not in roles]
        problems += [f"task {task.id!r} needs the unknown task {n!r}" for n in task.needs if n not in ids]
    try:
        TopologicalSorter({task.id: task.needs for task in planned}).prepare()
    except CycleError as error:
        problems.append(f"the tasks need each other in a circle: {' -> '.join(error.args[1])}")
    if problems:
        return (), problems
    return tuple(
        Task(
            id=task.id,
            description=task.description,
            expected_output=task.expected_output,
            roles=tuple(task.roles),
            needs=tuple(dict.fromkeys(task.needs)),
        )
        for task in planned
    ), []
