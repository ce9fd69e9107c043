"""One attempt at a call: the limits' turn, one request, and the check of what came back."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

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
from crewmix.journal.budget import Amount
from crewmix.journal.events import Warned
from crewmix.journal.redact import StreamRedactor
from crewmix.journal.run import Charge
from crewmix.journal.scope import Scope
from crewmix.models import prices, tokens
from crewmix.models.breaker import breaker
from crewmix.models.deadline import Deadline
from crewmix.models.drivers.faults import advice, quote
from crewmix.models.drivers.replies import clean
from crewmix.models.limits import limiter
from crewmix.models.profile import Profile
from crewmix.models.types import Model, ModelReply, ModelRequest, OnDelta, ToolCall, Usage

UNBILLED = Amount(calls=1)
"""A request that never arrived, or that the provider refused: it counts as a call but costs nothing."""


def worst_case(profile: Profile, most_input: int, output: int) -> Amount:
    """The most that one request can come to, of at most so many input tokens and so many output tokens per answer."""
    return _most(profile, most_input, output * answers(profile))


def _most(profile: Profile, most_input: int, output: int) -> Amount:
    return Amount(1, most_input + output, prices.worst(profile, most_input, output))


def answers(profile: Profile) -> int:
    """How many answers a request brings, each billed; only the first is read."""
    wanted = profile.params.get("n")
    return wanted if isinstance(wanted, int) and wanted > 1 else 1


class Attempt:
    """One request of a call, and the most it can come to.

    Args:
        scope: Who asks.
        profile: The model.
        request: The call, with the model's defaults and an output limit filled in.
        driver: What performs it.
        short: Why the output limit is lower than the one that was wanted, if it is.
    """

    def __init__(
        self,
        scope: Scope,
        profile: Profile,
        request: ModelRequest,
        driver: Model,
        short: BudgetExceededError | None = None,
    ) -> None:
        self._scope, self._profile, self._request, self._driver = scope, profile, request, driver
        self._short = short
        self._most_input = tokens.most_input(request)
        self._cap = request.max_output_tokens or profile.output_cap
        self.worst = worst_case(profile, self._most_input, self._cap)
        """The longest the prompt can be in tokens, the whole output limit of every answer, and the price of both."""

    async def perform(self, charge: Charge, on_delta: OnDelta | None, deadline: Deadline) -> ModelReply:
        """Send the request when the model's limits let it, and check what comes back.

        Args:
            charge: What is booked: nothing before the request goes out; then the worst case, on disk; then the provider's own
                count for an answer, a bare call for a refusal, and the worst case for an answer that was cut off, timed
                out or cancelled, since the provider may have billed it.
            on_delta: Receives the text as it arrives.
            deadline: The time that all attempts of the call have together.

        Raises:
            ModelError: There is no usable answer; its hint says what to do.
            RunCancelledError: The run was cancelled while this call waited.
            StorageError: The journal cannot be written; nothing was sent.
        """
        try:
            reply = await self._let_through(charge, on_delta, deadline)
            self._warn(reply, charge.current)
            if not self._request.tools:
                reply = replace(reply, tool_calls=())
            check(self._profile, self._request, reply)
        except ModelError as error:
            error.hint = error.hint or advice(error)
            raise
        return reply

    async def _let_through(self, charge: Charge, on_delta: OnDelta | None, deadline: Deadline) -> ModelReply:
        scope, profile = self._scope, self._profile
        likely = tokens.usual_input(self._request) + self._cap
        async with limiter(profile).slot(likely) as place:
            place.sent = False
            async with deadline.within(), breaker(profile).passage(scope, profile):
                if scope.run.cancelled:
                    raise RunCancelledError("the run was cancelled")
                charge.current = self.worst
                try:
                    await charge.commit()
                except CrewmixError:
                    charge.current = Amount()
                    raise
                place.sent = True
                try:
                    reply = self._counted(await self._ask(on_delta))
                except ModelError as error:
                    if not error.request_sent or _refused(error.status):
                        charge.current = UNBILLED
                        place.tokens = 0
                    raise
            charge.current = self._amount(reply)
            place.tokens = reply.usage.total_tokens
        return reply

    async def _ask(self, on_delta: OnDelta | None) -> ModelReply:
        """The driver's answer; a fault of a model given as a Python object becomes a typed error."""
        text = StreamRedactor(self._scope.run.redactor)

        def hear(piece: str) -> None:
            show(text.feed(piece))

        def show(piece: str) -> None:
            if on_delta is not None and piece:
                on_delta(piece)

        try:
            reply = await self._driver.complete(self._request, None if on_delta is None else hear)
            show(text.end())
            if not isinstance(reply, ModelReply):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise TypeError(f"it returned {type(reply).__name__}, not a ModelReply")
            check_types(reply)
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
            thought = usage.reasoning_tokens // 2  # that is the most it can have been
            output = tokens.usual_output(reply) + thought
            usage = Usage(tokens.usual_input(self._request), output, reasoning_tokens=thought, estimated=True)
        cost = reply.cost if reply.cost is not None else prices.cost(self._profile, usage)
        return replace(reply, usage=usage, cost=cost, model=self._profile.model)

    def _amount(self, reply: ModelReply) -> Amount:
        """What is booked: the provider's count, or where it gave none the most it can have been."""
        usage = reply.usage
        if usage.estimated and self._profile.remote:
            unread = self._cap * (answers(self._profile) - 1)
            said = tokens.most_output(reply) + 2 * usage.reasoning_tokens
            if self._profile.reasoning:
                said = self._cap  # What it thought is billed, and nowhere to be seen.
            return _most(self._profile, self._most_input, min(said, self._cap) + unread)
        return Amount(1, usage.total_tokens, reply.cost)

    def _warn(self, reply: ModelReply, booked: Amount) -> None:
        scope, model = self._scope, self._profile.model
        who = scope.role or "a call"
        if booked.tokens > self.worst.tokens and scope.ledgers:
            text = f"{model} used {booked.tokens} tokens for {who}, more than the {self.worst.tokens} reserved"
            scope.emit(Warned(code="over_reserved", message=text))
        usual = tokens.usual_input(self._request)
        if self._profile.local and not reply.usage.estimated and reply.usage.input_tokens * 2 < usual > 1000:
            read = f"{model} read {reply.usage.input_tokens} of about {usual} tokens that {who} sent"
            scope.emit(Warned(code="prompt_cut", message=f"{read}: the server's context is too small for this"))
        if reply.finish_reason == "length" and reply.text:
            why = "raise `max_output_tokens`"
            if self._short is not None:
                why = f"no more was left of the {self._short.limit} budget of {self._short.owner}"
            text = f"the answer of {model} for {who} was cut off at {self._cap} tokens; {why}"
            scope.emit(Warned(code="cut_off", message=text))


