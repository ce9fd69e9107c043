"""The door through which everything unrepeatable goes: `Scope.effect`.

A run is ordinary async code. Whatever cannot be repeated (a model call, a tool call, a human's answer) is an effect: if the
journal holds its outcome it returns at once, otherwise it is performed and its outcome is on disk before anyone sees it.
So resuming a run is running the same code again.

An effect's key is its scope (`task.2/chat/round.1/researcher/model`), its kind, the hash of its request, and the how-manieth
equal request of that scope it is. The scope is a place in the run's tree, so the key does not depend on which of several
parallel calls finished first.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from crewmix.errors import CrewmixError, RunCancelledError
from crewmix.journal.budget import Ledger
from crewmix.journal.events import Event, TextDelta
from crewmix.journal.redact import Redactor
from crewmix.journal.store import EffectKey, SqliteStore

E = TypeVar("E", bound=Event)
Json = Any


def canonical(value: Json) -> str:
    """JSON text that is the same for equal data. Lone surrogates, which no file takes, become `?`."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _as_text(event: Event) -> str:
    return json.dumps(event.as_dict(), ensure_ascii=False, default=str).encode("utf-8", "replace").decode()


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


class Run:
    """One goal worked by one crew: its id, journal, listeners and whether it was cancelled.

    Args:
        run_id: The run's id.
        store: Where effects and events go.
        epoch: The epoch under which this process owns the run.
        redactor: Removes secrets from everything that is kept or shown.
    """

    def __init__(self, run_id: str, store: SqliteStore, epoch: int = 1, redactor: Redactor | None = None) -> None:
        self.run_id = run_id
        self.store = store
        self.epoch = epoch
        self.redactor = redactor or Redactor()
        self.cancelled = False
        self.recalled = 0
        """How many effects came from the journal."""
        self.performed = 0
        """How many effects were performed by this process."""
        self._recorded = store.effects(run_id) if epoch > 1 else {}
        self._seq = store.last_seq(run_id) if epoch > 1 else 0
        self._occurrences: Counter[tuple[str, str, str]] = Counter()
        self._freed: dict[tuple[str, str, str], list[int]] = {}
        self._listeners: list[Callable[[Event], None]] = []
        self.wants_deltas = False
        """Whether somebody watches text arrive; if not, models need not stream."""

    def listen(self, listener: Callable[[Event], None], *, deltas: bool = False) -> None:
        """Call `listener` with every event from now on, on the home loop; with `deltas` also with each `TextDelta`."""
        self._listeners.append(listener)
        self.wants_deltas = self.wants_deltas or deltas

    def emit(self, event: E, scope: str = "") -> E:
        """Number, scrub, keep and announce an event that happened at `scope`."""
        stamped = replace(event, scope=scope, seq=self._seq + 1 if event.kept else 0, time=time.time())
        text = _as_text(stamped)
        if self.redactor.text(text) != text:
            stamped = self.redactor.event(stamped)
            text = _as_text(stamped)
        if event.kept:
            self._seq += 1
            self.store.add_event(self.run_id, stamped.seq, text)
        for listener in list(self._listeners):
            listener(stamped)
        return stamped

    def cancel(self) -> None:
        """Let no further effect start."""
        self.cancelled = True

    def _take_number(self, kind_of: tuple[str, str, str]) -> int:
        if freed := self._freed.get(kind_of):
            freed.sort(reverse=True)
            return freed.pop()
        self._occurrences[kind_of] += 1
        return self._occurrences[kind_of]

    def answered(self, kind: str) -> Iterator[tuple[str, Json]]:
        """Every effect of a kind that the journal held when this process took the run up: (scope, outcome)."""
        return ((key.scope, json.loads(text)) for key, text in self._recorded.items() if key.kind == kind)

    def recorded(self, scope: str, kind: str, request: Json) -> Json | None:
        """The outcome of an effect if the journal holds it, without performing or counting anything."""
        text = self._recorded.get(EffectKey(scope, kind, _digest(canonical(request)), 1))
        return None if text is None else json.loads(text)

    async def effect(
        self, scope: str, kind: str, request: Json, perform: Callable[[], Awaitable[Json]]
    ) -> tuple[Json, bool]:
        """The outcome of an effect, and whether it came from the journal.

        Args:
            scope: The place in the run's tree.
            kind: `model`, `tool`, `human` …
            request: What is asked, as JSON-able data; its hash is part of the key.
            perform: Does it; returns JSON-able data. What it raises is not recorded.

        Raises:
            RunCancelledError: The run was cancelled.
            FencedError: Another process owns the run.
            StorageError: The journal cannot be written.
        """
        text = canonical(request)
        digest = _digest(text)
        key = EffectKey(scope, kind, digest, self._take_number((scope, kind, digest)))
        recorded = self._recorded.get(key)
        if recorded is not None:
            self.recalled += 1
            return json.loads(recorded), True
        if self.cancelled:
            raise RunCancelledError("the run was cancelled", hint=f"`crewmix resume {self.run_id}` goes on from here")
        try:
            await self.store.begin_effect(self.run_id, self.epoch, key, self.redactor.text(text))
            outcome = await perform()
        except BaseException:
            # A retry takes the same number, so that a resumed run, which meets no failure, finds the answer under it.
            self._freed.setdefault((scope, kind, digest), []).append(key.occurrence)
            raise
        self.performed += 1
        await self.store.finish_effect(self.run_id, key, self.redactor.text(canonical(outcome)))
        return outcome, False


