"""The people of a run, and how they are asked.

What a person decides (a turn, a question, consent to a tool call, a plan) is an effect, so nobody is asked twice. When nobody
can be asked there is no answer to keep: it is asked again when the run is resumed with somebody there.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Literal
from weakref import WeakKeyDictionary

from crewmix.errors import CrewmixError, PersonMissingError, RunCancelledError, WaitingError
from crewmix.journal.events import PersonAnswered, PersonAsked
from crewmix.journal.run import Run
from crewmix.journal.scope import Scope
from crewmix.tools.threads import in_thread

if TYPE_CHECKING:
    from crewmix.definitions.spec import Task
    from crewmix.tools.base import Tool, ToolContext

Kind = Literal["turn", "question", "approval", "plan"]
"""What a person is asked: to speak for a role, a role's question, consent to a tool call, a look at the plan."""


@dataclass(frozen=True, slots=True)
class Question:
    """What a person is asked to say."""

    text: str
    kind: Kind
    """`turn`: speak as `role`. `question`: `role` wants to know something."""
    role: str
    task: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a person is asked to review. `roles` are those that tasks may name."""

    goal: str
    tasks: tuple[Task, ...]
    roles: tuple[str, ...]


class Consent(Enum):
    """An answer to a tool call that says more than yes or no."""

    ALWAYS = "always"
    """Yes, and to every further call of this tool in this run."""


Asker = Callable[[Question], Awaitable[str] | str]
"""Brings a person's answer; an empty one skips a turn."""

Approver = Callable[
    ["ToolContext", "Tool", Mapping[str, Any]], Awaitable["bool | str | Consent"] | bool | str | Consent
]
"""Asked before a call that needs consent: True, `Consent.ALWAYS`, False, or a text that says why not."""

Reviewer = Callable[[Plan], Any]
"""Asked about a plan: True, the tasks to work instead (`Task`s or mappings), False, or a text that says why not. May be async."""


@dataclass(frozen=True, slots=True)
class People:
    """How the people of a run are reached: by functions, async or plain ones that may block. None = nobody can be asked."""

    ask: Asker | None = None
    """Speaks for roles with `actor: human` and answers what roles ask."""
    approve: Approver | None = None
    """Consents to tool calls."""
    review: Reviewer | None = None
    """Looks at the plan."""
    wait: bool = False
    """Whether the run ends as `waiting` where somebody is needed and nobody can be asked."""


NOBODY = People()
"""Nobody can be asked, and nothing waits for somebody."""


async def ask_person(scope: Scope, people: People, question: Question, request: Mapping[str, Any]) -> str:
    """Ask a person to say something; a resumed run gets the same answer without asking.

    Args:
        scope: Where in the run.
        people: Who can be asked.
        question: What the person reads.
        request: What identifies the question in the journal.

    Raises:
        PersonMissingError: Nobody can be asked, or the function that asks failed.
        WaitingError: Nobody can be asked, and the run is to wait.
    """
    turn = question.kind == "turn"
    about = f"{question.role} is to speak" if turn else f"{question.role} asks: {question.text}"
    told = PersonAsked(kind=question.kind, role=question.role, question=question.text)

    async def perform() -> str:
        answer = await put(scope, people, told, about, people.ask, question)
        if not isinstance(answer, str):
            raise PersonMissingError(f"`ask` gave {shown(answer)} instead of a text")
        return answer

    answer, recalled = await scope.effect("human", request, perform)
    scope.emit(PersonAnswered(kind=question.kind, role=question.role, answer=answer, recalled=recalled))
    return answer


