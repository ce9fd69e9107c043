"""Runs that wait for a person: what is asked, and the answer, given by any process on any day."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from crewmix.definitions.project import Project
from crewmix.errors import PersonMissingError, UsageError
from crewmix.journal.lock import lock_run, release_run
from crewmix.journal.redact import Redactor
from crewmix.journal.rows import EffectKey, Recording, RunRow
from crewmix.journal.run import canonical
from crewmix.loop import wait_for
from crewmix.planning import review
from crewmix.runs.find import find_run, open_runs
from crewmix.tools import consent
from crewmix.tools.people import Consent, Kind, Plan

if TYPE_CHECKING:
    from crewmix.definitions.spec import Task

_KINDS = ("human", "approval", "review")
_OPEN = (None, "waiting")
"""How asking ended where the question is still open: it was cut off, or nobody was there and the run waits."""


@dataclass(frozen=True, slots=True)
class OpenQuestion:
    """Something a person has to say before a run can go on."""

    number: int
    """Which of the run's questions it is; it stays the same when others are answered."""
    kind: Kind
    role: str
    """Who asks, or as whom the person speaks."""
    task: str
    text: str
    """What the person reads."""
    plan: Plan | None
    """The plan to be reviewed, for kind `plan`."""
    request: Mapping[str, Any]
    key: EffectKey


def open_questions(project: Project, run_id: str) -> list[OpenQuestion]:
    """What a run waits for, in the order in which it was asked.

    Args:
        project: Where the run's journal is.
        run_id: The run's id, the beginning of it, or `last`.

    Raises:
        NotFoundError: There is no such run.
        StorageError: The journal cannot be read.
    """
    return _questions(project, find_run(project, run_id))


def answer(
    project: Project,
    run_id: str,
    said: str | bool | Consent | Sequence[Task | Mapping[str, Any]],
    *,
    number: int | None = None,
) -> OpenQuestion:
    """Answer a question of a run that waits. `crewmix.runs.resume` then goes on with it, in any process.

    Args:
        project: Where the run's journal is.
        run_id: The run's id, the beginning of it, or `last`.
        said: For a turn or a question a text; an empty one skips the turn. For a tool call True, `Consent.ALWAYS`, False or a
            text that says why not. For a plan True or the tasks to work instead, also as YAML text.
        number: Which question; needed when there are several.

    Returns:
        The question that was answered.

    Raises:
        NotFoundError: There is no such run.
        UsageError: The question is not open, or this is no answer to it.
        DefinitionError: The tasks are no valid plan.
        FencedError: The run is being worked, or answered, by another process at this moment.
    """
    row = find_run(project, run_id)
    lock = lock_run(project.state, row.run_id)
    try:
        question = _chosen(_questions(project, row), row.run_id, number)
        response = Redactor().text(canonical(_record(question, said)))
        wait_for(open_runs(project).finish_effect(row.run_id, row.epoch, question.key, response))
    finally:
        release_run(lock)
    return question


def _questions(project: Project, row: RunRow) -> list[OpenQuestion]:
    store = open_runs(project)
    asked = [r for r in store.recordings(row.run_id) if r.key.kind in _KINDS]
    return [
        _question(number, recording, json.loads(store.request(row.run_id, recording.key)))
        for number, recording in enumerate(asked, 1)
        if _is_open(recording, row.epoch)
    ]


def _is_open(asked: Recording, epoch: int) -> bool:
    how = json.loads(asked.failure)["code"] if asked.failure else None
    return asked.response is None and asked.epoch == epoch and how in _OPEN


def _question(number: int, asked: Recording, request: Mapping[str, Any]) -> OpenQuestion:
    kind: Kind
    plan = None
    match asked.key.kind:
        case "approval":
            kind, text = "approval", consent.question(asked.role, request["tool"], request["arguments"])
        case "review":
            plan = review.from_request(request)
            kind, text = "plan", review.plan_text(plan)
        case _:
            kind, text = ("question", request["question"]) if "question" in request else ("turn", request["user"])
    return OpenQuestion(number, kind, asked.role, asked.task, text, plan, request, asked.key)


def _chosen(questions: Sequence[OpenQuestion], run_id: str, number: int | None) -> OpenQuestion:
    if not questions:
        raise UsageError(f"run {run_id} waits for nobody", hint=f"`crewmix resume {run_id}` goes on with it")
    numbers = ", ".join(str(question.number) for question in questions)
    if number is None and len(questions) > 1:
        raise UsageError(
            f"run {run_id} asks several questions: {numbers}", hint="say which one is answered (`--question`)"
        )
    chosen = [question for question in questions if number in (None, question.number)]
    if not chosen:
        raise UsageError(f"question {number} of run {run_id} is not open", hint=f"open: {numbers}")
    return chosen[0]


def _record(question: OpenQuestion, said: object) -> Any:
    """What the journal keeps of an answer."""
    try:
        if question.kind == "approval":
            return consent.answer_record(question.request["tool"], said)
        if question.plan is not None:
            if said is False:
                raise UsageError("a plan is accepted or changed", hint="to refuse it, leave the run as it is")
            if isinstance(said, str):
                return review.read_plan(question.plan, said, "the answer")
            return review.answer_record(question.plan, said)
    except PersonMissingError as error:
        raise UsageError(f"this is no answer: {error.message}") from error
    if not isinstance(said, str) or (question.kind == "question" and not said.strip()):
        raise UsageError(f"{question.role} is to be told a text" if question.role else "the answer must be a text")
    return said
