"""One paid call from reservation to settlement: budget, retries, limits, and the check of what came back."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any
from weakref import WeakKeyDictionary

from crewmix.errors import (
    BadReplyError,
    BadRequestError,
    BudgetExceededError,
    ContentFilteredError,
    CrewmixError,
    ModelError,
    OutputLimitError,
    RunCancelledError,
)
from crewmix.journal.budget import Amount, Ledger, Reservation
from crewmix.journal.events import ModelRetried, Warned
from crewmix.journal.run import Scope
from crewmix.models import prices, tokens
from crewmix.models.drivers.faults import quote
from crewmix.models.drivers.replies import clean
from crewmix.models.limits import limiter
from crewmix.models.profile import Profile
from crewmix.models.retry import pause
from crewmix.models.types import Model, ModelReply, ModelRequest, OnDelta, ToolCall, Usage

UNBILLED = Amount(calls=1)
"""A request that never arrived, or that the provider refused: it counts as a call but costs nothing."""


class PaidCall:
    """A model call that is charged to the scope's budgets, whatever becomes of it.

    Its worst case (the longest the prompt can be in tokens, the whole output cap, the price of both) is held in every ledger
    before the first request and again before each retry. What is booked after each: the provider's own count for an answer;
    a bare call for a refusal; the worst case for an answer that was cut off, timed out or cancelled, since the provider
    may have billed it. Without a stream it all takes `attempts` times the profile's `timeout` plus a minute, at most.

    Args:
        scope: Who asks, and which ledgers pay.
        profile: The model.
        request: The call, with the model's defaults filled in.
        driver: What performs it.
    """

    def __init__(self, scope: Scope, profile: Profile, request: ModelRequest, driver: Model) -> None:
        self._scope, self._profile, self._request, self._driver = scope, profile, request, driver
        self._most_input = tokens.most_input(request)
        self._cap = request.max_output_tokens or profile.output_cap
        self._lost: list[Amount] = []

    async def perform(self, on_delta: OnDelta | None) -> ModelReply:
        """Make the call.

        Raises:
            BudgetExceededError: It, or a further attempt, could overshoot a budget; or the time ran out meanwhile.
            ModelError: No attempt brought a usable answer.
            RunCancelledError: The run was cancelled while this call waited.
        """
        if prices.must_load(self._profile):
            await asyncio.to_thread(prices.load, self._profile)
        worst = Usage(self._most_input, self._cap)
        self._worst = Amount(1, worst.total_tokens, prices.cost(self._profile, worst))
        async with time_left(self._scope.ledgers):
            try:
                return await self._attempts(on_delta)
            except ModelError:
                await self._remember()
                raise

    async def _remember(self) -> None:
        """Keep what was booked for a call without an answer, so that a resumed run's budgets begin with it."""
        usd = [amount.usd for amount in self._lost]
        cost = None if None in usd else str(sum(filter(None, usd)))
        booked = {"calls": len(self._lost), "tokens": sum(a.tokens for a in self._lost), "usd": cost}

        async def outcome() -> dict[str, Any]:
            return booked

        await self._scope.effect("unanswered", {"epoch": self._scope.run.epoch}, outcome)

    async def _attempts(self, on_delta: OnDelta | None) -> ModelReply:
        started = time.monotonic()
        for attempt in itertools.count(1):
            async with held(self._scope.ledgers, self._worst) as booking:
                try:
                    reply = await self._attempt(booking, on_delta)
                    return replace(reply, attempts=attempt, seconds=time.monotonic() - started)
                except ModelError as error:
                    failure = error
                    self._lost.append(booking.amount)
            wait = pause(failure, attempt)
            if wait is None or attempt == self._profile.attempts:
                raise failure
            self._announce_retry(attempt, failure, wait)
            await asyncio.sleep(wait)
        raise AssertionError("unreachable")

    def _announce_retry(self, attempt: int, error: ModelError, wait: float) -> None:
        scope, model = self._scope, self._profile.model
        scope.emit(ModelRetried(role=scope.role, model=model, attempt=attempt, error=error.message, wait=wait))

    async def _attempt(self, booking: Booking, on_delta: OnDelta | None) -> ModelReply:
        likely = tokens.usual_input(self._request) + self._cap
        async with limiter(self._profile).slot(likely) as place:
            if self._scope.run.cancelled:
                raise RunCancelledError("the run was cancelled")
            booking.amount = self._worst
            try:
                reply = self._counted(await self._ask(on_delta))
            except ModelError as error:
                if not error.request_sent or (error.status or 0) >= 400:
                    booking.amount = UNBILLED
                raise
            booking.amount = self._amount(reply)
            place.tokens = reply.usage.total_tokens
        self._warn(reply, booking.amount)
        check(self._profile, self._request, reply)
        return reply

    async def _ask(self, on_delta: OnDelta | None) -> ModelReply:
        """The driver's answer; a fault of a model given as a Python object becomes a typed error."""
        try:
            reply = await self._driver.complete(self._request, on_delta)
            if not isinstance(reply, ModelReply):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise TypeError(f"it returned {type(reply).__name__}, not a ModelReply")
            _check_types(reply)
            reply = replace(reply, text=clean(reply.text))
        except CrewmixError:
            raise
        except BaseException as error:
            if _cancelled(error):
                raise
            what = quote(f"{type(error).__name__}: {error}", self._profile.api_key)
            raise BadRequestError(f"{self._profile.model} failed: {what}", provider=self._profile.provider) from error
        return reply

    def _counted(self, reply: ModelReply) -> ModelReply:
        usage = reply.usage
        if usage.estimated and not usage.total_tokens:
            usage = Usage(tokens.usual_input(self._request), tokens.usual_output(reply), estimated=True)
        cost = reply.cost if reply.cost is not None else prices.cost(self._profile, usage)
        return replace(reply, usage=usage, cost=cost, model=self._profile.model)

    def _amount(self, reply: ModelReply) -> Amount:
        """What is booked: the provider's count, or where it gave none the most it can have been."""
        usage = reply.usage
        if usage.estimated and self._profile.base_url is not None:
            usage = Usage(self._most_input, min(tokens.most_output(reply), self._cap))
            return Amount(1, usage.total_tokens, prices.cost(self._profile, usage))
        return Amount(1, usage.total_tokens, reply.cost)

    def _warn(self, reply: ModelReply, booked: Amount) -> None:
        scope, model = self._scope, self._profile.model
        who = scope.role or "a call"
        if booked.tokens > self._worst.tokens and scope.ledgers:
            text = f"{model} used {booked.tokens} tokens for {who}, more than the {self._worst.tokens} reserved"
            scope.emit(Warned(code="over_reserved", message=text))
        usual = tokens.usual_input(self._request)
        if self._profile.local and not reply.usage.estimated and reply.usage.input_tokens * 2 < usual > 1000:
            read = f"{model} read {reply.usage.input_tokens} of about {usual} tokens that {who} sent"
            scope.emit(Warned(code="prompt_cut", message=f"{read}: the server's context is too small for this"))
        if reply.finish_reason == "length" and reply.text:
            text = f"the answer of {model} for {who} was cut off at {self._cap} tokens; raise `max_output_tokens`"
            scope.emit(Warned(code="cut_off", message=text))


