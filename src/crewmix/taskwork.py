"""One task becomes one answer: its seats talk it through, the synthesis merges what they offer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from crewmix.agents.base import Actor, Contribution, Turn
from crewmix.agents.fit import fitted
from crewmix.agents.prompts import role_prompt
from crewmix.chat.base import Member, Message, PatternSource, Speak, Talk, View
from crewmix.chat.briefs import turn_brief
from crewmix.chat.hold import hold
from crewmix.chat.patterns import make_pattern
from crewmix.chat.selector import make_chooser
from crewmix.definitions.definition import CrewDefinition
from crewmix.definitions.seats import Seat, seats
from crewmix.definitions.spec import Role, SynthesisSpec, Task
from crewmix.definitions.spec_chat import StopSpec
from crewmix.errors import BudgetExceededError, ModelError, QuorumError, TaskError
from crewmix.journal.budget import Ledger
from crewmix.journal.events import DraftMade, TaskFinished, TaskStarted, Warned
from crewmix.journal.scope import Scope
from crewmix.merging import merge_drafts
from crewmix.models.tokens import at_most
from crewmix.models.types import Brief
from crewmix.result import DraftText, Merge, SpokenMessage, TaskResult, TaskStatus
from crewmix.synthesis.answers.closed import answer_line
from crewmix.synthesis.base import Answer, Desk, Draft, Question
from crewmix.synthesis.judges.compare import make_reviser
from crewmix.tools.people import People


@dataclass(frozen=True, slots=True)
class Workplace:
    """Everything a run works with."""

    crew: CrewDefinition
    desk: Desk
    """The door to the models, and who merges and judges."""
    actor: Callable[[Role], Actor]
    """Who works a role."""
    task_ledger: Callable[[Scope, Task], Ledger | None]
    """Opens a task's own budget."""
    role_ledgers: Mapping[str, Ledger]
    """The roles' own budgets, also by the names of their seats."""
    people: People = field(default_factory=People)
    """Who can be asked."""
    pattern: PatternSource | None = None
    """A chat pattern given in Python, for tasks without a `chat` of their own."""


@dataclass(frozen=True, slots=True)
class Worked:
    """A task that is over. `stopped` is set when a budget ended it early."""

    result: TaskResult
    stopped: BudgetExceededError | None = None


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
            reason = _why(known["message"], known.get("hint"))
            continue
        try:
            worked = await _attempt(here, work, task, needed, goal)
        except BudgetExceededError as error:
            return _finished(place, Worked(_failed(task, error.message), error))
        except (ModelError, QuorumError) as error:
            reason = _why(error.message, error.hint)
            await here.accept_failure({"task": task.id}, error)
        else:
            return _finished(place, worked)
    if policy.then == "stop":
        raise TaskError(
            f"task {task.id} failed: {reason}", hint="`on_task_failure: {then: continue}` goes on without it"
        )
    return _finished(place, Worked(_failed(task, reason)))


async def _attempt(scope: Scope, work: Workplace, task: Task, needed: Sequence[TaskResult], goal: str) -> Worked:
    crew = work.crew
    chat, synthesis = task.chat or crew.chat, task.synthesis or crew.synthesis
    roles = [role for role in crew.roles if role.name in task.roles]
    table = {seat.name: seat for seat in seats(chat, roles)}
    question = Question(goal, task.description, task.expected_output)
    own = work.pattern if task.chat is None else None
    pattern = make_pattern(chat, roles, synthesis, own=own, root=crew.root)
    chooser = None
    if chat.pattern == "selector" or ":" in chat.pattern or own is not None:
        chooser = make_chooser(chat, roles, work.desk.gateway, question=task.description, goal=goal, root=crew.root)
    desk = _TaskDesk(work, task, tuple(needed), goal, synthesis, chat.stop)
    talk = await hold(
        scope.at("chat"),
        pattern,
        {name: desk.member(seat, chat.replacement) for name, seat in table.items()},
        chooser=chooser,
        reviser=make_reviser(work.desk.gateway, crew.judge, question),
        # Each layer has its quorum, and the last one may have a smaller one than the chat.
        quorum=1 if chat.pattern == "layers" else chat.quorum or 1,
        turn_seconds=chat.turn_seconds,
        retries=chat.retries,
    )
    drafts = tuple(_draft(scope, m, needed, table[m.role]) for m in pattern.drafts(talk.transcript))
    if not drafts:
        if talk.stopped is not None:
            raise talk.stopped
        raise QuorumError(f"nobody gave a draft for task {task.id}")
    question = replace(question, reviews=_reviews(talk, table, drafts))
    answer, merge, failure = await merge_drafts(
        scope.at("synthesis", role=crew.synthesizer.name), work.desk, synthesis, question, drafts
    )
    stopped = talk.stopped or (failure if isinstance(failure, BudgetExceededError) else None)
    status: TaskStatus = "partial" if stopped or failure else "done"
    return Worked(_result(task, status, answer, merge, drafts, talk), stopped)


