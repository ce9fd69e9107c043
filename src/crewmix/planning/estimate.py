"""What a run will cost, before it starts: the crew's own patterns are played through with made-up texts.

*Expected* takes answers of ordinary length, one tool call per turn where a role has tools, one check of the answer where it has
guardrails, reviewers who approve at their first chance, and half the tasks a planner may make. *Worst* takes answers as long as
the models may give, all `max_iter` calls of every turn with tools or guardrails, reviewers who never approve, every re-ask of
planner and selector, and all tasks one after another. Requests repeated because a provider failed are not counted, nor are
those for a guardrail's answer that is no JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any

from crewmix.agents.base import Contribution
from crewmix.agents.prompts import role_prompt
from crewmix.chat.base import Choose, Done, Message, Pattern, Transcript
from crewmix.chat.patterns import make_pattern
from crewmix.definitions.definition import CrewDefinition
from crewmix.definitions.spec import ChatSpec, Role, Task
from crewmix.models.profile import Profile
from crewmix.models.types import Brief, Usage
from crewmix.planning.plan import in_order, with_reviewers

ANSWER_TOKENS = 400
"""An ordinary answer."""
TOOL_TOKENS = 700
"""An ordinary tool result."""
PICK_TOKENS = 20
"""A selector's reply."""
TOOL_LIMIT_TOKENS = 4_000
"""The longest tool result: 16,000 characters."""


@dataclass(frozen=True, slots=True)
class Case:
    """The size of a run in one case. `usd` None = the price of a model is unknown."""

    calls: int
    depth: int
    """Calls that must wait for each other: the run takes at least this many answers' time."""
    input_tokens: int
    output_tokens: int
    usd: Decimal | None


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run will take. The budget, where one is set, ends the run before the worst case does."""

    expected: Case
    worst: Case
    tasks: tuple[int, int]
    """Expected and most tasks."""
    budget: Mapping[str, float]
    """The crew's limits, by name."""
    models: Mapping[str, str]
    """Model name of the crew -> the model that would serve."""

    def as_dict(self) -> dict[str, Any]:
        """The estimate as JSON-able data."""
        data = asdict(self)
        for case in ("expected", "worst"):
            data[case]["usd"] = None if data[case]["usd"] is None else str(data[case]["usd"])
        return data

    def __str__(self) -> str:
        rows = [("", "expected", "worst case")]
        rows += [(name, f"{getattr(self.expected, name):,}", f"{getattr(self.worst, name):,}") for name in _COUNTS]
        rows.append(("cost (USD)", _money(self.expected.usd), _money(self.worst.usd)))
        rows.append(("tasks", str(self.tasks[0]), str(self.tasks[1])))
        text = "\n".join(f"{name.replace('_', ' '):14}{expected:>12}{worst:>14}" for name, expected, worst in rows)
        if self.budget:
            text += "\nstops at      " + ", ".join(f"{limit:g} {name}" for name, limit in self.budget.items())
        return text


_COUNTS = ("calls", "depth", "input_tokens", "output_tokens")


def _money(usd: Decimal | None) -> str:
    return "unknown" if usd is None else f"{usd:.4f}"


PriceOf = Callable[[Profile, Usage], Decimal | None]


class _Meter:
    """Adds up calls while a crew is played through."""

    def __init__(self, profiles: Mapping[str, Profile], price: PriceOf, worst: bool) -> None:
        self.worst = worst
        self._profiles = profiles
        self._price = price
        self.calls = self.input = self.output = 0
        self.usd: Decimal | None = Decimal(0)

    def answer_tokens(self, role: Role) -> int:
        """How long an answer of this role is."""
        cap = role.max_output_tokens or self._profiles[role.llm].output_cap
        return cap if self.worst else min(ANSWER_TOKENS, cap)

    def call(self, llm: str, prompt_tokens: int, answer_tokens: int) -> None:
        """Count one call."""
        self.calls += 1
        self.input += prompt_tokens
        self.output += answer_tokens
        usd = self._price(self._profiles[llm], Usage(prompt_tokens, answer_tokens))
        self.usd = None if usd is None or self.usd is None else self.usd + usd

    def case(self, depth: int) -> Case:
        """What was counted."""
        return Case(self.calls, depth, self.input, self.output, self.usd)


def estimate(crew: CrewDefinition, goal: str, profiles: Mapping[str, Profile], price: PriceOf) -> Estimate:
    """Play the crew through, once as expected and once at worst.

    Args:
        crew: The crew, its placeholders filled in.
        goal: The goal; its length counts.
        profiles: The crew's models, by name.
        price: What a call costs in US dollars; None = unknown.
    """
    expected, worst = (_Play(crew, goal, _Meter(profiles, price, worst)) for worst in (False, True))
    limits = crew.budget.model_dump(exclude={"unpriced"}, exclude_none=True) if crew.budget else {}
    return Estimate(
        expected=expected.run(),
        worst=worst.run(),
        tasks=(len(expected.tasks), len(worst.tasks)),
        budget={name: float(limit) for name, limit in limits.items()},
        models={name: profile.model for name, profile in profiles.items()},
    )


