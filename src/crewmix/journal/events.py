"""What happens in a run, as frozen facts.

One stream of events feeds the terminal, the journal, reports and `Crew.stream`. Every event carries where in the run it
happened (`scope`), when (`time`, seconds since the epoch) and its place in the order (`seq`, from 1); the last two are
filled in when it is emitted. `TextDelta` is live only and not kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Base of all events."""

    kept: ClassVar[bool] = True
    scope: str = ""
    seq: int = 0
    time: float = 0.0

    @property
    def type(self) -> str:
        """The event's name, e.g. `TurnStarted`."""
        return type(self).__name__

    def as_dict(self) -> dict[str, Any]:
        """The event as JSON-able data, with its `type`."""
        return {"type": self.type, **{name: getattr(self, name) for name in _field_names(type(self))}}


@cache
def _field_names(kind: type[Event]) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted(Event):
    """A run began, or was taken up again (`resumed`). `models`: profile name -> (model, why this one serves)."""

    run_id: str
    crew: str
    goal: str
    models: Mapping[str, tuple[str, str]]
    resumed: bool = False
    forked_from: str = ""
    """The run whose answers this one took over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanMade(Event):
    """The task graph is fixed. `tasks`: id, description, expected_output, roles and needs of each."""

    tasks: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanReviewed(Event):
    """A person looked at the plan before its tasks began. `changed`: the plan that counts is another one, in `PlanMade`."""

    changed: bool
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskStarted(Event):
    """A task's needs are met and its chat begins."""

    task: str
    description: str
    roles: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnStarted(Event):
    """A role begins to speak."""

    task: str
    role: str
    round: int
    model: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TextDelta(Event):
    """A piece of text a model is producing."""

    kept: ClassVar[bool] = False
    role: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCalled(Event):
    """A model answered. `cost` in US dollars, None = price unknown; `recalled`: the answer came from the journal."""

    role: str
    purpose: str
    model: str
    input_tokens: int
    output_tokens: int
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    cache_write_tokens: int = 0
    estimated: bool = False
    cost: float | None = None
    cached: bool = False
    recalled: bool = False
    attempts: int = 1
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRetried(Event):
    """A call failed and is tried again after `wait` seconds."""

    role: str
    model: str
    attempt: int
    error: str
    wait: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFellBack(Event):
    """A model gave no usable answer and another one, `to`, is asked instead."""

    role: str
    model: str
    to: str
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CircuitOpened(Event):
    """A provider failed so often in a row that nothing is sent to it for `seconds`."""

    provider: str
    seconds: float
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CallShortened(Event):
    """What is left of a budget does not pay for the longest answer, so the model was asked for a shorter one, in tokens."""

    role: str
    model: str
    wanted: int
    allowed: int
    owner: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeakerChosen(Event):
    """Who speaks next was chosen by a model or a function, and why. `role` empty: nobody, the chat ends."""

    task: str
    role: str
    by: str
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCalled(Event):
    """A tool ran, or was refused. `error` is one of the codes of `ToolResult`; `text` is what the model sees.

    `recalled`: the result came from the journal.
    """

    role: str
    tool: str
    arguments: Mapping[str, Any]
    text: str
    error: str | None = None
    clipped: bool = False
    recalled: bool = False
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageSpoken(Event):
    """A role finished its turn."""

    task: str
    role: str
    round: int
    text: str
    verdict: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberFailed(Event):
    """A role's turn brought nothing; the chat went on without it if its round allows that."""

    task: str
    role: str
    round: int
    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberReplaced(Event):
    """A role's turn failed and is taken by another model, `model`, because of `reason`."""

    task: str
    role: str
    round: int
    model: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RevisionJudged(Event):
    """A role's new draft was held against the one that stood; `better`: it takes its place."""

    task: str
    role: str
    round: int
    better: bool
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftMade(Event):
    """What a role finally offers as an answer to a task."""

    task: str
    role: str
    text: str
    model: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Synthesised(Event):
    """Drafts became one answer. `chosen`: whose draft it is; `ballots`, `scores`, `uses`, `critique`: as in `crewmix.Merge`."""

    task: str
    method: str
    drafts: int
    text: str
    dissent: tuple[str, ...] = ()
    confidence: float | None = None
    chosen: str = ""
    ballots: tuple[Mapping[str, Any], ...] = ()
    scores: tuple[Mapping[str, Any], ...] = ()
    uses: tuple[tuple[str, float], ...] = ()
    critique: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFinished(Event):
    """A task is over. `status`: done, partial or failed."""

    task: str
    status: str
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonAsked(Event):
    """The run waits for a person. `kind`: `turn`, `question`, `approval` or `plan`; `question` is what the person reads."""

    kind: str
    role: str
    question: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonAnswered(Event):
    """A person answered; `recalled`: the answer came from the journal."""

    kind: str
    role: str
    answer: str
    recalled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalAsked(Event):
    """A tool wants to do something that needs consent; `answer` tells what was decided and by whom."""

    role: str
    tool: str
    arguments: Mapping[str, Any]
    answer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetWarning(Event):
    """A budget passed a mark. `share` is the used part, 0 to 1."""

    owner: str
    limit: str
    used: float
    allowed: float
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Warned(Event):
    """Something the reader of the result must know: a clipped text, an unpriced call, a fallback, a missing source."""

    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFinished(Event):
    """The run is over. `status`: done, partial, failed, budget, waiting or cancelled."""

    status: str
    output: str
    cost: float | None
    calls: int
    seconds: float
    error: str | None = None


EVENTS: Mapping[str, type[Event]] = {
    name: kind
    for name, kind in globals().items()
    if isinstance(kind, type) and issubclass(kind, Event) and kind is not Event
}
"""Every kind of event by its name, in the order in which a run meets them."""


def event_from_dict(data: Mapping[str, Any]) -> Event:
    """The event that `as_dict` described.

    Raises:
        KeyError: The type is unknown, e.g. written by a newer version.
    """
    values = {k: v for k, v in data.items() if k != "type"}
    for name, value in values.items():
        if isinstance(value, list):
            values[name] = tuple(value)  # pyright: ignore[reportUnknownArgumentType]
    return EVENTS[data["type"]](**values)
