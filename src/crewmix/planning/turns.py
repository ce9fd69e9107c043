"""What one turn of a chat will take: the prompt it really gets, with made-up texts of the right length."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from crewmix.agents.prompts import role_prompt
from crewmix.chat.base import Message, View
from crewmix.chat.briefs import turn_brief
from crewmix.definitions.definition import CrewDefinition
from crewmix.definitions.seats import Seat
from crewmix.definitions.spec import ChatSpec, Role, SynthesisSpec, Task
from crewmix.models.profile import Profile
from crewmix.models.tokens import usual
from crewmix.planning.meter import Load, Meter
from crewmix.synthesis.answers.closed import answer_line

ANSWER_TOKENS = 400
"""An ordinary answer."""
TOOL_TOKENS = 700
"""An ordinary tool result."""
TOOL_LIMIT_TOKENS = 4_000
"""The longest tool result: 16,000 characters."""
PICK_TOKENS = 20
"""A selector's reply, or a guardrail's."""


class Team(Protocol):
    """A crew, the models that serve it, and the teams of the crews that work roles of it."""

    @property
    def crew(self) -> CrewDefinition:
        """The crew."""
        ...

    @property
    def profiles(self) -> Mapping[str, Profile]:
        """Its models by name."""
        ...

    @property
    def teams(self) -> Mapping[str, Team]:
        """By the names of the crews."""
        ...


@dataclass(frozen=True, slots=True)
class Cast:
    """A `Team` whose crew has its placeholders filled in."""

    crew: CrewDefinition
    profiles: Mapping[str, Profile]
    teams: Mapping[str, Team]


RehearseCrew = Callable[[Team, str], tuple[Load, int]]
"""What a run of a crew on a goal takes, and how deep it is."""


@dataclass(frozen=True, slots=True)
class Chair:
    """What every turn of a task's chat has in common."""

    task: Task
    chat: ChatSpec
    synthesis: SynthesisSpec
    table: Mapping[str, Seat]
    """The seats by name."""
    context: int
    """Tokens of the answers of tasks done before."""


class Turns:
    """What turns take.

    Args:
        cast: The crew and its models.
        goal: What is to be achieved.
        meter: The case and the prices; nothing is counted here.
        rehearse: Plays a crew through that works a role.
    """

    def __init__(self, cast: Cast, goal: str, meter: Meter, rehearse: RehearseCrew) -> None:
        self._cast = cast
        self._goal = goal
        self._meter = meter
        self._rehearse = rehearse
        self._known: dict[tuple[object, ...], tuple[Load, int]] = {}

    def answer_tokens(self, role: Role, llm: str | None = None) -> int:
        """How long an answer of this role is, by its own model or `llm`."""
        profiles = self._cast.profiles
        if role.crew is not None and role.crew in self._cast.teams:
            team = self._cast.teams[role.crew]
            role, profiles = team.crew.synthesizer, team.profiles
        cap = role.max_output_tokens or profiles[llm or role.llm].output_cap
        return cap if self._meter.worst else min(ANSWER_TOKENS, cap)

    def shown(self, messages: tuple[Message, ...], chair: Chair) -> int:
        """Tokens of messages."""
        return sum(self.answer_tokens(chair.table[m.role].role) for m in messages)

    def take(self, seat: Seat, view: View, chair: Chair) -> tuple[Load, int]:
        """What a turn takes, all tries and the stand-in at worst, and how many calls follow each other."""
        role = seat.role
        load, depth = self._try(seat, role, view, chair)
        if not self._meter.worst or not load.calls:
            return load, depth
        loads = [(load, depth)] * (chair.chat.retries + 1)
        if chair.chat.replacement is not None:
            other = role.model_copy(update={"llm": chair.chat.replacement})
            loads.append(self._try(seat, other, view, chair))
        return sum((load for load, _ in loads), Load()), sum(depth for _, depth in loads)

    def _try(self, seat: Seat, role: Role, view: View, chair: Chair) -> tuple[Load, int]:
        if role.actor == "human":
            return Load(), 0
        shown = self.shown((*view.messages, *view.drafts), chair) + chair.context
        seen = (len(view.messages), len(view.drafts), shown, view.ask, view.pass_to)
        # Turns of one role that see as much take as much: samples of a vote, proposers of a layer.
        key = (seat.of, seat.node, role.llm, role.max_output_tokens, chair.task.id, *seen)
        if key not in self._known:
            self._known[key] = self._work(role, view, chair, shown)
        return self._known[key]

    def _work(self, role: Role, view: View, chair: Chair, shown: int) -> tuple[Load, int]:
        line = answer_line(chair.synthesis, chair.chat.stop)
        brief = turn_brief(view, role, chair.task, self._goal, line=line)
        prompt = role_prompt(role, brief, chair.task.expected_output, in_fields=view.schema is not None)
        if role.crew is not None and role.crew in self._cast.teams:
            told = prompt.user + "word" * shown
            return self._rehearse(self._cast.teams[role.crew], told)
        own = usual(prompt.system + prompt.user) + (usual(json.dumps(view.schema)) if view.schema else 0)
        answer = self.answer_tokens(role)
        room = self._cast.profiles[role.llm].context_window - answer
        return self._calls(role, max(own, min(own + shown, room)), answer, asks_json=view.schema is not None)

    def _calls(self, role: Role, size: int, answer: int, *, asks_json: bool) -> tuple[Load, int]:
        meter, profile = self._meter, self._cast.profiles[role.llm]
        result = 0 if not role.tools else TOOL_LIMIT_TOKENS if meter.worst else TOOL_TOKENS
        most = role.max_iter if role.tools or role.guardrails else 2 if asks_json and not role.needs_crewai else 1
        calls = most if meter.worst else min(most, 2 if role.tools else 1)
        loads = [meter.one(profile, size + n * (answer + result), answer) for n in range(calls)]
        if role.guardrails and not meter.worst and calls < most:
            loads.append(meter.one(profile, answer + usual("".join(role.guardrails)) + 100, PICK_TOKENS))
        return sum(loads, Load()), len(loads)
