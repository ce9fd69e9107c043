"""Opening budgets: a resumed run's ledgers begin with what the run has paid for before."""

from __future__ import annotations

from collections.abc import Mapping

from crewmix.definitions.definition import CrewDefinition
from crewmix.definitions.seats import seats
from crewmix.definitions.spec import BudgetSpec
from crewmix.journal.budget import Ledger, Limits
from crewmix.journal.events import BudgetWarning
from crewmix.journal.run import Run, Scope


def open_ledger(owner: str, budget: BudgetSpec | None, run: Run, place: str) -> Ledger:
    """A ledger in which everything the run has already paid for out of it is booked.

    Args:
        owner: Whose budget it is, for messages; unique at its place.
        budget: Its limits; None = unlimited.
        run: The run.
        place: The place in the run's tree that it pays for; empty = the whole run.
    """
    spec = budget or BudgetSpec()
    limits = Limits(spec.usd, spec.calls, spec.tokens, spec.seconds, spec.unpriced == "deny")

    def warn(name: str, limit: str, used: float, allowed: float, mark: float) -> None:
        run.emit(BudgetWarning(owner=name, limit=limit, used=used, allowed=allowed, share=mark), place)

    ledger = Ledger(owner, limits, warn, key=f"{place}: {owner}")
    for recording in run.recordings("model"):
        if recording.spent is not None and ledger.key in recording.spent.by:
            ledger.spend(recording.spent.amount)
    return ledger


def role_ledgers(crew: CrewDefinition, root: Scope) -> Mapping[str, Ledger]:
    """The roles' own budgets, by the names under which the roles work: their own and those of their seats."""
    chats = (crew.chat, *(task.chat for task in crew.tasks if task.chat))
    of = {seat.name: seat.of for chat in chats for seat in seats(chat, crew.roles)}
    found: dict[str, Ledger] = {}
    for role in (*crew.roles, crew.synthesizer, crew.judge, crew.planner):
        if role.budget is None or role.name in found:
            continue
        ledger = open_ledger(f"role {role.name}", role.budget, root.run, root.path)
        found |= dict.fromkeys([role.name, *(seat for seat, owner in of.items() if owner == role.name)], ledger)
    return found
