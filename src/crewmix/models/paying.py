"""One paid call from reservation to settlement: budgets, shorter answers, retries, and what is booked for each try."""

from __future__ import annotations

import asyncio
import functools
import itertools
import time
from collections.abc import Callable
from dataclasses import replace

from crewmix.errors import BudgetExceededError, ModelError, OutputLimitError
from crewmix.journal.budget import Amount
from crewmix.journal.events import CallShortened, ModelRetried
from crewmix.journal.run import Charge
from crewmix.journal.scope import Scope
from crewmix.models import prices, tokens
from crewmix.models.attempt import Attempt, worst_case
from crewmix.models.deadline import Deadline
from crewmix.models.holding import Booking, Size, held, time_left
from crewmix.models.profile import Profile
from crewmix.models.retry import pause
from crewmix.models.types import Model, ModelReply, ModelRequest, OnDelta

MIN_OUTPUT = 256
"""Output tokens below which a call is not worth making, unless fewer were wanted."""
MIN_REASONING_OUTPUT = 2048
"""The same for models that think before they answer."""


class PaidCall:
    """A model call that is charged to the scope's budgets, whatever becomes of it.

    Its worst case is held in every ledger before the first request and again before each retry. Where the longest answer does
    not fit what is left of a budget, a shorter one is asked for. All attempts together take the profile's `deadline` at most.

    Args:
        scope: Who asks, and which ledgers pay.
        profile: The model.
        request: The call, with the model's defaults filled in.
        driver: What performs it.
        usable: Whether an answer that was cut off can be used; None = every text can.
    """

    def __init__(
        self,
        scope: Scope,
        profile: Profile,
        request: ModelRequest,
        driver: Model,
        usable: Callable[[ModelReply], bool] | None = None,
    ) -> None:
        self._scope, self._profile, self._request, self._driver = scope, profile, request, driver
        self._usable = usable
        self._wanted = request.max_output_tokens or profile.output_cap
        self.shortened = False
        """Whether the answer could be no longer than a budget allowed."""

    async def perform(self, charge: Charge, on_delta: OnDelta | None) -> ModelReply:
        """Make the call.

        Args:
            charge: Where what it comes to is booked, attempt by attempt.
            on_delta: Receives the text as it arrives.

        Raises:
            BudgetExceededError: It, or a further attempt, could overshoot a budget; what was left of one was not enough for a
                usable answer; or the time ran out meanwhile.
            ModelError: No attempt brought a usable answer.
            RunCancelledError: The run was cancelled while this call waited.
            StorageError: The journal cannot be written.
        """
        if prices.must_load(self._profile):
            await asyncio.to_thread(prices.load, self._profile)
        async with time_left(self._scope.payers):
            return await self._attempts(charge, on_delta)

    async def _attempts(self, charge: Charge, on_delta: OnDelta | None) -> ModelReply:
        started, deadline, size = time.monotonic(), Deadline(self._profile), self._size()
        for number in itertools.count(1):
            charge.begin()
            async with held(self._scope.payers, size) as booking:
                try:
                    reply = await self._attempt(booking, charge, on_delta, deadline)
                    return replace(reply, attempts=number, seconds=time.monotonic() - started)
                except ModelError as error:
                    failure = error
                finally:
                    booking.amount = charge.current
            wait = pause(failure, number)
            if wait is None or number == self._profile.attempts or not deadline.leaves(wait):
                raise failure
            self._announce_retry(number, failure, wait)
            await asyncio.sleep(wait)
        raise AssertionError("unreachable")

    def _size(self) -> Size:
        most_input = tokens.most_input(self._request)
        least = MIN_REASONING_OUTPUT if self._profile.reasoning else MIN_OUTPUT

        @functools.cache
        def worst(output: int) -> Amount:
            return worst_case(self._profile, most_input, output)

        return Size(worst, self._wanted, min(least, self._wanted))

    async def _attempt(
        self, booking: Booking, charge: Charge, on_delta: OnDelta | None, deadline: Deadline
    ) -> ModelReply:
        short, request = booking.short, replace(self._request, max_output_tokens=booking.output)
        self.shortened = short is not None
        attempt = Attempt(self._scope, self._profile, request, self._driver, short)
        if short is None:
            return await attempt.perform(charge, on_delta, deadline)
        self._announce_short(booking.output, short)
        try:
            reply = await attempt.perform(charge, on_delta, deadline)
        except OutputLimitError as error:
            raise short from error
        if reply.finish_reason == "length" and self._usable is not None and not self._usable(reply):
            raise short
        return reply

    def _announce_short(self, allowed: int, short: BudgetExceededError) -> None:
        scope, model = self._scope, self._profile.model
        scope.emit(CallShortened(role=scope.role, model=model, wanted=self._wanted, allowed=allowed, owner=short.owner))

    def _announce_retry(self, attempt: int, error: ModelError, wait: float) -> None:
        scope, model = self._scope, self._profile.model
        scope.emit(ModelRetried(role=scope.role, model=model, attempt=attempt, error=error.message, wait=wait))
