"""Taking a turn: tries, the stand-in, and which failures a resumed run takes as settled.

A failure that the chat goes on from is an effect of its own. A resumed run meets it in the journal and goes on the same way, so
nothing that was paid afterwards is asked with other words. Only after a missed quorum are the turns that failed taken anew.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from crewmix.agents.base import Contribution, Failure
from crewmix.chat.base import Member, Message, Speak, View
from crewmix.chat.halt import Halt, LateError, StoppedError
from crewmix.errors import (
    BudgetExceededError,
    CrewmixError,
    FencedError,
    ReplayMissError,
    RunCancelledError,
    StorageError,
    UserError,
    WaitingError,
)
from crewmix.journal.events import MemberFailed, MemberReplaced, MessageSpoken, TurnStarted, Warned
from crewmix.journal.scope import Scope

RUN_STOPPING = (
    BudgetExceededError,
    RunCancelledError,
    FencedError,
    StorageError,
    ReplayMissError,
    UserError,
    WaitingError,
)
"""Errors that are no member's failure: they end the chat and surface as themselves."""


@dataclass(frozen=True, slots=True)
class _Try:
    """One of the ways a turn can be taken, in the order in which they are tried."""

    speak: Speak
    scope: Scope
    model: str = ""
    """Set when another model takes the turn."""


class Turns:
    """The turns of one chat.

    Args:
        scope: The chat's place in the run.
        members: Who can speak.
        halt: Stops the turns.
        seconds: A try that takes longer counts as failed.
        retries: How often a failed turn is taken again.
    """

    def __init__(
        self, scope: Scope, members: Mapping[str, Member], halt: Halt, *, seconds: float, retries: int
    ) -> None:
        self._scope = scope
        self._members = members
        self._halt = halt
        self._seconds = seconds
        self._retries = retries
        self._misses = 0
        self._taken_anew = Counter[tuple[int, str]]()
        while (miss := scope.recorded("quorum", {"attempt": self._misses})) is not None:
            self._misses += 1
            self._taken_anew.update((number, role) for number, role in miss["failed"])

    async def take(self, role: str, number: int, view: View) -> Contribution:
        """Let a member speak, as often as it takes or is allowed.

        Args:
            role: The member.
            number: The round, from 1.
            view: What it is given.
        """
        self._halt.require_going_on()
        place = self._place(role, number)
        task = place.task
        place.emit(TurnStarted(task=task, role=role, round=number, model=self._members[role].model))
        said = await self._said(role, number, view)
        if said.failure is None:
            place.emit(MessageSpoken(task=task, role=role, round=number, text=said.text, verdict=said.verdict))
        else:
            code, message = said.failure.code, said.failure.message
            place.emit(MemberFailed(task=task, role=role, round=number, code=code, message=message))
        return said

    async def accept_failures(self, messages: Sequence[Message]) -> None:
        """Record that the chat goes on without what failed, so that a resumed run does the same."""
        for message in messages:
            if message.contribution.failure is not None:
                last = self._tries(message.role, message.round)[-1]
                await self._accept(last, message.role, message.round, message.contribution.failure)

    async def miss_quorum(self, messages: Sequence[Message]) -> None:
        """Record that too few answered: a resumed run takes the turns that failed anew."""
        failed = [[m.round, m.role] for m in messages if not m.contribution.ok]
        await self._scope.effect("quorum", {"attempt": self._misses}, lambda: _outcome({"failed": failed}))

    async def _said(self, role: str, number: int, view: View) -> Contribution:
        """What the first try that succeeds brings, or why the last one failed."""
        first, *others = self._tries(role, number)
        this, said = first, await self._tried(first, role, number, view)
        for following in others:
            if said.failure is None:
                break
            await self._accept(this, role, number, said.failure)
            self._announce(following, role, number, said.failure.message)
            this, said = following, await self._tried(following, role, number, view)
        return said

    async def _tried(self, this: _Try, role: str, number: int, view: View) -> Contribution:
        settled = this.scope.recorded("failure", self._failure_request(role, number))
        if settled is not None:
            return _failed(role, **settled)
        try:
            said = await self._halt.unless_stopped(this.speak(view, number, this.scope), self._seconds, this.scope)
        except LateError:
            return _failed(role, "timeout", f"no answer within {self._seconds:g} seconds")
        except (*RUN_STOPPING, StoppedError):
            raise
        except CrewmixError as error:
            return _failed(role, error.code, error.message)
        except Exception as error:
            return _failed(role, "failed", f"{type(error).__name__}: {error}")
        if said.ok and not said.text.strip():
            return _failed(role, "empty", "the answer was empty")
        return replace(said, role=role)

    def _tries(self, role: str, number: int) -> list[_Try]:
        member, place = self._members[role], self._place(role, number)
        again = (place.at(f"again.{n}") for n in range(1, self._retries + 1))
        tries = [_Try(member.speak, scope) for scope in (place, *again)]
        if member.stand_in is not None:
            tries.append(_Try(member.stand_in, place.at("stand_in"), member.stand_in_model or "another model"))
        return tries

    def _announce(self, this: _Try, role: str, number: int, reason: str) -> None:
        task = this.scope.task
        what = f"{role} failed in round {number} of task {task}"
        if this.model:
            this.scope.emit(MemberReplaced(task=task, role=role, round=number, model=this.model, reason=reason))
            text = f"{what} and its turn was taken by {this.model}: {reason}"
            this.scope.emit(Warned(code="member_replaced", message=text))
        else:
            this.scope.emit(Warned(code="turn_again", message=f"{what} and was asked again: {reason}"))

    async def _accept(self, this: _Try, role: str, number: int, failure: Failure) -> None:
        await this.scope.effect("failure", self._failure_request(role, number), lambda: _outcome(asdict(failure)))

    def _failure_request(self, role: str, number: int) -> dict[str, Any]:
        return {"round": number, "role": role, "attempt": self._taken_anew[number, role]}

    def _place(self, role: str, number: int) -> Scope:
        return self._scope.at(f"round.{number}").at(role, role=role)


def _outcome(data: dict[str, Any]) -> Awaitable[dict[str, Any]]:
    async def outcome() -> dict[str, Any]:
        return data

    return outcome()


def _failed(role: str, code: str, message: str) -> Contribution:
    return Contribution(role=role, text="", failure=Failure(code, message))
