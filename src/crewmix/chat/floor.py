"""The floor of a chat: it holds the transcript, decides who speaks next and gives the turns.

An engine only schedules: it asks `next` for the speakers of a round, lets each take its `turn`, and hands what they brought
to the following `next`. So every engine holds the same chat, whatever finished first.

A turn never raises. What stops the whole run is kept in `error`, cancels the other turns, and makes `next` say that the chat
is over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, TypeVar

from crewmix.agents.base import Contribution, Failure
from crewmix.chat.base import Choose, Chooser, Done, Member, Message, Pattern, Speakers, Transcript
from crewmix.errors import (
    BudgetExceededError,
    CrewmixError,
    FencedError,
    QuorumError,
    ReplayMissError,
    RunCancelledError,
    StorageError,
    UsageError,
    UserError,
)
from crewmix.journal.events import MemberFailed, MessageSpoken, TurnStarted
from crewmix.journal.run import Scope

T = TypeVar("T")

RUN_STOPPING = (BudgetExceededError, RunCancelledError, FencedError, StorageError, ReplayMissError, UserError)
"""Errors that are no member's failure: they end the chat and surface as themselves."""

CLEANUP_SECONDS = 0.1
"""How long a cancelled turn may take to end before it is left behind."""


class _StoppedError(Exception):
    """The chat was stopped while this work was going on."""


class _LateError(Exception):
    """The work took too long."""


