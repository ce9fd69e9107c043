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
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from crewmix.errors import CrewmixError, FencedError, RunCancelledError, StorageError
from crewmix.journal.budget import Amount, Ledger
from crewmix.journal.events import Event
from crewmix.journal.failures import as_record, from_record
from crewmix.journal.redact import Redactor
from crewmix.journal.rows import EffectKey, Recording, Spent
from crewmix.journal.store import Intent, SqliteStore

if TYPE_CHECKING:
    from crewmix.journal.scope import Scope

E = TypeVar("E", bound=Event)
Json = Any


def canonical(value: Json) -> str:
    """JSON text that is the same for equal data. Lone surrogates, which no file takes, become `?`."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _as_text(event: Event) -> str:
    return json.dumps(event.as_dict(), ensure_ascii=False, default=str).encode("utf-8", "replace").decode()


def digest(text: str) -> str:
    """The part of an effect's key that stands for its request, given as canonical JSON text."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]


class Charge:
    """What an effect is booked with while it is performed, try by try. It is kept with the outcome, and by `commit` at once."""

    def __init__(self, run: Run, key: EffectKey, ledgers: Sequence[Ledger], before: Amount) -> None:
        self.current = Amount()
        """What the try that goes on is booked with."""
        self._before = before
        self._run, self._key = run, key
        self._by = tuple(ledger.key for ledger in ledgers if ledger.key)

    @property
    def amount(self) -> Amount:
        """What all tries came to, those of earlier processes included."""
        return self._before + self.current

    def begin(self) -> None:
        """Begin a further try."""
        self._before, self.current = self.amount, Amount()

    @property
    def spent(self) -> Spent | None:
        """As the journal keeps it; None for what costs nothing."""
        return Spent(self.amount, self._by) if self.amount != Amount() else None

    async def commit(self) -> None:
        """Have the amount on disk before what it is for is sent.

        Raises:
            FencedError: Another process owns the run by now.
            StorageError: The journal cannot be written.
        """
        run = self._run
        await run.store.commit_effect(run.run_id, run.epoch, self._key, Spent(self.amount, self._by))

    def keep(self, failure: str | None = None) -> None:
        """Queue the amount, and how the last try ended, for writing."""
        if self.spent is not None or failure is not None:
            run = self._run
            run.store.book_effect(run.run_id, run.epoch, self._key, Spent(self.amount, self._by), failure)


Perform = Callable[[Charge], Awaitable[Json]]
Missing = Callable[[EffectKey, Json], CrewmixError]
"""Makes the error for an effect that a replay does not find."""


