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
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from crewmix.agents.base import Actor, Contribution, Turn
from crewmix.agents.prompts import role_prompt
from crewmix.chat.base import Member, Message, Talk
from crewmix.chat.hold import hold
from crewmix.chat.patterns import make_pattern
from crewmix.chat.selector import make_chooser
from crewmix.definitions.definition import CrewDefinition
from crewmix.definitions.spec import Role, Task
from crewmix.errors import BudgetExceededError, CrewmixError, ModelError, QuorumError, RunError, TaskError
from crewmix.journal.budget import Ledger
from crewmix.journal.events import DraftMade, Synthesised, TaskFinished, TaskStarted, Warned
from crewmix.journal.run import Scope
from crewmix.knowledge.sources import cited
from crewmix.models.gateway import Gateway
from crewmix.models.types import Brief
from crewmix.planning.plan import make_plan
from crewmix.result import DraftText, SpokenMessage, TaskResult, TaskStatus
from crewmix.synthesis.base import Answer, Draft, Question
from crewmix.synthesis.methods import make_synthesis


@dataclass(frozen=True, slots=True)
class Workplace:
    """Everything a run works with."""

    crew: CrewDefinition
    gateway: Gateway
    actors: Mapping[str, Actor]
    task_ledger: Callable[[Scope, Task], Ledger | None]
    """Opens a task's own budget."""
    role_ledgers: Mapping[str, Ledger]
    """The roles' own budgets."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a goal came to. `stopped` is set when a budget ended the work early."""

    answer: Answer
    tasks: tuple[TaskResult, ...]
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
    plan = await make_plan(scope.at("plan"), work.gateway, work.crew, goal)
    tasks = await work_graph(plan, lambda task, needed: work_task(scope, work, task, needed, goal))
    stopped = next((t.stopped for t in tasks if t.stopped is not None), None)
    results = tuple(t.result for t in tasks)
    answered = [t for t in results if t.output]
    if not answered:
        raise stopped or RunError(
            "no task has an answer: " + "; ".join(f"{t.id}: {t.error}" for t in results),
            hint=f"`crewmix show {scope.run.run_id}` tells what happened; `crewmix resume` tries again",
        )
    if len(answered) == 1:
        only = answered[0]
        return Outcome(Answer(only.output, only.sources, only.dissent, only.confidence), results, stopped)
    drafts = tuple(Draft(t.id, _with_dissent(t), t.found) for t in answered)
    question = Question(goal=goal, task=goal, expected_output="", parts=tuple(t.description for t in answered))
    place = scope.at("synthesis", role=work.crew.synthesizer.name)
    answer, failure = await _merge(place, work, work.crew.synthesis.method, question, drafts)
    if isinstance(failure, BudgetExceededError):
        stopped = failure
    dissent = tuple(dict.fromkeys([*answer.dissent, *(d for t in answered for d in t.dissent)]))
    return Outcome(replace(answer, dissent=dissent), results, stopped)


@dataclass(frozen=True, slots=True)
class Worked:
    """A task that is over. `stopped` is set when a budget ended it early."""

    result: TaskResult
    stopped: BudgetExceededError | None = None


async def work_graph(
    plan: Sequence[Task], work: Callable[[Task, Sequence[TaskResult]], Awaitable[Worked]]
) -> tuple[Worked, ...]:
    """Work every task as soon as the tasks it needs are over.

    Args:
        plan: The tasks, each after those it needs.
        work: Works one task, given the results of those it needs.

    Raises:
        CrewmixError: What `work` raised first; the tasks under way are cancelled.
    """
    running: dict[str, asyncio.Task[Worked]] = {}

    async def when_ready(task: Task) -> Worked:
        needed = [(await running[name]).result for name in task.needs]
        return await work(task, needed)

    try:
        async with asyncio.TaskGroup() as group:
            for task in plan:
                running[task.id] = group.create_task(when_ready(task), name=f"crewmix-{task.id}")
    except* CrewmixError as errors:
        raise errors.exceptions[0] from None
    return tuple(task.result() for task in running.values())


async def work_task(scope: Scope, work: Workplace, task: Task, needed: Sequence[TaskResult], goal: str) -> Worked:
    """Work one task: chat, then synthesis, tried again as often as the crew file says.

    Raises:
        TaskError: It failed and the crew file says to stop.
    """
    place = scope.at(f"task.{task.id}", task=task.id)
    place = place.charged_to(work.task_ledger(place, task))
    place.emit(TaskStarted(task=task.id, description=task.description, roles=task.roles))
    policy, reason = work.crew.on_task_failure, ""
    for attempt in range(policy.retries + 1):
        here = place if attempt == 0 else place.at(f"retry.{attempt}")
        known = here.recorded("failure", {"task": task.id})
        if known is not None:
            reason = known["message"]
            continue
        try:
            worked = await _attempt(here, work, task, needed, goal)
        except BudgetExceededError as error:
            return _finished(place, Worked(_failed(task, error.message), error))
        except (ModelError, QuorumError) as error:
            reason = error.message
            await here.accept_failure({"task": task.id}, error)
        else:
            return _finished(place, worked)
    if policy.then == "stop":
        raise TaskError(
            f"task {task.id} failed: {reason}", hint="`on_task_failure: {then: continue}` goes on without it"
        )
    return _finished(place, Worked(_failed(task, reason)))


