"""Events as lines of text: what every way of watching a run tells."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from crewmix.cli.text import call, clean, count, one_line
from crewmix.cli.votes import vote_line
from crewmix.journal import events as e
from crewmix.journal.place import members_around
from crewmix.result import Ballot, Merge

OFFLINE = "offline/extractive"
NO_MODEL = (
    "no language model: offline/extractive serves. It finds, quotes and ranks sentences of the given documents by rules, "
    "and cannot reason or write. Set OPENAI_API_KEY, start Ollama, or give --model to use a real one."
)

_OfTask = (
    e.TaskStarted
    | e.TaskFinished
    | e.TurnStarted
    | e.SpeakerChosen
    | e.MemberFailed
    | e.MemberReplaced
    | e.RevisionJudged
    | e.DraftMade
    | e.Synthesised
)


def facts(event: e.Event) -> list[str]:
    """What `event` tells a reader, line by line; empty when it is of no interest by itself."""
    tell = _TELL.get(type(event))
    return tell(event) if tell else []


def model_lines(models: Mapping[str, Any]) -> list[str]:
    """Which model serves under which name and why; says so when it is none."""
    return _serving({name: (model, f"{model} ({why})") for name, (model, why) in models.items()})


def serving_lines(models: Mapping[str, str]) -> list[str]:
    """Which model would serve under which names; says so when it is none."""
    return _serving({name: (model, model) for name, model in models.items()})


def _serving(models: Mapping[str, tuple[str, str]]) -> list[str]:
    """A line for all names with the same text; `models`: name -> (model, text)."""
    names: dict[str, list[str]] = {}
    for name, (_, text) in models.items():
        names.setdefault(text, []).append(name)
    lines = [clean(f"{'model' if len(n) == 1 else 'models'} {', '.join(n)}: {text}") for text, n in names.items()]
    return [*lines, NO_MODEL] if any(model == OFFLINE for model, _ in models.values()) else lines


def _run_started(event: e.RunStarted) -> list[str]:
    again = " (taken up again)" if event.resumed else f" (forked from {event.forked_from})" if event.forked_from else ""
    return [f"run {event.run_id}{again}", f"crew {event.crew}: {one_line(event.goal, 400)}", *model_lines(event.models)]


def _plan_made(event: e.PlanMade) -> list[str]:
    lines = [f"{members_around(event.scope)}plan: {count(len(event.tasks), 'task')}"]
    for task in event.tasks:
        needs = f", after {', '.join(task['needs'])}" if task.get("needs") else ""
        who = f" ({', '.join(task.get('roles') or ())}{needs})"
        lines.append(f"  {task['id']}: {one_line(str(task['description']), 300)}{who}")
    return lines


def _turn_started(event: e.TurnStarted) -> list[str]:
    return [f"{_task(event)} / {event.role} speaks, round {event.round} ({clean(event.model)})"]


def _model_retried(event: e.ModelRetried) -> list[str]:
    who = event.role or event.model
    return [
        f"retry: {who} had no answer at attempt {event.attempt}, next in {event.wait:.1f} s: {one_line(event.error, 300)}"
    ]


def _model_fell_back(event: e.ModelFellBack) -> list[str]:
    return [f"fallback: {event.role or 'a call'} asks {clean(event.to)} instead of {clean(event.model)}"]


def _circuit_opened(event: e.CircuitOpened) -> list[str]:
    return [
        f"retry: nothing is sent to {clean(event.provider)} for {event.seconds:.0f} s: {one_line(event.error, 300)}"
    ]


def _call_shortened(event: e.CallShortened) -> list[str]:
    who = event.role or event.model
    return [
        f"budget: {who} may write {event.allowed:,} tokens instead of {event.wanted:,}, which is what {event.owner} has left"
    ]


def _person_asked(event: e.PersonAsked) -> list[str]:
    if event.kind == "approval":  # told by `ApprovalAsked`
        return []
    who = f" for {event.role}" if event.role else ""
    what = f": {one_line(event.question, 240)}" if event.kind == "question" else ""
    return [f"waiting for a person{who} ({event.kind}){what}"]


def _person_answered(event: e.PersonAnswered) -> list[str]:
    if event.kind == "approval":
        return []
    return [f"answered{', from the journal' if event.recalled else ''} ({event.kind}): {one_line(event.answer, 240)}"]


def _plan_reviewed(event: e.PlanReviewed) -> list[str]:
    note = f": {one_line(event.note)}" if event.note else ""
    return [f"{members_around(event.scope)}plan {'changed' if event.changed else 'accepted'} by a person{note}"]


def _speaker_chosen(event: e.SpeakerChosen) -> list[str]:
    why = f": {one_line(event.reason)}" if event.reason else ""
    what = f"{event.role} is next" if event.role else "the chat ends"
    return [f"{_task(event)}: {what}, chosen by {event.by}{why}"]


def _tool_called(event: e.ToolCalled) -> list[str]:
    outcome = f"failed ({event.error}): {one_line(event.text)}" if event.error else count(len(event.text), "character")
    notes = f"{', clipped' if event.clipped else ''}{', from the journal' if event.recalled else ''}"
    return [f"  {_where(event)}{event.role} called {call(event.tool, event.arguments)}: {outcome}{notes}"]


def _where(event: e.Event) -> str:
    """Which task an event belongs to, as the beginning of a line; several tasks may be worked at the same time."""
    tasks = [part for part in event.scope.split("/") if part.startswith("task.")]
    return f"{members_around(event.scope)}{tasks[-1].removeprefix('task.')} / " if tasks else ""


def _task(event: _OfTask) -> str:
    """An event's task, after the members within whose crews it is worked."""
    return f"{members_around(event.scope)}{event.task}"


