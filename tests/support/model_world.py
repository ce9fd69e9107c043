"""A run with a journal in memory, and a gateway in front of a loopback provider."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from crewmix.definitions.spec import ModelSpec
from crewmix.journal.budget import Ledger
from crewmix.journal.events import Event
from crewmix.journal.run import Run
from crewmix.journal.scope import Scope
from crewmix.journal.store import SqliteStore
from crewmix.models import paying
from crewmix.models.gateway import Gateway
from crewmix.models.resolve import resolve
from crewmix.models.types import ChatMessage, Model, ModelReply, ModelRequest, OnDelta


def ask(text: str = "hello", **fields: Any) -> ModelRequest:
    """A request of the profile `default` with one user message."""
    return ModelRequest("default", (ChatMessage("user", text),), **fields)


class World:
    """One run: `events` in order, `ask(...)` to call a model."""

    def __init__(self, gateway: Gateway, run: Run, ledgers: Sequence[Ledger]) -> None:
        self.gateway, self.run = gateway, run
        self.events: list[Event] = []
        run.listen(self.events.append)
        self.scope = Scope(run, role="researcher", ledgers=tuple(ledgers))

    async def ask(
        self, text: str = "hello", *, at: str = "model", on_delta: OnDelta | None = None, **fields: Any
    ) -> ModelReply:
        return await self.gateway.complete(self.scope.at(at), ask(text, **fields), on_delta)

    def seen(self, kind: type[Event]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


@asynccontextmanager
async def world(
    model: str | Model,
    *ledgers: Ledger,
    store: SqliteStore | None = None,
    epoch: int = 1,
    cache_path: Path | None = None,
    api_key: str | None = None,
    others: Mapping[str, ModelSpec | Model] | None = None,
    **spec: Any,
) -> AsyncGenerator[World]:
    """A world whose profile `default` is `model`, with the settings `spec`; `others` are further models."""
    wanted = ModelSpec(model=model, api_key=api_key, **spec) if isinstance(model, str) else model
    profiles = await resolve({"default": wanted, **(others or {})}, environ={}, probe=False)
    own = store is None
    store = store or SqliteStore(None)
    gateway = Gateway(profiles, cache_path=cache_path)
    try:
        if epoch == 1:
            await store.create_run("run", "crew", "goal", {})
        yield World(gateway, Run("run", store, epoch), ledgers)
    finally:
        await gateway.close()
        if own:
            store.close()


def no_waiting(monkeypatch: Any, waits: list[float] | None = None) -> list[float]:
    """Let retries come at once; returns the list in which the waits are noted."""
    noted = waits if waits is not None else []
    real = paying.pause

    def pause(error: Any, attempt: int) -> float | None:
        wait = real(error, attempt)
        if wait is None:
            return None
        noted.append(wait)
        return 0.0

    monkeypatch.setattr(paying, "pause", pause)
    return noted
