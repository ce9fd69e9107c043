"""Where a run stands: the state that the live view draws, folded from the run's events."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from crewmix.cli.text import call
from crewmix.journal import events as e

TAIL = 600


@dataclass(slots=True)
class TaskState:
    """One task of the plan. `status`: waiting, working, done, partial or failed."""

    id: str
    description: str
    needs: tuple[str, ...] = ()
    status: str = "waiting"


@dataclass(slots=True)
class Speaker:
    """A role that speaks right now: the end of what it has written, and its last tool call."""

    role: str
    task: str = ""
    text: str = ""
    tool: str = ""


@dataclass(slots=True)
class Board:
    """The state of a run after the events seen so far. Feed it with `see`."""

    run_id: str = ""
    tasks: dict[str, TaskState] = field(default_factory=dict[str, TaskState])
    speakers: dict[str, Speaker] = field(default_factory=dict[str, Speaker])
    """By scope of the turn."""
    calls: int = 0
    tokens: int = 0
    cost: float = 0.0
    unpriced: int = 0
    """Calls of unknown price; they are not in `cost`."""
    recalled: int = 0
    """Calls that came from the journal and cost nothing now."""

    def see(self, event: e.Event) -> None:
        """Take `event` into account."""
        take = _TAKE.get(type(event))
        if take:
            take(self, event)

    def speaker(self, event: e.Event, role: str) -> Speaker:
        """The speaker an event belongs to: the open turn whose scope holds the event's."""
        for scope, speaker in self.speakers.items():
            if speaker.role == role and (event.scope == scope or event.scope.startswith(f"{scope}/")):
                return speaker
        return self.speakers.setdefault(event.scope, Speaker(role))

    def end_turn(self, task: str, role: str) -> None:
        """Forget the turn of `role` in `task`."""
        self.speakers = {k: s for k, s in self.speakers.items() if (s.role, s.task) not in {(role, task), (role, "")}}


def _run_started(board: Board, event: e.RunStarted) -> None:
    board.run_id = event.run_id


def _plan_made(board: Board, event: e.PlanMade) -> None:
    for task in event.tasks:
        board.tasks[task["id"]] = TaskState(task["id"], str(task["description"]), tuple(task.get("needs") or ()))


def _task_started(board: Board, event: e.TaskStarted) -> None:
    board.tasks.setdefault(event.task, TaskState(event.task, event.description)).status = "working"


def _turn_started(board: Board, event: e.TurnStarted) -> None:
    board.speakers[event.scope] = Speaker(event.role, event.task)


def _text(board: Board, event: e.TextDelta) -> None:
    speaker = board.speaker(event, event.role)
    speaker.text = (speaker.text + event.text)[-TAIL:]


def _model_called(board: Board, event: e.ModelCalled) -> None:
    if event.recalled:
        board.recalled += 1
        return
    board.calls += 1
    board.tokens += event.input_tokens + event.output_tokens
    board.cost += event.cost or 0.0
    board.unpriced += event.cost is None


def _member_replaced(board: Board, event: e.MemberReplaced) -> None:
    speaker = board.speaker(event, event.role)
    speaker.text = speaker.tool = ""


def _tool_called(board: Board, event: e.ToolCalled) -> None:
    board.speaker(event, event.role).tool = call(event.tool, event.arguments)


def _turn_ended(board: Board, event: e.MessageSpoken | e.MemberFailed) -> None:
    board.end_turn(event.task, event.role)


def _synthesised(board: Board, event: e.Synthesised) -> None:
    board.speakers = {scope: s for scope, s in board.speakers.items() if s.task}


def _task_finished(board: Board, event: e.TaskFinished) -> None:
    board.tasks.setdefault(event.task, TaskState(event.task, "")).status = event.status
    board.speakers = {scope: s for scope, s in board.speakers.items() if s.task != event.task}


_TAKE: dict[type[e.Event], Callable[[Board, Any], None]] = {
    e.RunStarted: _run_started,
    e.PlanMade: _plan_made,
    e.TaskStarted: _task_started,
    e.TurnStarted: _turn_started,
    e.TextDelta: _text,
    e.ModelCalled: _model_called,
    e.ToolCalled: _tool_called,
    e.MessageSpoken: _turn_ended,
    e.MemberFailed: _turn_ended,
    e.MemberReplaced: _member_replaced,
    e.Synthesised: _synthesised,
    e.TaskFinished: _task_finished,
}