def check_types(reply: ModelReply) -> None:
    """Refuse a reply of a model given as a Python object that would break what comes after it."""
    kinds: dict[str, Any] = {"text": str, "usage": Usage, "cost": Decimal | None, "tool_calls": (tuple, list)}
    for name, kind in kinds.items():
        if not isinstance(value := getattr(reply, name), kind):
            raise TypeError(f"`{name}` of its reply is of type {type(value).__name__}")
    if not all(isinstance(call, ToolCall) for call in reply.tool_calls):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError("`tool_calls` of its reply holds something else than `ToolCall`")
    usage = reply.usage
    parts = (usage.cached_tokens, usage.cache_write_tokens, usage.reasoning_tokens)
    if min(usage.input_tokens, usage.output_tokens, *parts, reply.cost or 0) < 0:
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

    def fault(kind: type[ModelError], what: str) -> ModelError:
        return kind(f"{profile.model}: {what}", provider=profile.provider)

    if reply.finish_reason == "content_filter":
        said = quote(reply.text, profile.api_key)
        raise fault(ContentFilteredError, "the answer was refused" + (f": {said}" if said else ""))
    cut = reply.finish_reason == "length"
    limit = f"the answer reached {request.max_output_tokens or profile.output_cap} output tokens before it was complete"
    if not reply.text.strip() and not reply.tool_calls:
        called = reply.finish_reason == "tool_calls"
        empty = "the answer only calls tools, and none were offered" if called else "the answer is empty"
        raise fault(OutputLimitError, limit) if cut else fault(BadReplyError, empty)
    for call in reply.tool_calls:
        try:
            usable = isinstance(json.loads(call.arguments), dict) and bool(call.name)
        except (ValueError, RecursionError):
            usable = False
        if not usable:
            what = f"the arguments for the tool {call.name!r} are not a JSON object"
            raise fault(OutputLimitError, limit) if cut else fault(BadReplyError, what)


def _refused(status: int | None) -> bool:
    """Whether a status says that nothing was done. Where a proxy ran out of patience, the model worked on."""
    return status is not None and status >= 400 and status not in (408, 504, 524)