class Floor:
    """One chat being held. Arguments as for `crewmix.chat.hold.hold`."""

    def __init__(
        self,
        scope: Scope,
        pattern: Pattern,
        members: Mapping[str, Member],
        *,
        chooser: Chooser | None,
        quorum: int,
        turn_seconds: float,
    ) -> None:
        self.transcript = Transcript(tuple(members))
        self.reason = ""
        self.error: Exception | None = None
        self._scope = scope
        self._pattern = pattern
        self._members = members
        self._chooser = chooser
        self._quorum = quorum
        self._round_quorum = 0
        self._turn_seconds = turn_seconds
        self._stop: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._attempt = 0
        while scope.recorded("quorum", {"attempt": self._attempt}) is not None:
            self._attempt += 1

    # -- for engines -----------------------------------------------------------------------------------------------

    async def next(self, brought: Sequence[Contribution | None] = ()) -> tuple[str, ...]:
        """Close the round and say who speaks in the next one.

        Args:
            brought: What `turn` gave for each speaker of the round that is over.

        Returns:
            The speakers, who take their turns in parallel; nobody when the chat is over.
        """
        said = tuple(c for c in brought if c is not None)
        if said:
            self.transcript = self.transcript.with_round(said)
        try:
            self._require_going_on()
            return await self._unless_stopped(self._decide())
        except _StoppedError:
            return ()
        except Exception as error:
            self._fail(error)
            return ()

    async def turn(self, role: str) -> Contribution | None:
        """Let `role` speak once; None when the chat was stopped meanwhile."""
        try:
            return await self._speak(role)
        except _StoppedError:
            return None
        except Exception as error:
            self._fail(error)
            return None

    def stop(self) -> None:
        """End the chat: work that is going on is cancelled, nothing further starts."""
        if not self._stop.done():
            self._stop.set_result(None)

    # -- deciding --------------------------------------------------------------------------------------------------

    async def _decide(self) -> tuple[str, ...]:
        await self._require(self._round_quorum, [m for m in self._last_round() if m.contribution.ok], "answered")
        self._round_quorum = 0
        step = self._pattern.next(self.transcript)
        if isinstance(step, Done):
            await self._require_drafts()
        await self._accept_failures()
        if isinstance(step, Choose):
            step = await self._picked(step)
            if isinstance(step, Done):
                await self._require_drafts()
        if isinstance(step, Done):
            self.reason = step.reason
            return ()
        return self._known(step)

    async def _picked(self, choice: Choose) -> Speakers | Done:
        if self._chooser is None:
            raise UsageError("this chat pattern needs someone who picks the speakers", hint="give `hold` a chooser")
        place = self._scope.at(f"pick.{self.transcript.round + 1}")
        self.transcript = self.transcript.with_pick(await self._chooser(self.transcript, choice, place))
        step = self._pattern.next(self.transcript)
        if isinstance(step, Choose):
            raise UsageError("the chat pattern does not take the pick it asked for")
        return step

    async def _require_drafts(self) -> None:
        reviewers = {name for name, member in self._members.items() if member.approves}
        await self._require(self._quorum, self.transcript.drafts(reviewers), "gave a draft")

    def _known(self, step: Speakers) -> tuple[str, ...]:
        unknown = [name for name in step.roles if name not in self._members]
        if unknown or not step.roles or len(set(step.roles)) < len(step.roles):
            raise UsageError(f"the chat pattern named {list(step.roles)!r} as speakers of {list(self._members)!r}")
        self._round_quorum = step.quorum
        return step.roles

    def _last_round(self) -> list[Message]:
        return [m for m in self.transcript.messages if m.round == self.transcript.round]

    async def _require(self, wanted: int, got: Sequence[Message], did: str) -> None:
        if len(got) >= wanted:
            return
        last = {m.role: m.contribution.failure for m in self.transcript.messages}
        why = [f"{role} failed: {failure.message} [{failure.code}]" for role, failure in last.items() if failure]
        why += [f"{role} had no turn" for role in self._members if role not in last]

        async def missed() -> list[str]:
            return why

        # A resumed run sees this and asks the members that failed again, instead of taking their failures as settled.
        await self._scope.effect("quorum", {"attempt": self._attempt}, missed)
        raise QuorumError(
            f"only {len(got)} of at least {wanted} members {did}" + "".join(f"\n  {line}" for line in why),
            hint="resume the run to ask those that failed again, or lower `chat.quorum`",
        )

    async def _accept_failures(self) -> None:
        """Record that the chat goes on without what failed, so that a resumed run does the same."""
        for message in self._last_round():
            failure = message.contribution.failure
            if failure is None:
                continue

            async def accepted(failure: Failure = failure) -> dict[str, str]:
                return asdict(failure)

            place = self._place(message.role, message.round)
            await place.effect("failure", self._failure_request(message.role, message.round), accepted)

    def _failure_request(self, role: str, number: int) -> dict[str, Any]:
        return {"round": number, "role": role, "attempt": self._attempt}

    def _place(self, role: str, number: int) -> Scope:
        return self._scope.at(f"round.{number}").at(role, role=role)

    # -- speaking --------------------------------------------------------------------------------------------------

    async def _speak(self, role: str) -> Contribution:
        self._require_going_on()
        number = self.transcript.round + 1
        scope = self._place(role, number)
        task = scope.task
        scope.emit(TurnStarted(task=task, role=role, round=number, model=self._members[role].model))
        settled = scope.recorded("failure", self._failure_request(role, number))
        said = await self._ask(role, number, scope) if settled is None else _failed(role, **settled)
        if said.failure is None:
            scope.emit(MessageSpoken(task=task, role=role, round=number, text=said.text, verdict=said.verdict))
        else:
            code, message = said.failure.code, said.failure.message
            scope.emit(MemberFailed(task=task, role=role, round=number, code=code, message=message))
        return said

    async def _ask(self, role: str, number: int, scope: Scope) -> Contribution:
        view = self._pattern.view(self.transcript, role)
        try:
            said = await self._unless_stopped(self._members[role].speak(view, number, scope), self._turn_seconds)
        except _LateError:
            return _failed(role, "timeout", f"no answer within {self._turn_seconds:g} seconds")
        except (*RUN_STOPPING, _StoppedError):
            raise
        except CrewmixError as error:
            return _failed(role, error.code, error.message)
        except Exception as error:
            return _failed(role, "failed", f"{type(error).__name__}: {error}")
        if said.ok and not said.text.strip():
            return _failed(role, "empty", "the answer was empty")
        return replace(said, role=role)

    # -- stopping --------------------------------------------------------------------------------------------------

    def _require_going_on(self) -> None:
        if self._stop.done():
            raise _StoppedError

    def _fail(self, error: Exception) -> None:
        self.error = self.error or error
        self.stop()

    async def _unless_stopped(self, work: Awaitable[T], seconds: float | None = None) -> T:
        """The work's outcome. It is cancelled when the chat is stopped, its time is over, or the caller is cancelled."""
        task = asyncio.ensure_future(work)
        try:
            await asyncio.wait({task, self._stop}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if task.done() and not task.cancelled():
                return task.result()
            if self._stop.done():
                raise _StoppedError
            if task.cancelled():
                raise RuntimeError("the work was cancelled from within")
            raise _LateError
        finally:
            if not task.done():
                task.add_done_callback(lambda left: left.cancelled() or left.exception())
                task.cancel()
                await asyncio.wait({task}, timeout=CLEANUP_SECONDS)


def _failed(role: str, code: str, message: str) -> Contribution:
    return Contribution(role=role, text="", failure=Failure(code, message))
