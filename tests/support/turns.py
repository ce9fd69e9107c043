"""What tests of actors need: a run in memory, a gateway over a Python function, and turns."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crewmix.agents.base import Turn
from crewmix.agents.prompts import role_prompt
from crewmix.definitions.spec import Role
from crewmix.journal.events import Event
from crewmix.journal.run import Run
from crewmix.journal.scope import Scope
from crewmix.journal.store import SqliteStore
from crewmix.models.profile import Profile
from crewmix.models.types import Brief, ModelReply, ModelRequest, OnDelta, ToolCall
from crewmix.tools.base import ToolContext

Answer = Callable[[ModelRequest], Awaitable[ModelReply] | ModelReply | str]


def asks(*calls: tuple[str, str], text: str = "") -> ModelReply:
    """A reply that asks for tools: (name, JSON arguments) each."""
    wanted = tuple(ToolCall(f"call_{n}", name, arguments) for n, (name, arguments) in enumerate(calls))
    return ModelReply(text, wanted, "tool_calls", model="test/model")


@dataclass
class FunctionGateway:
    """The gateway's two methods over a function: journals calls, streams words, keeps what it was asked."""

    answer: Answer
    tools: bool = True
    window: int = 128_000
    requests: list[ModelRequest] = field(default_factory=list)
    scopes: list[str] = field(default_factory=list)

    def profile(self, name: str) -> Profile:
        return Profile(name, f"test/{name}", "test", name, tools=self.tools, declared_window=self.window)

    async def complete(self, scope: Scope, request: ModelRequest, on_delta: OnDelta | None = None) -> ModelReply:
        async def perform() -> dict[str, Any]:
            self.requests.append(request)
            self.scopes.append(scope.path)
            reply = self.answer(request)
            if isinstance(reply, Awaitable):
                reply = await reply
            if isinstance(reply, str):
                reply = ModelReply(reply, model="test/model")
            if on_delta:
                for word in reply.text.split(" "):
                    on_delta(word)
            return reply.as_dict()

        outcome, _ = await scope.effect("model", request.identity(), perform)
        return ModelReply.from_dict(outcome)


@dataclass
class Stage:
    """A run on which turns are taken; `events` holds what happened."""

    run: Run
    events: list[Event]
    project: Path

    def turn(
        self,
        role: Role,
        brief: Brief | None = None,
        expected: str = "",
        *,
        round: int = 1,
        at: str = "",
        sample: int = 0,
        schema: Mapping[str, Any] | None = None,
    ) -> Turn:
        brief = brief or Brief(purpose="speak", role=role.name, question="How tall is the tower?")
        scope = Scope(self.run).at("task.t1", task="t1").at(at or f"chat/round.{round}/{role.name}", role=role.name)
        prompt = role_prompt(role, brief, expected, in_fields=schema is not None)
        return Turn(scope, role, prompt, brief, round, sample, schema)

    def context(self, scope: Scope) -> ToolContext:
        return ToolContext(scope=scope, project=self.project)

    def seen(self, kind: type[Event]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


def open_stage(project: Path, *, epoch: int = 1, deltas: bool = True) -> Stage:
    """A stage on the journal in `project`; `epoch` 2 and up resumes what is there."""
    events: list[Event] = []
    run = Run("r1", SqliteStore(project / "crewmix.db"), epoch)
    run.listen(events.append, deltas=deltas)
    return Stage(run, events, project)