@dataclass(frozen=True, slots=True)
class _TaskDesk:
    """What the members of one task's chat work with."""

    work: Workplace
    task: Task
    needed: tuple[TaskResult, ...]
    goal: str
    synthesis: SynthesisSpec
    stop: StopSpec | None

    def member(self, seat: Seat, replacement: str | None) -> Member:
        """How a seat takes its turns."""
        other = seat.role.model_copy(update={"llm": replacement}) if replacement else None
        return Member(
            speak=self._speaker(seat, seat.role),
            model=self._model(seat.role),
            stand_in=self._speaker(seat, other) if other else None,
            stand_in_model=self._model(other) if other else "",
        )

    def _model(self, role: Role) -> str:
        if role.crew is not None:
            return f"crew {role.crew}"
        return "human" if role.actor == "human" else self.work.desk.gateway.profile(role.llm).model

    def _speaker(self, seat: Seat, role: Role) -> Speak:
        async def speak(view: View, number: int, scope: Scope) -> Contribution:
            brief = self._brief(view, role, number, scope)
            sourced = any(t.found for t in self.needed)
            sourced = sourced or any(m.contribution.sources for m in (*view.messages, *view.drafts))
            prompt = role_prompt(
                role, brief, self.task.expected_output, sources_known=sourced, in_fields=view.schema is not None
            )
            turn = Turn(scope, role, prompt, brief, number, seat.sample, view.schema)
            return replace(await self.work.actor(role).speak(turn), llm=role.llm)

        return speak

    def _brief(self, view: View, role: Role, number: int, scope: Scope) -> Brief:
        context = [(t.id, t.output) for t in self.needed if t.output]
        texts = [*(text for _, text in context), *(m.text for m in (*view.messages, *view.drafts))]
        return turn_brief(
            view,
            role,
            self.task,
            self.goal,
            line=answer_line(self.synthesis, self.stop),
            context=context,
            number=number,
            shown=self._fitted(texts, role, scope),
        )

    def _fitted(self, texts: list[str], role: Role, scope: Scope) -> list[str]:
        """The texts as they are, or trimmed to what the role's model can read."""
        if role.crew is not None or role.actor == "human":
            return texts
        profile = self.work.desk.gateway.profile(role.llm)
        own = at_most(role.role + role.goal + role.backstory + self.task.description + self.task.expected_output)
        room = profile.context_window - (role.max_output_tokens or profile.output_cap) - own - _PROMPT_TOKENS
        trimmed, cut = fitted(texts, room)
        if cut:
            message = f"{cut} of {len(texts)} texts were cut to fit what {role.name}'s model can read ({profile.model})"
            scope.emit(Warned(code="trimmed", message=message))
        return list(trimmed)


_PROMPT_TOKENS = 600
"""Room for the fixed words of a prompt and the marks around quotations."""


def _draft(scope: Scope, message: Message, needed: Sequence[TaskResult], seat: Seat) -> Draft:
    said = message.contribution
    scope.emit(DraftMade(task=scope.task, role=message.role, text=message.text, model=said.model))
    inherited = tuple(source for task in needed for source in task.found)
    return Draft(message.role, message.text, (*said.sources, *inherited), said.model, seat.of, said.llm)


def _reviews(talk: Talk, table: Mapping[str, Seat], drafts: Sequence[Draft]) -> tuple[Draft, ...]:
    """The last word of each reviewer, where there are several drafts to weigh."""
    if len(drafts) == 1:
        return ()
    last = {m.role: m for m in talk.transcript.spoken if table[m.role].role.approves}
    offered = {draft.author for draft in drafts}
    return tuple(Draft(m.role, m.text) for m in last.values() if m.role not in offered)


def _result(
    task: Task, status: TaskStatus, answer: Answer, merge: Merge | None, drafts: Sequence[Draft], talk: Talk
) -> TaskResult:
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
        merge=merge,
        error=talk.stopped.message if talk.stopped else None,
    )


def _spoken(task: str, message: Message) -> SpokenMessage:
    said = message.contribution
    failure = said.failure.message if said.failure else None
    return SpokenMessage(task, message.role, message.round, message.text, said.verdict, failure)


def _why(message: str, hint: str | None) -> str:
    return message if hint is None else f"{message} ({hint})"


def _failed(task: Task, reason: str) -> TaskResult:
    return TaskResult(id=task.id, description=task.description, status="failed", output="", error=reason)


def _finished(scope: Scope, worked: Worked) -> Worked:
    result = worked.result
    scope.emit(TaskFinished(task=result.id, status=result.status, error=result.error))
    return worked
