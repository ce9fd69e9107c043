"""Two runs side by side: what they were told, how they planned, who said what, what came of it and what it took."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any

from crewmix.definitions.compare import by_name, changes
from crewmix.definitions.project import Project
from crewmix.journal.events import DraftMade, Event, PlanMade, RunFinished, RunStarted, event_from_dict
from crewmix.journal.place import members_around
from crewmix.journal.rows import RunRow
from crewmix.runs.find import find_run, open_runs
from crewmix.runs.recorded import readable, recorded_reply

_TASK = ("description", "expected_output", "roles", "needs")


@dataclass(frozen=True, slots=True)
class Change:
    """Something that is not the same in both runs; None = one of them does not have it."""

    place: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class Totals:
    """What a run came to. `cost` None = the price of a call is unknown, or nothing is known of it."""

    run_id: str
    status: str
    calls: int
    tokens: int
    cost: Decimal | None
    seconds: float | None
    models: Mapping[str, str]
    """Model name of the crew -> the model that served."""


@dataclass(frozen=True, slots=True)
class RunDiff:
    """How two runs differ."""

    first: Totals
    second: Totals
    definition: tuple[Change, ...]
    """Fields of the goal, the inputs and the crew's definition, e.g. `roles.critic.llm`."""
    plan: tuple[Change, ...]
    """Tasks, and fields of tasks: `facts`, `facts.description`."""
    drafts: tuple[Change, ...]
    """Drafts, as `task / role`."""
    answer: Change | None
    """None when both runs have the same answer."""

    @property
    def same(self) -> bool:
        """Whether both runs came to the same answer."""
        return self.answer is None

    def as_dict(self) -> dict[str, Any]:
        """The differences as JSON-able data."""
        totals = {n: {**asdict(t), "cost": t.cost and str(t.cost)} for n, t in self._totals()}
        lists = {n: [asdict(c) for c in getattr(self, n)] for n in ("definition", "plan", "drafts")}
        return {**totals, **lists, "answer": self.answer and asdict(self.answer), "same": self.same}

    def _totals(self) -> Iterator[tuple[str, Totals]]:
        yield "first", self.first
        yield "second", self.second


def diff(project: Project, first: str, second: str) -> RunDiff:
    """How two runs of a project differ.

    Works from what the journal holds, so also for runs that failed or are not over.

    Args:
        project: Where the runs' journal is.
        first: The id of a run, the beginning of it, or `last`.
        second: That of the other.

    Raises:
        NotFoundError: There is no such run.
    """
    one, other = _Told(project, find_run(project, first)), _Told(project, find_run(project, second))
    answers = (one.answer, other.answer)
    return RunDiff(
        first=one.totals(),
        second=other.totals(),
        definition=tuple(_definition(one.row, other.row)),
        plan=tuple(_plan(one.plan, other.plan)),
        drafts=tuple(_texts(one.drafts, other.drafts)),
        answer=Change("answer", *answers) if answers[0] != answers[1] else None,
    )


class _Told:
    """What the journal tells of a run."""

    def __init__(self, project: Project, row: RunRow) -> None:
        self.row = row
        self._store = open_runs(project)
        self.plan: dict[str, Mapping[str, Any]] = {}
        self.drafts: dict[str, str] = {}
        self.answer: str | None = row.result["output"] if row.result else None
        self._models: Mapping[str, tuple[str, str]] = {}
        self._seconds: float | None = None
        for data in map(readable, self._store.events(row.run_id)):
            with suppress(KeyError, TypeError):  # events of another version of crewmix
                self._take(event_from_dict(data))

    def _take(self, event: Event) -> None:
        inside = members_around(event.scope)
        match event:
            case RunStarted():
                self._models = event.models
            case PlanMade():
                self.plan |= {f"{inside}{task['id']}": task for task in event.tasks}
            case DraftMade():
                self.drafts[f"{inside}{event.task} / {event.role}"] = event.text
            case RunFinished():
                self._seconds = (self._seconds or 0.0) + event.seconds
            case _:
                pass

    def totals(self) -> Totals:
        """What the run paid for; what a fork took over was paid by another."""
        own = (r for r in self._store.recordings(self.row.run_id) if r.key.kind == "model" and not r.inherited)
        replies = [reply for r in own if (reply := recorded_reply(r)) is not None and not reply.cached]
        costs = [reply.cost for reply in replies]
        return Totals(
            run_id=self.row.run_id,
            status=self.row.status,
            calls=len(replies),
            tokens=sum(reply.usage.total_tokens for reply in replies),
            cost=None if None in costs else sum((cost for cost in costs if cost is not None), Decimal(0)),
            seconds=self._seconds,
            models={name: model for name, (model, _) in self._models.items()},
        )


def _definition(one: RunRow, other: RunRow) -> Iterator[Change]:
    before, after = (
        {"goal": row.goal, "inputs": row.definition.get("inputs"), **row.definition["crew"]} for row in (one, other)
    )
    for place in changes(before, after):
        yield Change(place, _at(before, place), _at(after, place))


def _at(data: Any, place: str) -> Any:
    """The value at a place as `changes` names it; None when there is none."""
    fields = by_name(data)
    if fields is None:
        return None
    name = max((key for key in fields if place == key or place.startswith(f"{key}.")), key=len, default=None)
    if name is None:
        return None
    return fields[name] if place == name else _at(fields[name], place[len(name) + 1 :])


def _plan(before: Mapping[str, Mapping[str, Any]], after: Mapping[str, Mapping[str, Any]]) -> Iterator[Change]:
    for name in dict.fromkeys((*before, *after)):
        old, new = before.get(name), after.get(name)
        if old is None or new is None:
            yield Change(name, old and old.get("description"), new and new.get("description"))
            continue
        yield from (Change(f"{name}.{f}", old.get(f), new.get(f)) for f in _TASK if old.get(f) != new.get(f))


def _texts(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[Change]:
    for name in dict.fromkeys((*before, *after)):
        if before.get(name) != after.get(name):
            yield Change(name, before.get(name), after.get(name))


def unified(before: str | None, after: str | None, *, context: int = 2) -> list[str]:
    """Two texts as the lines of a unified diff, without its header."""
    lines = difflib.unified_diff((before or "").splitlines(), (after or "").splitlines(), n=context, lineterm="")
    return list(lines)[2:]