def _check_types(reply: ModelReply) -> None:
    """Refuse a reply of a model given as a Python object that would break what comes after it."""
    kinds: dict[str, Any] = {"text": str, "usage": Usage, "cost": Decimal | None, "tool_calls": (tuple, list)}
    for name, kind in kinds.items():
        if not isinstance(value := getattr(reply, name), kind):
            raise TypeError(f"`{name}` of its reply is of type {type(value).__name__}")
    if not all(isinstance(call, ToolCall) for call in reply.tool_calls):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError("`tool_calls` of its reply holds something else than `ToolCall`")
    if min(reply.usage.input_tokens, reply.usage.output_tokens, reply.cost or 0) < 0:
        raise ValueError("its reply counts less than nothing")


def _cancelled(error: BaseException) -> bool:
    """Whether we are cancelled, and not a model that raises what it likes."""
    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling() > 0


def check(profile: Profile, request: ModelRequest, reply: ModelReply) -> None:
    """Refuse a complete answer that nobody can use.

    Raises:
        BadReplyError: It is empty, or a tool call's arguments are no JSON object.
        ContentFilteredError: The provider or the model refused.
        OutputLimitError: It ended at the output cap before there was anything to use.
    """

    def fault(kind: type[ModelError], what: str, hint: str | None = None) -> ModelError:
        return kind(f"{profile.model}: {what}", hint=hint, provider=profile.provider)

    if reply.finish_reason == "content_filter":
        said = quote(reply.text, profile.api_key)
        raise fault(ContentFilteredError, "the answer was refused" + (f": {said}" if said else ""))
    cut = reply.finish_reason == "length"
    limit = f"the answer reached {request.max_output_tokens or profile.output_cap} output tokens before it was complete"
    if not reply.text.strip() and not reply.tool_calls:
        raise fault(OutputLimitError, limit) if cut else fault(BadReplyError, "the answer is empty")
    for call in reply.tool_calls:
        try:
            usable = isinstance(json.loads(call.arguments), dict) and bool(call.name)
        except (ValueError, RecursionError):
            usable = False
        if not usable:
            what = f"the arguments for the tool {call.name!r} are not a JSON object"
            raise fault(OutputLimitError, limit) if cut else fault(BadReplyError, what)