async def _attempt(scope: Scope, work: Workplace, task: Task, needed: Sequence[TaskResult], goal: str) -> Worked:
    roles = [role for role in work.crew.roles if role.name in task.roles]
    chat = task.chat or work.crew.chat
    chooser = None
    if chat.pattern == "selector":
        chooser = make_chooser(chat, roles, work.gateway, question=task.description, goal=goal)
    talk = await hold(
        scope.at("chat"),
        make_pattern(chat, roles),
        {role.name: _member(role, work, task, needed, goal) for role in roles},
        chooser=chooser,
        quorum=chat.quorum or 1,
        turn_seconds=chat.turn_seconds,
    )
    reviewers = {role.name for role in roles if role.approves}
    drafts = tuple(_draft(scope, m, needed) for m in talk.transcript.drafts(reviewers))
    if not drafts:
        if talk.stopped is not None:
            raise talk.stopped
        raise QuorumError(f"nobody gave a draft for task {task.id}")
    reviews = tuple(
        Draft(m.role, m.text) for m in {m.role: m for m in talk.transcript.spoken if m.role in reviewers}.values()
    )
    question = Question(goal, task.description, task.expected_output, reviews if len(drafts) > 1 else ())
    method = (task.synthesis or work.crew.synthesis).method
    answer, failure = await _merge(
        scope.at("synthesis", role=work.crew.synthesizer.name), work, method, question, drafts
    )
    stopped = talk.stopped or (failure if isinstance(failure, BudgetExceededError) else None)
    status: TaskStatus = "partial" if stopped or failure else "done"
    return Worked(_result(task, status, answer, drafts, talk), stopped)


def _member(role: Role, work: Workplace, task: Task, needed: Sequence[TaskResult], goal: str) -> Member:
    """How the role takes its turns in this task's chat."""
    context = tuple((t.id, t.output) for t in needed if t.output)

    async def speak(seen: tuple[Message, ...], number: int, scope: Scope) -> Contribution:
        brief = Brief(
            purpose="speak",
            role=role.name,
            goal=goal,
            task=task.id,
            question=task.description,
            messages=tuple((m.role, m.text) for m in seen),
            context=context,
            approves=role.approves,
            round=number,
        )
        place = scope.charged_to(work.role_ledgers.get(role.name))
        sourced = any(t.found for t in needed) or any(m.contribution.sources for m in seen)
        prompt = role_prompt(role, brief, task.expected_output, sources_known=sourced)
        return await work.actors[role.name].speak(Turn(place, role, prompt, brief, number))

    return Member(speak=speak, model=work.gateway.profile(role.llm).model if role.actor != "human" else "human")


def _draft(scope: Scope, message: Message, needed: Sequence[TaskResult]) -> Draft:
    said = message.contribution
    scope.emit(DraftMade(task=scope.task, role=message.role, text=message.text, model=said.model))
    inherited = tuple(source for task in needed for source in task.found)
    return Draft(message.role, message.text, (*said.sources, *inherited), said.model)


async def _merge(
    scope: Scope, work: Workplace, method: str, question: Question, drafts: tuple[Draft, ...]
) -> tuple[Answer, CrewmixError | None]:
    """One answer, and what went wrong when it is only the last draft."""
    known = tuple(dict.fromkeys(source for draft in drafts for source in draft.sources))
    if len(drafts) == 1:
        return Answer(drafts[0].text, cited(drafts[0].text, known)), None
    spec = work.crew.synthesis.model_copy(update={"method": method})
    failure: CrewmixError | None = None
    try:
        answer = await make_synthesis(spec, work.gateway, work.crew.synthesizer).merge(scope, question, drafts)
    except (BudgetExceededError, ModelError) as error:
        failure = error
        answer = Answer(_unmerged(question, drafts), known)
        answer = replace(answer, sources=cited(answer.text, known))
        scope.emit(Warned(code="unmerged", message=f"the drafts could not be merged: {error.message}"))
    if known and not answer.sources:
        scope.emit(Warned(code="uncited", message="sources were found, but the answer cites none of them"))
    event = Synthesised(
        task=scope.task,
        method=method if failure is None else "none",
        drafts=len(drafts),
        text=answer.text,
        dissent=answer.dissent,
        confidence=answer.confidence,
    )
    scope.emit(event)
    return answer, failure


def _unmerged(question: Question, drafts: Sequence[Draft]) -> str:
    """The best there is without a synthesis: all parts one after another, or the last draft."""
    if question.parts:
        return "\n\n".join(f"{part}\n\n{draft.text}" for part, draft in zip(question.parts, drafts, strict=True))
    return drafts[-1].text


def _with_dissent(task: TaskResult) -> str:
    if not task.dissent:
        return task.output
    return task.output + "\n\nDisagreements:\n" + "\n".join(f"- {item}" for item in task.dissent)


def _result(task: Task, status: TaskStatus, answer: Answer, drafts: Sequence[Draft], talk: Talk) -> TaskResult:
    found = tuple(dict.fromkeys(source for draft in drafts for source in draft.sources))
    return TaskResult(
        id=task.id,
        description=task.description,
        status=status,
        output=answer.text,
        sources=answer.sources,
        found=found,
        drafts=tuple(DraftText(task.id, d.author, d.text, d.model) for d in drafts),
        messages=tuple(_spoken(task.id, m) for m in talk.transcript.messages),
        dissent=answer.dissent,
        confidence=answer.confidence,
        error=talk.stopped.message if talk.stopped else None,
    )


def _spoken(task: str, message: Message) -> SpokenMessage:
    said = message.contribution
    failure = said.failure.message if said.failure else None
    return SpokenMessage(task, message.role, message.round, message.text, said.verdict, failure)


def _failed(task: Task, reason: str) -> TaskResult:
    return TaskResult(id=task.id, description=task.description, status="failed", output="", error=reason)


def _finished(scope: Scope, worked: Worked) -> Worked:
    result = worked.result
    scope.emit(TaskFinished(task=result.id, status=result.status, error=result.error))
    return worked
