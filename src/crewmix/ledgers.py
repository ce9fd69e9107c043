"""Opening budgets: a resumed run's ledgers begin with what the run has paid and worked before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from crewmix.definitions.definition import CrewDefinition
from crewmix.definitions.seats import seats
from crewmix.definitions.spec import BudgetSpec, Task
from crewmix.journal.budget import Ledger
from crewmix.journal.events import BudgetWarning
from crewmix.journal.run import Run
from crewmix.journal.scope import Scope
from crewmix.journal.shared import limits_of
from crewmix.planning.keeping import will_merge
from crewmix.planning.turns import Cast


def open_ledger(owner: str, budget: BudgetSpec | None, run: Run, place: str, *, keep: bool = False) -> Ledger:
    """A ledger in which everything the run has already paid for out of it is booked.

    Args:
        owner: Whose budget it is, for messages; unique at its place.
        budget: Its limits; None = unlimited.
        run: The run.
        place: The place in the run's tree that it pays for; empty = the whole run.
        keep: Whether it keeps the share for syntheses that `budget` names.
    """
    spec = budget or BudgetSpec()

    def warn(name: str, limit: str, used: float, allowed: float, mark: float) -> None:
        run.emit(BudgetWarning(owner=name, limit=limit, used=used, allowed=allowed, share=mark), place)

    ledger = Ledger(
        owner,
        limits_of(spec),
        warn,
        key=f"{place}: {owner}",
        share=spec.keep_for_synthesis if keep else 0.0,
        worked=_worked(run, place) if spec.seconds is not None else 0.0,
    )
    for recording in run.recordings("model"):
        if recording.spent is not None and ledger.key in recording.spent.by:
            ledger.recall(recording.spent.amount)
    ledger.mark(silently=True)
    return ledger


def open_crew_ledger(cast: Cast, owner: str, run: Run, place: str) -> Ledger:
    """The budget of a crew: of the whole run, or of a crew that works a role. See `open_ledger`."""
    return open_ledger(owner, cast.crew.budget, run, place, keep=will_merge(cast))


def open_task_ledger(cast: Cast, task: Task, run: Run, place: str) -> Ledger | None:
    """A task's own budget, if it has one. See `open_ledger`."""
    if task.budget is None:
        return None
    owner = f"task {task.id}{_of(cast.crew, place.rpartition('/')[0])}"
    return open_ledger(owner, task.budget, run, place, keep=will_merge(cast, task.id))


def role_ledgers(crew: CrewDefinition, root: Scope) -> Mapping[str, Ledger]:
    """The roles' own budgets, by the names under which the roles work: their own and those of their seats.

    That of a synthesizer who also speaks keeps a share for the syntheses.
    """
    chats = (crew.chat, *(task.chat for task in crew.tasks if task.chat))
    of = {seat.name: seat.of for chat in chats for seat in seats(chat, crew.roles)}
    found: dict[str, Ledger] = {}
    for role in (*crew.roles, crew.synthesizer, crew.judge, crew.planner):
        if role.budget is None or role.name in found:
            continue
        owner = f"role {role.name}{_of(crew, root.path)}"
        ledger = open_ledger(owner, role.budget, root.run, root.path, keep=role.name == crew.synthesizer.name)
        found |= dict.fromkeys([role.name, *(seat for seat, owner in of.items() if owner == role.name)], ledger)
    return found


def _of(crew: CrewDefinition, place: str) -> str:
    """Which crew's, where a crew within the run's works at `place`: a name of one may be another's too."""
    return f" of crew {crew.name}" if place else ""


# -- time ----------------------------------------------------------------------------------------------------------------


def _worked(run: Run, place: str) -> float:
    """For how many seconds earlier processes worked at a place; the time between them does not count."""
    return seconds_worked(run.store.events(run.run_id), place) if run.epoch > 1 else 0.0


def seconds_worked(events: Iterable[Mapping[str, Any]], place: str) -> float:
    """For how many seconds processes worked at a place, by a run's events: from the first to the last one of each process.

    Args:
        events: The run's events, in order, as data.
        place: The place in the run's tree; empty = the whole run.
    """
    total, since = 0.0, None
    last = 0.0
    for event in events:
        if event["type"] == "RunStarted":
            total, since = total + _between(since, last), None
        if place and event["scope"] != place and not event["scope"].startswith(f"{place}/"):
            continue
        since = event["time"] if since is None else since
        last = event["time"]
    return total + _between(since, last)


def _between(since: float | None, last: float) -> float:
    return 0.0 if since is None else max(0.0, last - since)
