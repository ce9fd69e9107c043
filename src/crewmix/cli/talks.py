"""Who proposed what in a run, put together from its events: the same for a run that is over and one that was cut off."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any

from crewmix.journal import events as e
from crewmix.result import Ballot, Merge, Score


@dataclass(slots=True)
class Said:
    """One turn: what a member of a chat said in a round, or why it said nothing."""

    scope: str
    role: str
    round: int
    attempt: str = ""
    """`retry.1` … when the whole task was tried again."""
    model: str = ""
    text: str | None = None
    """None: it failed, or did not finish."""
    verdict: str | None = None
    failure: str | None = None
    replaced: str | None = None
    """Why another model, `model`, took the turn."""
    better: bool | None = None
    """Whether the judge found it better than the draft before; None = it was not judged."""
    judge: str = ""
    draft: bool = False
    """Whether it is one of the drafts that the answer was made from."""
    session: int = 0


@dataclass(frozen=True, slots=True)
class Merged:
    """How drafts became one answer."""

    drafts: int
    text: str
    how: Merge
    confidence: float | None
    dissent: tuple[str, ...]


@dataclass(slots=True)
class Talk:
    """One task: its turns in the order in which they were taken, and its synthesis."""

    scope: str
    task: str
    description: str = ""
    status: str = "unfinished"
    error: str | None = None
    turns: dict[tuple[str, int, str], Said] = field(default_factory=dict[tuple[str, int, str], Said])
    merged: Merged | None = None

    @property
    def place(self) -> str:
        """Where the crew works that works this task: empty for the run itself."""
        return self.scope.rpartition("/")[0]

    @property
    def answer(self) -> str | None:
        """What came of it so far."""
        if self.merged is not None:
            return self.merged.text
        drafts = [turn.text for turn in self.turns.values() if turn.draft]
        return drafts[0] if len(drafts) == 1 else None


class Talks:
    """A run's tasks, and those of crews that worked a turn of it.

    Args:
        happened: The run's events as data, in order; what this version does not know is passed over.
    """

    def __init__(self, happened: Iterable[Mapping[str, Any]]) -> None:
        self.tasks: dict[str, Talk] = {}
        """By scope."""
        self.merged: dict[str, Merged] = {}
        """Where a crew works -> how its tasks' answers became one."""
        self._session = 0
        for data in happened:
            with suppress(KeyError, TypeError):
                event = e.event_from_dict(data)
                if take := _TAKE.get(type(event)):
                    take(self, event)

    def of(self, place: str = "") -> list[Talk]:
        """The tasks of the crew that works at a place of the run."""
        return [talk for talk in self.tasks.values() if talk.place == place]

    def within(self, turn: Said) -> list[str]:
        """The places of the crew that worked a turn: one for each try."""
        inside = dict.fromkeys(talk.place for talk in self.tasks.values())
        return [place for place in inside if place and _turn_scope(place) == turn.scope]

    def as_list(self) -> list[dict[str, Any]]:
        """Every task as JSON-able data."""
        return [
            {
                "task": talk.task,
                "scope": talk.scope,
                "description": talk.description,
                "status": talk.status,
                "error": talk.error,
                "turns": [_plain(turn) for turn in talk.turns.values()],
                "merge": _merge_data(talk.merged),
                "answer": talk.answer,
            }
            for talk in self.tasks.values()
        ]

    def final(self) -> dict[str, Any] | None:
        """How the tasks' answers became the run's, as JSON-able data; None when there was one task."""
        return _merge_data(self.merged.get(""))

    # -- events --------------------------------------------------------------------------------------------------------

    def run_started(self, _event: e.RunStarted) -> None:
        """Another process took the run up: it goes through everything again."""
        self._session += 1

    def task_started(self, event: e.TaskStarted) -> None:
        """A task begins."""
        talk = self._talk(event.scope)
        talk.description, talk.status, talk.error, talk.merged = event.description, "unfinished", None, None

    def turn_started(self, event: e.TurnStarted) -> None:
        """A turn begins."""
        talk, attempt = self._talk(event.scope), _attempt(event.scope)
        turn = Said(_turn_scope(event.scope), event.role, event.round, attempt, event.model, session=self._session)
        talk.turns[attempt, event.round, event.role] = turn

    def message_spoken(self, event: e.MessageSpoken) -> None:
        """A turn brought something."""
        turn = self._turn(event)
        turn.text, turn.verdict, turn.failure = event.text, event.verdict, None

    def member_failed(self, event: e.MemberFailed) -> None:
        """A turn brought nothing."""
        self._turn(event).failure = f"{event.message} [{event.code}]"

    def member_replaced(self, event: e.MemberReplaced) -> None:
        """Another model takes a turn."""
        turn = self._turn(event)
        turn.replaced, turn.model = event.reason, event.model

    def revision_judged(self, event: e.RevisionJudged) -> None:
        """A draft was held against the one before."""
        turn = self._turn(event)
        turn.better, turn.judge = event.better, event.by

    def draft_made(self, event: e.DraftMade) -> None:
        """A message counts as a draft."""
        attempt = _attempt(event.scope)
        turns = self._talk(event.scope).turns.values()
        same = [t for t in turns if (t.attempt, t.role, t.text) == (attempt, event.role, event.text)]
        if same:
            same[-1].draft = True

    def synthesised(self, event: e.Synthesised) -> None:
        """Drafts became one answer."""
        how = Merge(
            event.method,
            event.chosen,
            tuple(Ballot(**ballot) for ballot in event.ballots),
            tuple(Score(**score) for score in event.scores),
            tuple((author, share) for author, share in event.uses),
            event.critique,
        )
        merged = Merged(event.drafts, event.text, how, event.confidence, event.dissent)
        place = event.scope.rpartition("/")[0]
        owner = place.removesuffix(f"/{_attempt(place)}") if _attempt(place) else place
        if owner in self.tasks:
            self.tasks[owner].merged = merged
        else:
            self.merged[place] = merged

    def task_finished(self, event: e.TaskFinished) -> None:
        """A task is over: what an earlier process had done otherwise does not count."""
        talk = self._talk(event.scope)
        talk.status, talk.error = event.status, event.error
        talk.turns = {key: turn for key, turn in talk.turns.items() if turn.session == self._session}

    def _talk(self, scope: str) -> Talk:
        owner, _ = _split(scope)
        name = owner.rpartition("/")[2].removeprefix("task.")
        return self.tasks.setdefault(owner, Talk(owner, name))

    def _turn(self, event: e.MessageSpoken | e.MemberFailed | e.MemberReplaced | e.RevisionJudged) -> Said:
        talk, key = self._talk(event.scope), (_attempt(event.scope), event.round, event.role)
        new = Said(_turn_scope(event.scope), event.role, event.round, key[0], session=self._session)
        return talk.turns.setdefault(key, new)


