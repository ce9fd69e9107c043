"""A run in memory with a desk at which drafts are read: one model serves everyone, its window as small as a test wants."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crewmix.definitions.spec import Role, SynthesisSpec
from crewmix.journal.events import Event, Warned
from crewmix.journal.run import Run
from crewmix.journal.scope import Scope
from crewmix.journal.store import SqliteStore
from crewmix.models.gateway import Gateway
from crewmix.models.profile import Profile
from crewmix.models.tokens import most_input
from crewmix.models.types import ModelRequest
from crewmix.synthesis.base import Answer, Desk, Draft, Question, Stages
from crewmix.synthesis.methods import make_synthesis
from support.models import FunctionModel

SYNTHESIZER = Role(name="editor", role="Editor", goal="Merge", temperature=0.2)
JUDGE = Role(name="judge", role="Judge", goal="Compare", temperature=0.0)
QUESTION = Question("How many cats?", "How many cats?", "a number")


def drafts(*texts: str) -> tuple[Draft, ...]:
    """Drafts by solver#1, solver#2 and so on."""
    return tuple(Draft(f"solver#{n}", text) for n, text in enumerate(texts, 1))


@dataclass
class Table:
    """Where drafts are read."""

    model: FunctionModel
    desk: Desk
    run: Run
    events: list[Event] = field(default_factory=list)

    @property
    def scope(self) -> Scope:
        return Scope(self.run).at("task.1", task="1").at("synthesis")

    async def merge(self, given: Sequence[Draft], question: Question = QUESTION, **spec: Any) -> Answer:
        return await make_synthesis(SynthesisSpec(**spec), self.desk).merge(self.scope, question, tuple(given))

    def stages(
        self, given: Sequence[Draft], question: Question = QUESTION, *, worst: bool = True, **spec: Any
    ) -> Stages:
        return make_synthesis(SynthesisSpec(**spec), self.desk).stages(question, tuple(given), worst=worst)

    def warned(self, code: str) -> list[str]:
        return [e.message for e in self.events if isinstance(e, Warned) and e.code == code]

    def too_large(self) -> list[int]:
        """Requests that could outgrow the model's window, answer included."""
        profile = self.desk.gateway.profile("default")
        sizes = [most_input(request) + profile.output_cap for request in self.model.requests]
        return [size for size in sizes if size > profile.context_window]


@asynccontextmanager
async def table(
    answer: Callable[[ModelRequest], Any],
    *,
    window: int | None = None,
    output: int | None = None,
    path: Path | None = None,
    **desk: Any,
) -> AsyncGenerator[Table]:
    """A table at which `answer` says what the model replies; the second time with the same `path` the run is resumed."""
    store = SqliteStore(path)
    model = FunctionModel(answer)
    profile = Profile(
        name="default",
        model="python/test",
        provider="python",
        provider_model="test",
        local=True,
        attempts=1,
        driver=model,
        declared_window=window,
        max_output_tokens=output,
    )
    gateway = Gateway({"default": profile})
    try:
        if store.runs():
            run = Run("r1", store, epoch=await store.claim("r1"))
        else:
            await store.create_run("r1", "crew", "goal", {})
            run = Run("r1", store)
        parts = {"synthesizer": SYNTHESIZER, "judge": JUDGE, "root": Path(), **desk}
        here = Table(model, Desk(gateway=gateway, **parts), run)
        run.listen(here.events.append)
        yield here
    finally:
        await gateway.close()
        store.close()