@dataclass(slots=True)
class Booking:
    """What a held reservation will be settled with; nothing until a request goes out."""

    amount: Amount = field(default_factory=Amount)


_waiting: WeakKeyDictionary[asyncio.AbstractEventLoop, set[asyncio.Future[None]]] = WeakKeyDictionary()


@asynccontextmanager
async def held(ledgers: Sequence[Ledger], worst: Amount) -> AsyncGenerator[Booking]:
    """Hold `worst` in every ledger, and afterwards book what the `Booking` says instead.

    Where it does not fit only because calls in flight hold their worst cases too, it waits until some of that comes free.

    Raises:
        BudgetExceededError: It does not fit.
    """
    loop = asyncio.get_running_loop()
    while (reservation := _reserve(ledgers, worst)) is None:
        settled = loop.create_future()
        _waiting.setdefault(loop, set()).add(settled)
        await settled
    booking = Booking()
    try:
        yield booking
    finally:
        reservation.settle(booking.amount)
        for future in _waiting.pop(loop, ()):
            if not future.done():
                future.set_result(None)


def _reserve(ledgers: Sequence[Ledger], worst: Amount) -> Reservation | None:
    """The reservation, or None when waiting for calls in flight can help."""
    try:
        return Reservation(ledgers, worst)
    except BudgetExceededError as error:
        full = next(ledger for ledger in ledgers if ledger.owner == error.owner)
        have, want, allowed = {
            "tokens": (full.tokens, worst.tokens, full.limits.tokens),
            "usd": (full.usd, worst.usd, full.limits.usd),
        }.get(error.limit, (0, None, None))
        if want is None or allowed is None or have + want > allowed:
            raise
        return None


@asynccontextmanager
async def time_left(ledgers: Sequence[Ledger]) -> AsyncGenerator[None]:
    """Stop what happens within when the first of the ledgers runs out of seconds.

    Raises:
        BudgetExceededError: That happened.
    """
    timed = [
        (ledger.limits.seconds - ledger.elapsed, ledger) for ledger in ledgers if ledger.limits.seconds is not None
    ]
    if not timed:
        yield
        return
    left, tightest = min(timed, key=lambda pair: pair[0])
    timeout = asyncio.timeout(max(0.0, left))
    try:
        async with timeout:
            yield
    except TimeoutError:
        if not timeout.expired():
            raise
        allowed = tightest.limits.seconds or 0.0
        raise BudgetExceededError("seconds", tightest.owner, allowed=allowed, needed=tightest.elapsed) from None