class Run:
    """One goal worked by one crew: its id, journal, listeners and whether it was cancelled.

    Args:
        run_id: The run's id.
        store: Where effects and events go.
        epoch: The epoch under which this process owns the run.
        redactor: Removes secrets from everything that is kept or shown.
        recordings: The effects that are known; None = those of the store, if the run is older than this process.
        missing: Given in a replay: nothing is performed, and what is not among the recordings raises the error it makes.
    """

    def __init__(
        self,
        run_id: str,
        store: SqliteStore,
        epoch: int = 1,
        redactor: Redactor | None = None,
        *,
        recordings: Iterable[Recording] | None = None,
        missing: Missing | None = None,
    ) -> None:
        self.run_id = run_id
        self.store = store
        self.epoch = epoch
        self.redactor = redactor or Redactor()
        self.cancelled = False
        self.recalled = 0
        """How many effects came from the journal."""
        self.performed = 0
        """How many effects were performed by this process."""
        if recordings is None:
            recordings = store.recordings(run_id) if epoch > 1 else ()
        self._recorded = {recording.key: recording for recording in recordings}
        self._missing = missing
        self._seq = store.last_seq(run_id) if epoch > 1 else 0
        self._occurrences: Counter[tuple[str, str, str]] = Counter()
        self._freed: dict[tuple[str, str, str], list[int]] = {}
        self._tried: dict[EffectKey, Amount] = {}
        self._listeners: list[Callable[[Event], None]] = []
        self._began = time.time() - time.monotonic()
        self.wants_deltas = False
        """Whether somebody watches text arrive; if not, models need not stream."""

    @property
    def replaying(self) -> bool:
        """Whether nothing is performed."""
        return self._missing is not None

    def listen(self, listener: Callable[[Event], None], *, deltas: bool = False) -> None:
        """Call `listener` with every event from now on, on the home loop; with `deltas` also with each `TextDelta`."""
        self._listeners.append(listener)
        self.wants_deltas = self.wants_deltas or deltas

    def emit(self, event: E, scope: str = "") -> E:
        """Number, scrub, keep and announce an event that happened at `scope`."""
        seq = self._seq + 1 if event.kept else 0
        stamped = self.redactor.event(replace(event, scope=scope, seq=seq, time=self._began + time.monotonic()))
        if event.kept:
            self._seq = seq
            self.store.add_event(self.run_id, self.epoch, seq, _as_text(stamped))
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

    def recordings(self, kind: str) -> Iterator[Recording]:
        """Every effect of a kind that the journal held when this process took the run up, also those without an outcome."""
        return (recording for key, recording in self._recorded.items() if key.kind == kind)

    def recorded(self, scope: str, kind: str, request: Json) -> Json | None:
        """The outcome of an effect if the journal holds it, without performing or counting anything."""
        known = self._recorded.get(EffectKey(scope, kind, digest(canonical(self.redactor.data(request))), 1))
        return None if known is None or known.response is None else json.loads(known.response)

    def upcoming(self, at: Scope, kind: str, request: Json) -> Recording | None:
        """What the journal holds of the effect that would be next with this request at this place; nothing is performed."""
        key = digest(canonical(self.redactor.data(request)))
        number = min(self._freed.get((at.path, kind, key), ()), default=self._occurrences[at.path, kind, key] + 1)
        return self._recorded.get(EffectKey(at.path, kind, key, number))

    async def effect(self, at: Scope, kind: str, request: Json, perform: Perform) -> tuple[Json, bool]:
        """The outcome of an effect, and whether it came from the journal.

        Args:
            at: The place in the run's tree, for whom it is, and which ledgers pay.
            kind: `model`, `tool`, `human` …
            request: What is asked, as JSON-able data; its hash is part of the key.
            perform: Does it; returns JSON-able data. What it raises is no outcome: the effect is performed again next time.

        Raises:
            RunCancelledError: The run was cancelled.
            FencedError: Another process owns the run.
            ReplayMissError: This is a replay, and the effect was not recorded.
            StorageError: The journal cannot be written.
        """
        # Without secrets, so that a key that was changed meanwhile makes no difference.
        text = canonical(self.redactor.data(request))
        hashed = digest(text)
        key = EffectKey(at.path, kind, hashed, self._take_number((at.path, kind, hashed)))
        known = self._recorded.get(key)
        if known is not None and known.response is not None:
            self.recalled += 1
            return json.loads(known.response), True
        if self._missing is not None:
            self._free(key)
            raise (
                from_record(json.loads(known.failure))
                if known and known.failure
                else self._missing(key, json.loads(text))
            )
        if self.cancelled:
            raise RunCancelledError("the run was cancelled", hint=f"`crewmix resume {self.run_id}` goes on from here")
        return await self._performed(at, key, text, perform), False

    async def _performed(self, at: Scope, key: EffectKey, text: str, perform: Perform) -> Json:
        charge = Charge(self, key, at.ledgers, self._spent_before(key))
        try:
            await self.store.begin_effect(self.run_id, self.epoch, Intent(key, text, at.task, at.role))
            outcome = await perform(charge)
        except BaseException as error:
            # A retry takes the same number, so that a resumed run, which meets no failure, finds the answer under it.
            self._free(key)
            self._tried[key] = charge.amount
            charge.keep(self._failure(error))
            raise
        self.performed += 1
        response = canonical(self.redactor.data(outcome))
        await self.store.finish_effect(self.run_id, self.epoch, key, response, charge.spent)
        # As a resumed run would read it, so that what follows is asked with the same words.
        return json.loads(response)

    def _failure(self, error: BaseException) -> str | None:
        """What a replay is to meet here; nothing for what lies outside of the effect."""
        if isinstance(error, RunCancelledError | FencedError | StorageError):
            return None
        return canonical(self.redactor.data(as_record(error))) if isinstance(error, CrewmixError) else None

    def _spent_before(self, key: EffectKey) -> Amount:
        if key in self._tried:
            return self._tried[key]
        known = self._recorded.get(key)
        return known.spent.amount if known is not None and known.spent is not None else Amount()

    def _free(self, key: EffectKey) -> None:
        self._freed.setdefault((key.scope, key.kind, key.key), []).append(key.occurrence)