class _Play:
    """A crew played through in one case. Methods count calls in the meter and return how deep they go."""

    def __init__(self, crew: CrewDefinition, goal: str, meter: _Meter) -> None:
        self._crew = crew
        self._goal = goal
        self._meter = meter
        self.tasks = _tasks(crew, goal, meter.worst)

    def run(self) -> Case:
        """Plan, tasks and final synthesis."""
        crew, meter = self._crew, self._meter
        start = 0 if crew.tasks or crew.plan is None else self._plan()
        answer = meter.answer_tokens(crew.synthesizer)
        ends: dict[str, int] = {}
        for task in self.tasks:
            ready = max((ends[name] for name in task.needs), default=start)
            ends[task.id] = ready + self._task(task, context=len(task.needs) * answer)
        depth = max(ends.values())
        if len(self.tasks) > 1:
            depth += self._merge(_tokens(self._goal) + answer * len(self.tasks))
        return meter.case(depth)

    def _plan(self) -> int:
        crew, meter = self._crew, self._meter
        team = "\n".join(f"{r.name}: {r.role}. {r.goal}" for r in crew.roles)
        prompt = _tokens(team + self._goal + crew.planner.backstory + crew.planner.goal) + 250
        attempts = 2 if meter.worst else 1
        for _ in range(attempts):
            meter.call(crew.planner.llm, prompt, meter.answer_tokens(crew.planner))
        return attempts

    def _task(self, task: Task, context: int) -> int:
        crew = self._crew
        chat = task.chat or crew.chat
        names = with_reviewers(task, crew).roles
        roles = {r.name: r for r in crew.roles if r.name in names}
        reviewers = {name for name, role in roles.items() if role.approves}
        depth = 0
        for _ in range(crew.on_task_failure.retries + 1 if self._meter.worst else 1):
            pattern = make_pattern(chat, list(roles.values()))
            transcript, rounds = self._chat(task, chat, pattern, roles, context)
            depth += rounds
            if len(transcript.drafts(reviewers)) > 1:
                last = {m.role: m for m in transcript.messages}
                depth += self._merge(sum(_tokens(m.text) for m in last.values()) + _tokens(task.description))
        return depth

    def _chat(
        self, task: Task, spec: ChatSpec, pattern: Pattern, roles: Mapping[str, Role], context: int
    ) -> tuple[Transcript, int]:
        chat, depth = Transcript(members=tuple(roles)), 0
        while not isinstance(step := pattern.next(chat), Done):
            if isinstance(step, Choose):
                depth += self._pick(spec, chat)
                spoken = [m.role for m in chat.messages]
                chat = chat.with_pick(min(step.candidates, key=spoken.count))
                continue
            seen = {name: pattern.view(chat, name) for name in step.roles}
            depth += max(self._turn(task, roles[name], view, context) for name, view in seen.items())
            chat = chat.with_round(tuple(self._said(roles[name]) for name in step.roles))
        return chat, depth

    def _said(self, role: Role) -> Contribution:
        verdict = None if not role.approves else "revise" if self._meter.worst else "approve"
        return Contribution(role.name, "word" * self._meter.answer_tokens(role), verdict)

    def _turn(self, task: Task, role: Role, seen: Sequence[Message], context: int) -> int:
        if role.actor == "human":
            return 0
        meter = self._meter
        brief = Brief(
            role=role.name,
            goal=self._goal,
            question=task.description,
            messages=tuple((m.role, m.text) for m in seen),
            approves=role.approves,
        )
        prompt = role_prompt(role, brief, task.expected_output)
        size = _tokens(prompt.system + prompt.user) + context
        answer = meter.answer_tokens(role)
        result = 0 if not role.tools else TOOL_LIMIT_TOKENS if meter.worst else TOOL_TOKENS
        most = role.max_iter if role.tools or role.guardrails else 1
        calls = most if meter.worst else min(most, 2 if role.tools else 1)
        for n in range(calls):
            meter.call(role.llm, size + n * (answer + result), answer)
        if role.guardrails and not meter.worst and calls < most:
            meter.call(role.llm, answer + _tokens("".join(role.guardrails)) + 100, PICK_TOKENS)
            calls += 1
        return calls

    def _pick(self, spec: ChatSpec, chat: Transcript) -> int:
        if spec.select.function is not None:
            return 0
        attempts = 3 if self._meter.worst else 1
        for _ in range(attempts):
            said = sum(_tokens(m.text) for m in chat.messages)
            self._meter.call(spec.select.llm or "default", said + 200, PICK_TOKENS)
        return attempts

    def _merge(self, material: int) -> int:
        role = self._crew.synthesizer
        prompt = _tokens(role.role + role.goal + role.backstory) + 200 + material
        self._meter.call(self._crew.synthesis.llm or role.llm, prompt, self._meter.answer_tokens(role))
        return 1


def _tasks(crew: CrewDefinition, goal: str, worst: bool) -> tuple[Task, ...]:
    if crew.tasks:
        return in_order(crew.tasks)
    if crew.plan is None:
        return (Task(id="answer", description=goal),)
    count = crew.plan.max_tasks if worst else (crew.plan.max_tasks + 1) // 2
    names = [f"t{n}" for n in range(1, count + 1)]
    needs = [(names[n - 1],) if n and worst else () for n in range(count)]
    return tuple(Task(id=name, description=goal, needs=need) for name, need in zip(names, needs, strict=True))


def _tokens(text: str) -> int:
    return len(text) // 4
