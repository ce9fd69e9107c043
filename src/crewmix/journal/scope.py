"""Where in a run something happens, for whom, and who pays."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from crewmix.errors import CrewmixError
from crewmix.journal.budget import Ledger, Payers
from crewmix.journal.events import Event, TextDelta
from crewmix.journal.run import Json, Perform, Run

E = TypeVar("E", bound=Event)


@dataclass(frozen=True, slots=True)
class Scope:
    """A place in a run's tree. Handed down to everything that speaks, calls or merges.

    `task` and `role` say who works here; `ledgers` are the budgets that what happens here is charged to, outermost first, the
    role's own included. `purses` are the budgets of all roles. `kept` are the budgets that keep a share for a synthesis which
    is not what happens here; `outer` those among them that belong to the crews around this one.
    """

    run: Run
    path: str = ""
    task: str = ""
    role: str = ""
    ledgers: tuple[Ledger, ...] = ()
    purses: Mapping[str, Ledger] = field(default_factory=dict[str, Ledger])
    kept: tuple[Ledger, ...] = ()
    outer: tuple[Ledger, ...] = ()

    @property
    def payers(self) -> Payers:
        """The budgets, and what of them may be used here."""
        return Payers(self.ledgers, self.kept)

    def at(self, name: str, *, task: str | None = None, role: str | None = None) -> Scope:
        """The place `name` below this one."""
        return replace(
            self,
            path=f"{self.path}/{name}" if self.path else name,
            task=self.task if task is None else task,
            role=self.role if role is None else role,
            ledgers=self.ledgers if role is None or not self.purses else self._ledgers_of(role),
        )

    def _ledgers_of(self, role: str) -> tuple[Ledger, ...]:
        """The ledgers, with the purse of `role` in the place of this role's."""
        mine, theirs = self.purses.get(self.role), self.purses.get(role)
        others = tuple(ledger for ledger in self.ledgers if ledger is not mine and ledger is not theirs)
        return others if theirs is None else (*others, theirs)

    def charged_to(self, ledger: Ledger | None) -> Scope:
        """The same place, charged to one more budget if there is one."""
        return self if ledger is None else replace(self, ledgers=(*self.ledgers, ledger), kept=(*self.kept, ledger))

    def with_purses(self, purses: Mapping[str, Ledger]) -> Scope:
        """The same place, where the roles have budgets of their own."""
        return replace(self, purses=purses, kept=(*self.kept, *purses.values()))

    def of_crew(self, ledger: Ledger) -> Scope:
        """The place of a crew that works a role, with its own budget: it cannot use what the crews around it keep."""
        return replace(self.charged_to(ledger), outer=self.kept)

    def merging(self) -> Scope:
        """The same place, for a synthesis of its crew: it may use what the crew's budgets keep for it."""
        return replace(self, kept=self.outer)

    async def effect(self, kind: str, request: Json, perform: Callable[[], Awaitable[Json]]) -> tuple[Json, bool]:
        """An effect at this place: its outcome, and whether it came from the journal. See `Run.effect`."""
        return await self.run.effect(self, kind, request, lambda _: perform())

    async def paid_effect(self, kind: str, request: Json, perform: Perform) -> tuple[Json, bool]:
        """An effect that costs something, which `perform` books in the `Charge` it is given. See `Run.effect`."""
        return await self.run.effect(self, kind, request, perform)

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
