"""One paid call from reservation to settlement: budgets, retries and what is booked for each try."""

from __future__ import annotations

import asyncio
import itertools
import time
from dataclasses import replace

from crewmix.errors import ModelError
from crewmix.journal.events import ModelRetried
from crewmix.journal.run import Charge, Scope
from crewmix.models import prices
from crewmix.models.attempt import Attempt
from crewmix.models.holding import held, time_left
from crewmix.models.profile import Profile
from crewmix.models.retry import pause
from crewmix.models.types import Model, ModelReply, ModelRequest, OnDelta


class PaidCall:
    """A model call that is charged to the scope's budgets, whatever becomes of it.

    Its worst case is held in every ledger before the first request and again before each retry. Without a stream it all
    takes `attempts` times the profile's `timeout` plus a minute, at most.

    Args:
        scope: Who asks, and which ledgers pay.
        profile: The model.
        request: The call, with the model's defaults filled in.
        driver: What performs it.
    """

    def __init__(self, scope: Scope, profile: Profile, request: ModelRequest, driver: Model) -> None:
        self._scope, self._profile, self._request, self._driver = scope, profile, request, driver

    async def perform(self, charge: Charge, on_delta: OnDelta | None) -> ModelReply:
        """Make the call.

        Args:
            charge: Where what it comes to is booked, attempt by attempt.
            on_delta: Receives the text as it arrives.

        Raises:
            BudgetExceededError: It, or a further attempt, could overshoot a budget; or the time ran out meanwhile.
            ModelError: No attempt brought a usable answer.
            RunCancelledError: The run was cancelled while this call waited.
            StorageError: The journal cannot be written.
        """
        if prices.must_load(self._profile):
            await asyncio.to_thread(prices.load, self._profile)
        async with time_left(self._scope.ledgers):
            return await self._attempts(charge, on_delta)

    async def _attempts(self, charge: Charge, on_delta: OnDelta | None) -> ModelReply:
        started = time.monotonic()
        attempt = Attempt(self._scope, self._profile, self._request, self._driver)
        for number in itertools.count(1):
            charge.begin()
            async with held(self._scope.ledgers, attempt.worst) as booking:
                try:
                    reply = await attempt.perform(charge, on_delta)
                    return replace(reply, attempts=number, seconds=time.monotonic() - started)
                except ModelError as error:
                    failure = error
                finally:
                    booking.amount = charge.current
            wait = pause(failure, number)
            if wait is None or number == self._profile.attempts:
                raise failure
            self._announce_retry(number, failure, wait)
            await asyncio.sleep(wait)
        raise AssertionError("unreachable")

    def _announce_retry(self, attempt: int, error: ModelError, wait: float) -> None:
        scope, model = self._scope, self._profile.model
        scope.emit(ModelRetried(role=scope.role, model=model, attempt=attempt, error=error.message, wait=wait))