def _message_spoken(event: e.MessageSpoken) -> list[str]:
    verdict = f" [verdict: {event.verdict}]" if event.verdict else ""
    return [f"  {_where(event)}{event.role}: {one_line(event.text, 240)}{verdict}"]


def _member_failed(event: e.MemberFailed) -> list[str]:
    return [
        f"FAILED: {_task(event)} / {event.role}, round {event.round}: {one_line(event.message, 400)} [{event.code}]"
    ]


def _member_replaced(event: e.MemberReplaced) -> list[str]:
    return [f"{_task(event)} / {event.role} is replaced in round {event.round} by {clean(event.model)}"]


def _revision_judged(event: e.RevisionJudged) -> list[str]:
    by = f", judged by {clean(event.by)}" if event.by else ""
    outcome = "accepted" if event.better else "refused, the draft before stands"
    return [f"{_task(event)}: revision of {event.role} in round {event.round} {outcome}{by}"]


def _draft_made(event: e.DraftMade) -> list[str]:
    return [f"{_task(event)}: draft by {event.role}, {count(len(event.text.split()), 'word')}"]


def _synthesised(event: e.Synthesised) -> list[str]:
    where = _task(event) if event.task else f"{members_around(event.scope)}run"
    how = "not merged" if event.method == "none" else f"merged by {event.method}"
    parts = [f"{where}: {count(event.drafts, 'draft')} {how}"]
    if votes := vote_line(Merge(event.method, event.chosen, tuple(Ballot(**ballot) for ballot in event.ballots))):
        parts.append(votes)
    if event.chosen:
        parts.append(f"chosen: {clean(event.chosen)}")
    parts.append(count(len(event.text.split()), "word"))
    if event.dissent:
        parts.append(count(len(event.dissent), "disagreement"))
    if event.confidence is not None:
        parts.append(f"confidence {event.confidence:.0%}")
    return [", ".join(parts)]


def _task_finished(event: e.TaskFinished) -> list[str]:
    why = f": {one_line(event.error.replace(chr(10), '; '), 400)}" if event.error else ""
    return [f"{_task(event)}: {event.status}{why}"]


def _approval_asked(event: e.ApprovalAsked) -> list[str]:
    return [f"consent: {event.role} wants {call(event.tool, event.arguments)}: {one_line(event.answer)}"]


def _budget_warning(event: e.BudgetWarning) -> list[str]:
    return [
        f"budget: {event.owner} is past {event.share:.0%} of its {event.limit}: {event.used:g} of {event.allowed:g}"
    ]


_TELL: dict[type[e.Event], Callable[[Any], list[str]]] = {
    e.RunStarted: _run_started,
    e.PlanMade: _plan_made,
    e.PlanReviewed: _plan_reviewed,
    e.TaskStarted: lambda event: [f"{_task(event)}: begins"],
    e.TurnStarted: _turn_started,
    e.ModelRetried: _model_retried,
    e.ModelFellBack: _model_fell_back,
    e.CircuitOpened: _circuit_opened,
    e.CallShortened: _call_shortened,
    e.PersonAsked: _person_asked,
    e.PersonAnswered: _person_answered,
    e.SpeakerChosen: _speaker_chosen,
    e.ToolCalled: _tool_called,
    e.MessageSpoken: _message_spoken,
    e.MemberFailed: _member_failed,
    e.MemberReplaced: _member_replaced,
    e.RevisionJudged: _revision_judged,
    e.DraftMade: _draft_made,
    e.Synthesised: _synthesised,
    e.TaskFinished: _task_finished,
    e.ApprovalAsked: _approval_asked,
    e.BudgetWarning: _budget_warning,
    e.Warned: lambda event: [f"warning: {members_around(event.scope, ': ')}{one_line(event.message, 600)}"],
}
