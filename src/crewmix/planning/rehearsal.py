"""A crew played through without a model: its own plan, patterns and syntheses, with made-up texts for answers."""

from __future__ import annotations

from collections.abc import Sequence

from crewmix.chat.base import PatternSource
from crewmix.chat.patterns import make_pattern
from crewmix.definitions.definition import CrewDefinition
from crewmix.definitions.filled import filled
from crewmix.definitions.seats import seats
from crewmix.definitions.spec import SynthesisSpec, Task
from crewmix.models.gateway import Gateway
from crewmix.models.tokens import usual
from crewmix.planning.meter import Load, Meter
from crewmix.planning.plan import in_order, with_roles
from crewmix.planning.rehearsed_chat import RehearsedChat
from crewmix.planning.turns import Cast, Chair, Team, Turns
from crewmix.synthesis.base import Desk, Draft, Question
from crewmix.synthesis.methods import make_synthesis


class Rehearsal:
    """A run played through in one case.

    Args:
        cast: The crew and its models.
        goal: The goal; its length counts.
        meter: Counts the calls, and says which case it is.
        pattern: A chat pattern given in Python, for tasks without a `chat` of their own.
    """

    def __init__(self, cast: Cast, goal: str, meter: Meter, pattern: PatternSource | None = None) -> None:
        self.tasks = _tasks(cast.crew, goal, meter.worst)
        self._cast = cast
        self._crew = cast.crew
        self._goal = goal
        self._meter = meter
        self._pattern = pattern
        self._turns = Turns(cast, goal, meter, self._rehearse)
        self._desk = Desk(Gateway(cast.profiles), cast.crew.synthesizer, cast.crew.judge, cast.crew.root)
        self._nested: dict[tuple[str, int], tuple[Load, int]] = {}

    def run(self) -> int:
        """Play plan, tasks and final synthesis; gives the depth: how many calls follow each other."""
        crew = self._crew
        start = 0 if crew.tasks or crew.plan is None else self._plan()
        ends: dict[str, int] = {}
        for task in self.tasks:
            ready = max((ends[name] for name in task.needs), default=start)
            ends[task.id] = ready + self._task(with_roles(task, crew))
        depth = max(ends.values())
        if len(self.tasks) > 1:
            answer = "word" * self._turns.answer_tokens(crew.synthesizer)
            drafts = tuple(Draft(task.id, f"{task.id}\n{answer}") for task in self.tasks)
            question = Question(self._goal, self._goal, "", parts=tuple(task.description for task in self.tasks))
            depth += self._merge("", "final synthesis", crew.synthesis.of_tasks(), question, drafts)
        return depth

    def _plan(self) -> int:
        crew, meter = self._crew, self._meter
        team = "\n".join(f"{r.name}: {r.role}. {r.goal}" for r in crew.roles)
        prompt = usual(team + self._goal + crew.planner.backstory + crew.planner.goal) + 250
        attempts = 2 if meter.worst else 1
        one = meter.one(self._cast.profiles[crew.planner.llm], prompt, self._turns.answer_tokens(crew.planner))
        for _ in range(attempts):
            meter.count("", "plan", one)
        return attempts

    def _task(self, task: Task) -> int:
        crew = self._crew
        chat, synthesis = task.chat or crew.chat, task.synthesis or crew.synthesis
        roles = [role for role in crew.roles if role.name in task.roles]
        table = {seat.name: seat for seat in seats(chat, roles)}
        own = self._pattern if task.chat is None else None
        context = len(task.needs) * self._turns.answer_tokens(crew.synthesizer)
        label = task.id if crew.tasks else ""
        depth = 0
        for _ in range(crew.on_task_failure.retries + 1 if self._meter.worst else 1):
            pattern = make_pattern(chat, roles, synthesis, own=own, every_way=self._meter.worst, root=crew.root)
            talk = RehearsedChat(
                Chair(task, chat, synthesis, table, context), pattern, self._turns, self._meter, self._desk, label
            )
            depth += talk.hold(self._goal)
            drafts = talk.drafts()
            reviews = talk.reviews() if len(drafts) > 1 else ()
            question = Question(self._goal, task.description, task.expected_output, reviews)
            depth += self._merge(label, "synthesis", synthesis, question, drafts)
        return depth

    def _merge(self, task: str, stage: str, spec: SynthesisSpec, question: Question, drafts: Sequence[Draft]) -> int:
        if not drafts:
            return 0
        meter = self._meter
        stages = make_synthesis(spec, self._desk).stages(question, tuple(drafts), worst=meter.worst)
        for call in (call for calls in stages for call in calls):
            answer = (
                self._turns.answer_tokens(call.role, call.llm) if call.output_tokens is None else call.output_tokens
            )
            meter.count(task, stage, meter.one(self._cast.profiles[call.llm], call.input_tokens, answer))
        return sum(1 for calls in stages if calls)

    def _rehearse(self, team: Team, goal: str) -> tuple[Load, int]:
        key = (team.crew.name, len(goal))
        if key not in self._nested:
            meter = Meter(self._meter.price, worst=self._meter.worst)
            depth = Rehearsal(Cast(filled(team.crew, goal, {}), team.profiles, team.teams), goal, meter).run()
            self._nested[key] = (meter.total, depth)
        return self._nested[key]


def _tasks(crew: CrewDefinition, goal: str, worst: bool) -> tuple[Task, ...]:
    if crew.tasks:
        return in_order(crew.tasks)
    if crew.plan is None:
        return (Task(id="answer", description=goal),)
    count = crew.plan.max_tasks if worst else (crew.plan.max_tasks + 1) // 2
    names = [f"t{n}" for n in range(1, count + 1)]
    needs = [(names[n - 1],) if n and worst else () for n in range(count)]
    return tuple(Task(id=name, description=goal, needs=need) for name, need in zip(names, needs, strict=True))
