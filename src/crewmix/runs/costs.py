"""What a run cost, and for whom and what: from what the journal holds of each model call."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from decimal import Decimal
from typing import Any, cast

from crewmix.definitions.project import Project
from crewmix.errors import StorageError
from crewmix.journal.rows import Recording, RunRow
from crewmix.journal.store import SqliteStore
from crewmix.models.types import Usage
from crewmix.runs.find import open_runs
from crewmix.runs.recorded import recorded_reply


@dataclass(frozen=True, slots=True)
class Cost:
    """What some calls came to. Everything adds up."""

    calls: int = 0
    """Answered calls."""
    requests: int = 0
    """What was sent to providers: retries and calls without an answer count too."""
    usage: Usage = field(default_factory=Usage)
    """Tokens of answered calls."""
    known_usd: Decimal = Decimal(0)
    """US dollars of the answered calls whose price is known."""
    unpriced: int = 0
    """Answered calls whose price is unknown."""
    lost_tokens: int = 0
    """Tokens booked for attempts that brought no answer: at most what the provider counted."""
    lost_usd: Decimal = Decimal(0)
    """US dollars of these, where the price is known."""
    from_cache: int = 0
    """Calls that the project's cache answered; they cost nothing and are no `calls`."""

    @property
    def usd(self) -> Decimal | None:
        """US dollars of the answered calls; None when the price of one is unknown."""
        return None if self.unpriced else self.known_usd

    def __add__(self, other: Cost) -> Cost:
        return Cost(*(getattr(self, name) + getattr(other, name) for name in self.__slots__))

    def as_dict(self) -> dict[str, Any]:
        """As JSON-able data."""
        usd = None if self.usd is None else str(self.usd)
        flat = {**asdict(self), **asdict(self.usage)}
        del flat["usage"]
        return {**flat, "usd": usd, "known_usd": str(self.known_usd), "lost_usd": str(self.lost_usd)}


@dataclass(frozen=True, slots=True)
class Costs:
    """What a run cost: in all, and split in four ways, each of which adds up to `total`.

    The names of `by_stage` are those of the estimate: `plan`, `talk`, `layer 1`, `round 1`, `votes`, `synthesis` …; a role worked
    by a crew counts to the stage in which it speaks, with all calls of that crew.
    """

    run_id: str
    total: Cost
    by_role: Mapping[str, Cost]
    by_task: Mapping[str, Cost]
    """By the run's own tasks; what belongs to none is under `""`."""
    by_stage: Mapping[str, Cost]
    by_model: Mapping[str, Cost]
    failed: Cost
    """The part of `total` that calls without an answer came to."""
    in_flight: Cost
    """The part of `total` that calls were booked with whose end is unknown: the run goes on, or was killed meanwhile."""
    taken_over: Cost
    """What a fork took over from another run, which paid for it; no part of `total`."""

    def as_dict(self) -> dict[str, Any]:
        """As JSON-able data."""
        single = ("total", "failed", "in_flight", "taken_over")
        tables = ("by_role", "by_task", "by_stage", "by_model")
        return {
            "run_id": self.run_id,
            **{name: getattr(self, name).as_dict() for name in single},
            **{name: {key: cost.as_dict() for key, cost in getattr(self, name).items()} for name in tables},
        }


def run_costs(project: Project, run_id: str) -> Costs:
    """What a run cost so far.

    Args:
        project: Where the run's journal is.
        run_id: The run's id, the beginning of it, or `last`.

    Raises:
        NotFoundError: There is no such run.
        StorageError: The journal, or what it holds of the run, cannot be read.
    """
    store = open_runs(project)
    row = store.run(run_id)
    calls = [(r, _cost(r)) for r in store.recordings(row.run_id) if r.key.kind == "model"]
    mine = [(r, cost) for r, cost in calls if not r.inherited]
    unanswered = [(r, cost) for r, cost in mine if r.response is None]
    stages = _Stages(row)

    def split(name: Callable[[Recording], str]) -> Mapping[str, Cost]:
        found: dict[str, Cost] = {}
        for recording, cost in mine:
            key = name(recording)
            found[key] = found.get(key, Cost()) + cost
        return found

    return Costs(
        run_id=row.run_id,
        total=_sum(cost for _, cost in mine),
        by_role=split(lambda r: r.role),
        by_task=split(lambda r: _own_task(r.key.scope)),
        by_stage=split(lambda r: stages.of(r.key.scope)),
        by_model=split(lambda r: _model(store, row.run_id, r)),
        failed=_sum(cost for r, cost in unanswered if r.failure is not None),
        in_flight=_sum(cost for r, cost in unanswered if r.failure is None),
        taken_over=_sum(cost for r, cost in calls if r.inherited),
    )