async def put(
    scope: Scope, people: People, told: PersonAsked, about: str, ask: Callable[..., Any] | None, *arguments: Any
) -> Any:
    """Put a question to a person, while an effect is performed.

    Args:
        scope: Where in the run.
        people: Says whether the run waits when nobody can be asked.
        told: The question, as an event.
        about: The question in a few words, for error messages.
        ask: Asks; None = nobody can be asked.
        arguments: What `ask` gets.

    Raises:
        PersonMissingError: Nobody can be asked, or `ask` failed.
        WaitingError: Nobody can be asked, and the run is to wait.
        RunCancelledError: Who was asked interrupted the run.
    """
    run_id = scope.run.run_id
    if ask is None and not people.wait:
        way = {"approval": "approve", "plan": "review"}.get(told.kind, "ask")
        agree = "" if way == "ask" else " or with `--yes`"
        hint = f"run it on a terminal{agree}, give `{way}=` to `Crew.run`, or let the run wait (`--wait`)"
        raise PersonMissingError(f"nobody can be asked: {about}", hint=hint)
    scope.emit(told)
    if ask is None:
        hint = f"`crewmix answer {run_id}` answers, then `crewmix resume {run_id}` goes on"
        raise WaitingError(f"the run waits for a person: {about}", hint=hint)
    with _waiting(scope):
        work = asyncio.ensure_future(_answer(ask, arguments))
        work.add_done_callback(lambda left: left.cancelled() or left.exception())
        try:
            await asyncio.wait({work})
            if work.cancelled():
                raise PersonMissingError("the question could not be put: it was cancelled from within")
            return work.result()
        finally:
            work.cancel()  # and is left behind, should it not stop


async def _answer(ask: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    try:
        if inspect.iscoroutinefunction(ask):
            return await ask(*arguments)
        answer = await in_thread("crewmix-person", lambda: ask(*arguments))
        return await answer if inspect.isawaitable(answer) else answer
    except CrewmixError:
        raise
    except (KeyboardInterrupt, SystemExit) as error:
        raise RunCancelledError("who was asked interrupted the run") from error
    except Exception as error:
        raise PersonMissingError(f"the question could not be put: {type(error).__name__}: {error}") from error


def shown(answer: object) -> str:
    """An answer that makes no sense, in a few words."""
    return f"{answer!r:.80} ({type(answer).__name__})"


# -- time -----------------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Wait:
    """Somebody is asked at a place of the run."""

    place: str
    began: float
    ended: float | None = None


_waits: WeakKeyDictionary[Run, list[_Wait]] = WeakKeyDictionary()


@contextmanager
def _waiting(scope: Scope) -> Generator[None]:
    wait = _Wait(scope.path, time.monotonic())
    _waits.setdefault(scope.run, []).append(wait)
    try:
        yield
    finally:
        wait.ended = time.monotonic()


async def wait_for_any(work: set[asyncio.Future[Any]], seconds: float | None, scope: Scope | None = None) -> None:
    """Wait until one of several works is done, or the time is over.

    Args:
        work: What to wait for.
        seconds: How long; None = as long as it takes.
        scope: The time for which people are asked at this place of the run, or below it, does not count.
    """
    end = None if seconds is None else time.monotonic() + seconds - _seconds_asked(scope)
    while not any(future.done() for future in work):
        left = None if end is None else end + _seconds_asked(scope) - time.monotonic()
        if left is not None and left <= 0:
            return
        # While somebody is asked, what is left stays the same; so it is looked at again, but not all the time.
        pause = None if left is None else max(left, 0.1) if _is_asked(scope) else left
        await asyncio.wait(work, timeout=pause, return_when=asyncio.FIRST_COMPLETED)


def _waits_at(scope: Scope | None) -> list[_Wait]:
    if scope is None:
        return []
    return [w for w in _waits.get(scope.run, ()) if w.place == scope.path or w.place.startswith(f"{scope.path}/")]


def _is_asked(scope: Scope | None) -> bool:
    return any(wait.ended is None for wait in _waits_at(scope))


def _seconds_asked(scope: Scope | None) -> float:
    """For how long people were asked; what several are asked at the same time counts once for each."""
    now = time.monotonic()
    return sum((wait.ended or now) - wait.began for wait in _waits_at(scope))
