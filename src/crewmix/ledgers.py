"""Opening budgets: a resumed run's ledgers begin with what the run has paid for before."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal

from crewmix.definitions.definition import CrewDefinition
from crewmix.definitions.seats import seats
from crewmix.definitions.spec import BudgetSpec
from crewmix.journal.budget import Amount, Ledger, Limits
from crewmix.journal.events import BudgetWarning
from crewmix.journal.run import Run, Scope
from crewmix.models.types import ModelReply

_JUDGED = ("rank.", "mark.", "tests.", "critique")
"""How places within a synthesis begin at which the judge is asked, not the synthesizer."""


def open_ledger(
    owner: str, budget: BudgetSpec | None, run: Run, place: str, mine: Callable[[str], bool] = lambda _: True
) -> Ledger:
    """A ledger in which everything the run has already paid for at this place is booked.

    Args:
        owner: Whose budget it is, for messages.
        budget: Its limits; None = unlimited.
        run: The run.
        place: The place in the run's tree that it pays for; empty = the whole run.
        mine: Whether it pays for what was asked at a place, given as seen from `place`.
    """
    spec = budget or BudgetSpec()
    limits = Limits(spec.usd, spec.calls, spec.tokens, spec.seconds, spec.unpriced == "deny")

    def warn(name: str, limit: str, used: float, allowed: float, mark: float) -> None:
        run.emit(BudgetWarning(owner=name, limit=limit, used=used, allowed=allowed, share=mark), place)

    ledger = Ledger(owner, limits, warn)
    below = f"{place}/" if place else ""

    def pays(asked_at: str) -> bool:
        return asked_at.startswith(below) and mine(asked_at.removeprefix(below))

    for asked_at, lost in run.answered("unanswered"):
        if pays(asked_at):
            usd = None if lost["usd"] is None else Decimal(lost["usd"])
            ledger.spend(Amount(lost["calls"], lost["tokens"], usd))
    for asked_at, response in run.answered("model"):
        if pays(asked_at):
            reply = ModelReply.from_dict(response)
            cost = Decimal(0) if reply.cached else reply.cost
            calls = 0 if reply.cached else reply.attempts
            ledger.spend(Amount(calls, 0 if reply.cached else reply.usage.total_tokens, cost))
    return ledger


def role_ledgers(crew: CrewDefinition, root: Scope) -> Mapping[str, Ledger]:
    """The roles' own budgets, by the names under which the roles work: their own and those of their seats."""
    chats = (crew.chat, *(task.chat for task in crew.tasks if task.chat))
    of = {seat.name: seat.of for chat in chats for seat in seats(chat, crew.roles)}
    found: dict[str, Ledger] = {}
    for role in (*crew.roles, crew.synthesizer, crew.judge, crew.planner):
        if role.budget is None or role.name in found:
            continue

        def mine(place: str, name: str = role.name) -> bool:
            who = _asked(place, crew)
            return of.get(who, who) == name

        ledger = open_ledger(f"role {role.name}", role.budget, root.run, root.path, mine)
        found |= dict.fromkeys([role.name, *(seat for seat, owner in of.items() if owner == role.name)], ledger)
    return found


def _asked(place: str, crew: CrewDefinition) -> str:
    """Who was asked at a place in the crew's tree, a role or a seat; empty = nobody of them. A crew within is its seat."""
    steps = place.split("/")
    if steps[0] == "plan":
        return crew.planner.name
    for step, following in zip(steps, [*steps[1:], ""], strict=True):
        if step.startswith("round."):
            return following
        if step.startswith("judge."):
            return crew.judge.name
        if step == "synthesis":
            judged = following.startswith(_JUDGED) or (following.startswith("summary.") and _ranks(steps[0], crew))
            return crew.judge.name if judged else crew.synthesizer.name
    return ""


def _ranks(step: str, crew: CrewDefinition) -> bool:
    own = {f"task.{task.id}": task.synthesis for task in crew.tasks}.get(step)
    return step != "synthesis" and (own or crew.synthesis).method == "rank"