def _split(scope: str) -> tuple[str, list[str]]:
    """The scope of the innermost task, and the parts of the scope after it."""
    parts = scope.split("/")
    last = max((place for place, part in enumerate(parts) if part.startswith("task.")), default=-1)
    return "/".join(parts[: last + 1]), parts[last + 1 :]


def _attempt(scope: str) -> str:
    _, rest = _split(scope)
    return rest[0] if rest and rest[0].startswith("retry.") else ""


def _turn_scope(scope: str) -> str:
    """The scope of the turn that `scope` is in: everything up to round and role."""
    owner, rest = _split(scope)
    start = next((place for place, part in enumerate(rest) if part.startswith("round.")), len(rest))
    return "/".join([owner, *rest[: start + 2]])


def _plain(turn: Said) -> dict[str, Any]:
    return {name: value for name, value in asdict(turn).items() if name != "session"}


def _merge_data(merged: Merged | None) -> dict[str, Any] | None:
    if merged is None:
        return None
    rest = {name: value for name, value in asdict(merged).items() if name not in {"how", "text"}}
    return {**asdict(merged.how), **rest}


_TAKE: dict[type[e.Event], Callable[[Talks, Any], None]] = {
    e.RunStarted: Talks.run_started,
    e.TaskStarted: Talks.task_started,
    e.TurnStarted: Talks.turn_started,
    e.MessageSpoken: Talks.message_spoken,
    e.MemberFailed: Talks.member_failed,
    e.MemberReplaced: Talks.member_replaced,
    e.RevisionJudged: Talks.revision_judged,
    e.DraftMade: Talks.draft_made,
    e.Synthesised: Talks.synthesised,
    e.TaskFinished: Talks.task_finished,
}