def _sum(costs: Iterable[Cost]) -> Cost:
    return sum(costs, Cost())


def _cost(recording: Recording) -> Cost:
    spent = recording.spent.amount if recording.spent else None
    reply = recorded_reply(recording)
    if reply is None:
        return Cost() if spent is None else _lost(Cost(requests=spent.calls), spent.tokens, spent.usd)
    if reply.cached:
        return Cost(from_cache=1)
    known = Cost(1, reply.attempts, reply.usage, reply.cost or Decimal(0), int(reply.cost is None))
    if spent is None or spent.calls <= 1:
        return known
    usd = None if spent.usd is None or reply.cost is None else spent.usd - reply.cost
    return _lost(replace(known, requests=spent.calls), spent.tokens - reply.usage.total_tokens, usd)


def _lost(cost: Cost, tokens: int, usd: Decimal | None) -> Cost:
    return replace(cost, lost_tokens=max(0, tokens), lost_usd=max(Decimal(0), usd or Decimal(0)))


def _model(store: SqliteStore, run_id: str, recording: Recording) -> str:
    """The model that answered, or was asked in vain."""
    reply = recorded_reply(recording)
    if reply is not None and reply.model:
        return reply.model
    try:
        return str(cast(Mapping[str, Any], json.loads(store.request(run_id, recording.key)))["model"])
    except (KeyError, TypeError, ValueError):
        message = f"the request at {recording.key.scope} of run {run_id} is damaged: it names no model"
        raise StorageError(message) from None


# -- places ------------------------------------------------------------------------------------------------------------

_TASK = re.compile(r"^task\.([^/]+)")
_ROUND = re.compile(r"^task\.([^/]+)/(?:retry\.\d+/)?chat/round\.(\d+)/([^/]+)")
_STAGES = (
    (re.compile(r"^plan(/|$)"), "plan"),
    (re.compile(r"^synthesis(/|$)"), "final synthesis"),
    (re.compile(r"^task\.[^/]+/(?:retry\.\d+/)?synthesis(/|$)"), "synthesis"),
    (re.compile(r"^task\.[^/]+/(?:retry\.\d+/)?chat/pick\."), "picks of speakers"),
    (re.compile(r"^task\.[^/]+/(?:retry\.\d+/)?chat/judge\."), "judging of revisions"),
)


def _own_task(scope: str) -> str:
    """The run's own task in which something happened, also where a crew worked a turn of it."""
    found = _TASK.match(scope)
    return found[1] if found else ""


class _Stages:
    """What the places of a run are called."""

    def __init__(self, row: RunRow) -> None:
        crew = _mapping(row.definition.get("crew"))
        tasks = [_mapping(task) for task in cast(Iterable[Any], crew.get("tasks") or ())]
        self._common = _pattern(crew)
        self._own = {task.get("id"): _pattern(task) for task in tasks if task.get("chat")}

    def of(self, scope: str) -> str:
        """The name of the stage in which something happened."""
        for pattern, name in _STAGES:
            if pattern.match(scope):
                return name
        found = _ROUND.match(scope)
        if found is None:
            return "other"
        number, member = found[2], found[3]
        match self._own.get(found[1], self._common):
            case "layers":
                return f"layer {number}"
            case "vote":
                return "votes"
            case "debate":
                return f"round {number}"
            case "graph":
                return member.partition("#")[0]
            case _:
                return "talk"


def _pattern(definition: Mapping[str, Any]) -> Any:
    return _mapping(definition.get("chat")).get("pattern")


def _mapping(value: Any) -> Mapping[str, Any]:
    return cast(Mapping[str, Any], value) if isinstance(value, Mapping) else {}
