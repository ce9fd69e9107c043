"""What a run gives back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from decimal import Decimal
from typing import Any, Literal

from crewmix.knowledge.sources import Source
from crewmix.models.types import Usage

Status = Literal["done", "partial"]
TaskStatus = Literal["done", "partial", "failed"]

NOT_KEPT = "this run is kept in memory only and cannot be resumed"
"""How the warning begins that a run could not be written into the project's journal."""


@dataclass(frozen=True, slots=True)
class SpokenMessage:
    """One turn of a chat. `failure` says why it brought nothing; then `text` is empty."""

    task: str
    role: str
    round: int
    text: str
    verdict: str | None = None
    failure: str | None = None


@dataclass(frozen=True, slots=True)
class DraftText:
    """What one role finally offered as an answer to a task."""

    task: str
    role: str
    text: str
    model: str = ""


@dataclass(frozen=True, slots=True)
class Ballot:
    """What one draft counts for in a vote. `choice` is its answer in normal form; empty = it abstains."""

    voter: str
    choice: str
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Score:
    """How one draft was marked."""

    author: str
    value: float
    words: int
    """The draft's length: judges like long answers, so it stands beside every mark."""
    by: str = ""
    """Who marked: the judge's model, or the measure."""


@dataclass(frozen=True, slots=True)
class Merge:
    """How drafts became one answer."""

    method: str
    """The synthesis; `none` when it failed and the last draft stands in."""
    chosen: str = ""
    """The author of the draft that is the answer, for methods that choose one."""
    ballots: tuple[Ballot, ...] = ()
    scores: tuple[Score, ...] = ()
    uses: tuple[tuple[str, float], ...] = ()
    """Author -> the share of the answer's wording that stands in this author's draft, 0 to 1, for methods that write."""
    critique: str = ""
    """What was said of the drafts before they were combined, for `critique_combine`."""


@dataclass(frozen=True, slots=True)
class TaskResult:
    """What came of one task. `partial`: a budget ended it early; `failed`: it has no answer, see `error`."""

    id: str
    description: str
    status: TaskStatus
    output: str
    sources: tuple[Source, ...] = ()
    """What the answer cites."""
    found: tuple[Source, ...] = ()
    """Everything its tools found, cited or not."""
    drafts: tuple[DraftText, ...] = ()
    messages: tuple[SpokenMessage, ...] = ()
    dissent: tuple[str, ...] = ()
    confidence: float | None = None
    merge: Merge | None = None
    """How its drafts became the answer; None when there was only one."""
    error: str | None = None


@dataclass(frozen=True, slots=True)
class RunResult:
    """The outcome of a run.

    `status` is `partial` when something is missing: a task failed, a member gave nothing, or a budget ended the run
    (`stopped_by`). `warnings` name all of it.
    """

    run_id: str
    crew: str
    goal: str
    status: Status
    output: str
    tasks: tuple[TaskResult, ...]
    sources: tuple[Source, ...]
    """What the output cites."""
    dissent: tuple[str, ...]
    """Where drafts contradict each other."""
    warnings: tuple[str, ...]
    """Everything a reader should know about how the output came about."""
    usage: Usage
    """Tokens of all model calls, those before a resume included."""
    calls: int
    """Model calls, those before a resume included."""
    cost: Decimal | None
    """US dollars; None when the price of a call is unknown."""
    budget: Mapping[str, tuple[float, float]]
    """Limit -> (used, allowed), for every limit the crew has."""
    models: Mapping[str, tuple[str, str]]
    """Model name of the crew -> (the model that served, why)."""
    seconds: float
    confidence: float | None = None
    merge: Merge | None = None
    """How the output came about: of the tasks' answers, or of the only task's drafts."""
    stopped_by: str | None = None
    """`budget` when the run ended before its work was done."""

    @property
    def kept(self) -> bool:
        """Whether the run is in the project's journal and can be looked at later."""
        return not any(warning.startswith(NOT_KEPT) for warning in self.warnings)

    @property
    def drafts(self) -> tuple[DraftText, ...]:
        """The drafts of all tasks, in plan order."""
        return tuple(d for task in self.tasks for d in task.drafts)

    @property
    def messages(self) -> tuple[SpokenMessage, ...]:
        """The messages of all tasks, in plan order."""
        return tuple(m for task in self.tasks for m in task.messages)

    def as_dict(self) -> dict[str, Any]:
        """The result as JSON-able data."""
        return {**asdict(self), "cost": None if self.cost is None else str(self.cost)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> RunResult:
        """The result that `as_dict` described."""
        known = {f.name for f in fields(cls)}
        values: dict[str, Any] = {name: value for name, value in data.items() if name in known}
        values |= {
            "tasks": tuple(_task_from_dict(task) for task in data["tasks"]),
            "sources": tuple(Source(**source) for source in data["sources"]),
            "dissent": tuple(data["dissent"]),
            "warnings": tuple(data["warnings"]),
            "usage": Usage(**data["usage"]),
            "cost": None if data["cost"] is None else Decimal(data["cost"]),
            "budget": {name: (used, allowed) for name, (used, allowed) in data["budget"].items()},
            "models": {name: (model, why) for name, (model, why) in data["models"].items()},
            "merge": _merge_from_dict(data.get("merge")),
        }
        return cls(**values)


def _task_from_dict(data: Mapping[str, Any]) -> TaskResult:
    values: dict[str, Any] = dict(data)
    values |= {
        "sources": tuple(Source(**source) for source in data["sources"]),
        "found": tuple(Source(**source) for source in data["found"]),
        "drafts": tuple(DraftText(**draft) for draft in data["drafts"]),
        "messages": tuple(SpokenMessage(**message) for message in data["messages"]),
        "dissent": tuple(data["dissent"]),
        "merge": _merge_from_dict(data.get("merge")),
    }
    return TaskResult(**values)


def _merge_from_dict(data: Mapping[str, Any] | None) -> Merge | None:
    if data is None:
        return None
    return Merge(
        method=data["method"],
        chosen=data["chosen"],
        ballots=tuple(Ballot(**ballot) for ballot in data["ballots"]),
        scores=tuple(Score(**score) for score in data["scores"]),
        uses=tuple((author, share) for author, share in data["uses"]),
        critique=data["critique"],
    )
