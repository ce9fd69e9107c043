"""The floor of a chat: it holds the transcript, decides who speaks next and gives the turns.

An engine only schedules: it asks `next` for the speakers of a round, lets each take its `turn`, and hands what they brought
to the following `next`. So every engine holds the same chat, whatever finished first.

A turn never raises. What stops the whole run is kept in `error`, cancels the other turns, and makes `next` say that the chat
is over. Only a used-up budget lets the other turns finish, since their calls are paid for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from crewmix.agents.base import Contribution
from crewmix.chat.base import (
    Choose,
    Chooser,
    Done,
    Judge,
    Member,
    Message,
    Pattern,
    Reviser,
    Revision,
    Ruling,
    Speakers,
    Step,
    Transcript,
)
from crewmix.chat.halt import Halt, LateError
from crewmix.chat.turns import Turns
from crewmix.errors import ModelError, ModelTimeoutError, QuorumError, UsageError
from crewmix.journal.events import RevisionJudged, Warned
from crewmix.journal.scope import Scope


class Floor:
    """One chat being held. Arguments as for `crewmix.chat.hold.hold`."""

    def __init__(
        self,
        scope: Scope,
        pattern: Pattern,
        members: Mapping[str, Member],
        *,
        chooser: Chooser | None = None,
        reviser: Reviser | None = None,
        quorum: int = 1,
        turn_seconds: float = 300.0,
        retries: int = 0,
    ) -> None:
        self.transcript = Transcript(tuple(members))
        self.reason = ""
        self._scope = scope
        self._pattern = pattern
        self._members = members
        self._chooser = chooser
        self._reviser = reviser
        self._quorum = quorum
        self._round_quorum = 0
        self._seconds = turn_seconds
        self._halt = Halt()
        self._turns = Turns(scope, members, self._halt, seconds=turn_seconds, retries=retries)

    @property
    def error(self) -> Exception | None:
        """What stopped the chat before its end."""
        return self._halt.error

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
        self._halt.let_nothing_start()
        return await self._halt.or_stop(self._next()) or ()

    async def turn(self, role: str) -> Contribution | None:
        """Let `role` speak once; None when the chat was stopped meanwhile."""
        return await self._halt.or_stop(self._turn(role))

    def stop(self) -> None:
        """End the chat: work that is going on is cancelled, nothing further starts."""
        self._halt.stop()

    async def _next(self) -> tuple[str, ...]:
        self._halt.require_going_on()
        return await self._halt.unless_stopped(self._decide())

    async def _turn(self, role: str) -> Contribution:
        return await self._turns.take(role, self.transcript.round + 1, self._pattern.view(self.transcript, role))

    # -- deciding --------------------------------------------------------------------------------------------------

    async def _decide(self) -> tuple[str, ...]:
        last_round = [m for m in self.transcript.messages if m.round == self.transcript.round]
        await self._require(self._round_quorum, [m for m in last_round if m.contribution.ok], "answered")
        self._round_quorum = 0
        step = await self._step()
        await self._turns.accept_failures(last_round)
        while isinstance(step, Choose | Judge):
            asked = type(step)
            await (self._pick(step) if isinstance(step, Choose) else self._judge(step))
            step = await self._step()
            if isinstance(step, asked):
                raise UsageError("the chat pattern does not take the pick or the rulings it asked for")
        if isinstance(step, Done):
            return self._end(step)
        return self._known(step)

    async def _step(self) -> Step:
        step = self._pattern.next(self.transcript)
        if isinstance(step, Done):
            await self._require(self._quorum, self._pattern.drafts(self.transcript), "gave a draft")
        return step

    def _end(self, done: Done) -> tuple[str, ...]:
        self.reason = done.reason
        if done.warning:
            self._scope.emit(Warned(code="chat_ended", message=done.warning))
        return ()

    def _known(self, step: Speakers) -> tuple[str, ...]:
        unknown = [name for name in step.roles if name not in self._members]
        if unknown or not step.roles or len(set(step.roles)) < len(step.roles):
            raise UsageError(f"the chat pattern named {list(step.roles)!r} as speakers of {list(self._members)!r}")
        self._round_quorum = step.quorum
        return step.roles

    async def _require(self, wanted: int, got: Sequence[Message], did: str) -> None:
        if len(got) >= wanted:
            return
        last = {m.role: m.contribution.failure for m in self.transcript.messages}
        why = [f"{role} failed: {failure.message} [{failure.code}]" for role, failure in last.items() if failure]
        waiting = [role for role in self._members if role not in last]
        why += [f"{', '.join(waiting[:5])}{' …' if len(waiting) > 5 else ''} had no turn"] if waiting else []
        await self._turns.miss_quorum(self.transcript.messages)
        raise QuorumError(
            f"only {len(got)} of at least {wanted} members {did}" + "".join(f"\n  {line}" for line in why),
            hint="resume the run to ask those that failed again, or lower `chat.quorum`",
        )

    async def _pick(self, choice: Choose) -> None:
        if self._chooser is None:
            raise UsageError("this chat pattern needs someone who picks the speakers", hint="give `hold` a chooser")
        place = self._scope.at(f"pick.{self.transcript.round + 1}")
        self.transcript = self.transcript.with_pick(await self._chooser(self.transcript, choice, place))

    # -- judging ---------------------------------------------------------------------------------------------------

    async def _judge(self, step: Judge) -> None:
        if self._reviser is None:
            raise UsageError("this chat pattern needs someone who judges revisions", hint="give `hold` a reviser")
        judge = self._reviser
        rulings = await asyncio.gather(*(self._halt.or_stop(self._ruling(r, judge)) for r in step.revisions))
        known = sorted((r for r in rulings if r is not None), key=lambda r: self.transcript.members.index(r.role))
        self.transcript = self.transcript.with_rulings(tuple(known))
        self._halt.let_nothing_start()
        self._halt.require_going_on()

    async def _ruling(self, revision: Revision, judge: Reviser) -> Ruling:
        """Whether the revision is better; where that cannot be found out, the draft that stands is kept."""
        role, number = revision.role, revision.revised.round
        place = self._scope.at(f"judge.{number}").at(role)
        settled = {"judge": number}
        known = place.recorded("failure", settled)
        better, why = False, known["message"] if known else ""
        if known is None:
            try:
                better = await self._judged(revision, judge, place)
            except ModelError as error:
                await place.accept_failure(settled, error)
                why = error.message
        if why:
            text = f"the draft of {role} was kept, because its revision of round {number} could not be judged: {why}"
            place.emit(Warned(code="judge_failed", message=text))
        by = "" if why else "judge"
        place.emit(RevisionJudged(task=place.task, role=role, round=number, better=better, by=by))
        return Ruling(role, number, better)

    async def _judged(self, revision: Revision, judge: Reviser, place: Scope) -> bool:
        try:
            return await self._halt.unless_stopped(judge(revision, place), self._seconds)
        except LateError:
            raise ModelTimeoutError(f"no ruling within {self._seconds:g} seconds") from None