@dataclass(frozen=True, slots=True)
class Scope:
    """A place in a run's tree. Handed down to everything that speaks, calls or merges.

    `task` and `role` say who works here; `ledgers` are the budgets that what happens here is charged to, outermost first, the
    role's own included. `purses` are the budgets of all roles.
    """

    run: Run
    path: str = ""
    task: str = ""
    role: str = ""
    ledgers: tuple[Ledger, ...] = ()
    purses: Mapping[str, Ledger] = field(default_factory=dict[str, Ledger])

    def at(self, name: str, *, task: str | None = None, role: str | None = None) -> Scope:
        """The place `name` below this one."""
        return Scope(
            run=self.run,
            path=f"{self.path}/{name}" if self.path else name,
            task=self.task if task is None else task,
            role=self.role if role is None else role,
            ledgers=self.ledgers if role is None or not self.purses else self._ledgers_of(role),
            purses=self.purses,
        )

    def _ledgers_of(self, role: str) -> tuple[Ledger, ...]:
        """The ledgers, with the purse of `role` in the place of this role's."""
        mine, theirs = self.purses.get(self.role), self.purses.get(role)
        others = tuple(ledger for ledger in self.ledgers if ledger is not mine and ledger is not theirs)
        return others if theirs is None else (*others, theirs)

    def charged_to(self, ledger: Ledger | None) -> Scope:
        """The same place, charged to one more budget if there is one."""
        return self if ledger is None else replace(self, ledgers=(*self.ledgers, ledger))

    async def effect(self, kind: str, request: Json, perform: Callable[[], Awaitable[Json]]) -> tuple[Json, bool]:
        """An effect at this place: its outcome, and whether it came from the journal. See `Run.effect`."""
        return await self.run.effect(self.path, kind, request, perform)

    def recorded(self, kind: str, request: Json) -> Json | None:
        """The outcome of an effect at this place if the journal holds it; nothing is performed."""
        return self.run.recorded(self.path, kind, request)

    async def accept_failure(self, request: Json, error: CrewmixError) -> None:
        """Record that the run goes on without what failed here.

        A resumed run asks `recorded("failure", request)` first and goes on without it as well, so that everything after it
        is asked with the same words and nothing is paid twice.
        """

        async def outcome() -> Json:
            return error.as_dict()

        await self.effect("failure", request, outcome)

    def emit(self, event: E) -> E:
        """Announce what happened here."""
        return self.run.emit(event, self.path)

    def deltas(self) -> Callable[[str], None] | None:
        """Where a model's text goes piece by piece while somebody watches; None when nobody does."""
        if not self.run.wants_deltas:
            return None

        def show(text: str) -> None:
            self.emit(TextDelta(role=self.role, text=text))

        return show
