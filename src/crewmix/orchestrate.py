"""A goal becomes an answer: plan, tasks, synthesis. Reads top to bottom.

```
plan  = split(goal)                        the planner, or the crew's fixed tasks
tasks = ready ones run at the same time
    drafts = hold(chat)                    the roles talk the task through
    answer = merge(drafts)                 the synthesizer
final = merge(answers)                     the synthesizer again, when there were several tasks
```
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from crewmix.definitions.spec import Task
from crewmix.errors import BudgetExceededError, CrewmixError, RunError, WaitingError
from crewmix.journal.scope import Scope
from crewmix.merging import merge_drafts
from crewmix.planning.plan import make_plan
from crewmix.result import Merge, TaskResult
from crewmix.synthesis.base import Answer, Draft, Question
from crewmix.taskwork import Worked, Workplace, work_task


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a goal came to. `stopped` is set when a budget ended the work early."""

    answer: Answer
    tasks: tuple[TaskResult, ...]
    merge: Merge | None = None
    """How the answer came about: of the tasks' answers, or of the only task's drafts."""
    stopped: BudgetExceededError | None = None


async def orchestrate(scope: Scope, work: Workplace, goal: str) -> Outcome:
    """Work a goal from plan to final answer.

    Args:
        scope: The run's root.
        work: The crew, its models and actors.
        goal: What is to be achieved.

    Raises:
        PlanError: There is no valid plan.
        TaskError: A task failed and the crew file says to stop.
        RunError: No task has an answer.
        BudgetExceededError: A budget ended the run before there was anything to answer with.
        RunCancelledError: The run was cancelled.
    """
    scope = scope.with_purses(work.role_ledgers)
    plan = await make_plan(scope.at("plan"), work.desk.gateway, work.crew, goal, work.people)
    tasks = await work_graph(plan, lambda task, needed: work_task(scope, work, task, needed, goal))
    stopped = next((t.stopped for t in tasks if t.stopped is not None), None)
    results = tuple(t.result for t in tasks)
    answered = [t for t in results if t.output]
    if not answered:
        raise stopped or RunError(
            "no task has an answer: " + "; ".join(f"{t.id}: {t.error}" for t in results),
            hint=f"`crewmix show {scope.run.run_id}` tells what happened; `crewmix resume {scope.run.run_id}` tries again",
        )
    if len(answered) == 1:
        only = answered[0]
        return Outcome(Answer(only.output, only.sources, only.dissent, only.confidence), results, only.merge, stopped)
    drafts = tuple(Draft(t.id, _with_dissent(t), t.found) for t in answered)
    question = Question(goal=goal, task=goal, expected_output="", parts=tuple(t.description for t in answered))
    place = scope.at("synthesis", role=work.crew.synthesizer.name)
    answer, merge, failure = await merge_drafts(place, work.desk, work.crew.synthesis.of_tasks(), question, drafts)
    if isinstance(failure, BudgetExceededError):
        stopped = failure
    dissent = tuple(dict.fromkeys([*answer.dissent, *(d for t in answered for d in t.dissent)]))
    return Outcome(replace(answer, dissent=dissent), results, merge, stopped)


async def work_graph(
    plan: Sequence[Task], work: Callable[[Task, Sequence[TaskResult]], Awaitable[Worked]]
) -> tuple[Worked, ...]:
    """Work every task as soon as the tasks it needs are over.

    Args:
        plan: The tasks, each after those it needs.
        work: Works one task, given the results of those it needs.

    Raises:
        WaitingError: A task waits for a person; those that do not need it are over.
        CrewmixError: What else `work` raised first; the tasks under way are cancelled.
    """
    running: dict[str, asyncio.Task[Worked | None]] = {}
    waiting: list[WaitingError] = []

    async def when_ready(task: Task) -> Worked | None:
        """The task worked; None when it, or one that it needs, waits for a person."""
        needed = [await running[name] for name in task.needs]
        known = [worked.result for worked in needed if worked is not None]
        if len(known) < len(needed):
            return None
        try:
            return await work(task, known)
        except WaitingError as error:
            waiting.append(error)
            return None

    try:
        async with asyncio.TaskGroup() as group:
            for task in plan:
                running[task.id] = group.create_task(when_ready(task), name=f"crewmix-{task.id}")
    except* CrewmixError as errors:
        raise errors.exceptions[0] from None
    if waiting:
        raise waiting[0]
    return tuple(worked for task in running.values() if (worked := task.result()) is not None)


def _with_dissent(task: TaskResult) -> str:
    if not task.dissent:
        return task.output
    return task.output + "\n\nDisagreements:\n" + "\n".join(f"- {item}" for item in task.dissent)
