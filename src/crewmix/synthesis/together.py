"""Several pieces of work at once, some of which may fail."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from crewmix.errors import ModelError
from crewmix.journal.scope import Scope

T = TypeVar("T")
Job = tuple[Scope, Callable[[Scope], Awaitable[T]]]
"""A piece of work and its own place in the run."""

_ACCEPTED = {"left out": True}


async def together(jobs: Sequence[Job[T]], *, least: int = 1) -> tuple[T | ModelError, ...]:
    """Do all of it at once; for each, in order, its outcome or the error it ended with.

    A resumed run goes on without what failed before, so it asks everything after it with the same words.

    Args:
        jobs: The work.
        least: How many must succeed.

    Raises:
        ModelError: Fewer did; the first error.
        CrewmixError: One met an error that ends more than itself, e.g. the budget's. The others finish before.
    """
    done = await asyncio.gather(*(_outcome(place, work) for place, work in jobs), return_exceptions=True)
    for outcome in done:
        if isinstance(outcome, BaseException) and not isinstance(outcome, ModelError):
            raise outcome
    outcomes = [
        outcome for outcome in done if not isinstance(outcome, BaseException) or isinstance(outcome, ModelError)
    ]
    failures = [(place, o) for (place, _), o in zip(jobs, outcomes, strict=True) if isinstance(o, ModelError)]
    if failures and len(jobs) - len(failures) < least:
        raise failures[0][1]
    for place, error in failures:
        if place.recorded("failure", _ACCEPTED) is None:
            await place.accept_failure(_ACCEPTED, error)
    return tuple(outcomes)


async def _outcome(place: Scope, work: Callable[[Scope], Awaitable[T]]) -> T | ModelError:
    known = place.recorded("failure", _ACCEPTED)
    return ModelError(known["message"]) if known is not None else await work(place)
