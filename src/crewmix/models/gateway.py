"""The one door to every language model.

A call passes these layers, each of which does one thing:

```
complete      fill in the model's defaults; when it gives no usable answer, ask its fallbacks (`crewmix.models.fallback`)
  shape       for a wanted JSON shape: read, check, ask once more
  journal     an answer this run already has is returned at once (`Scope.effect`)
    cache     an equal call of any run is answered from the project's cache, if the model says `cache: true`
      paying  reserve the worst case, wait for the model's limits, try, retry, settle (`crewmix.models.paying`)
        driver  one request to the provider
```
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from crewmix.definitions.names import nearest
from crewmix.errors import BadReplyError, NotFoundError, OutputLimitError, StorageError, ToolsUnsupportedError
from crewmix.journal.events import ModelCalled, Warned
from crewmix.journal.run import Charge
from crewmix.journal.scope import Scope
from crewmix.models import structured
from crewmix.models.cache import Cache, cache_key
from crewmix.models.drivers.choice import driver_for
from crewmix.models.drivers.faults import ADVICE
from crewmix.models.fallback import Fallbacks
from crewmix.models.kept import kept_reply
from crewmix.models.paying import PaidCall
from crewmix.models.profile import Profile
from crewmix.models.types import Model, ModelReply, ModelRequest, OnDelta


class Gateway:
    """Every model call of a run goes through here: roles', the planner's, selectors', judges' and crewAI's own.

    Args:
        profiles: The models by the names that requests use.
        cache_path: The file for models with `cache: true`; None = nothing is cached.
        drivers: Drivers to use instead of the profiles' own, by profile name.
    """

    def __init__(
        self,
        profiles: Mapping[str, Profile],
        *,
        cache_path: Path | None = None,
        drivers: Mapping[str, Model] | None = None,
    ) -> None:
        self._profiles = dict(profiles)
        self._cache = Cache(cache_path) if cache_path is not None else None
        self._drivers: dict[str, Model] = dict(drivers or {})
        self._unpriced: set[tuple[str, str]] = set()
        self._fallbacks = Fallbacks(self.profile)

    def profile(self, name: str) -> Profile:
        """The profile with this name.

        Raises:
            NotFoundError: There is none; the hint names the nearest.
        """
        if name in self._profiles:
            return self._profiles[name]
        hint = nearest(name, self._profiles) or f"the crew's models: {', '.join(self._profiles) or 'none'}"
        raise NotFoundError(f"the crew has no model {name!r}", hint=hint)

    async def complete(self, scope: Scope, request: ModelRequest, on_delta: OnDelta | None = None) -> ModelReply:
        """Ask a model.

        Args:
            scope: Where in the run this happens; its ledgers pay.
            request: What to ask; `request.model` is a profile's name.
            on_delta: Receives the text as it arrives; all of it at once when it comes from the journal or the cache. When a
                stream breaks, the call starts again and so does the text: a `ModelRetried` or `ModelFellBack` event at the
                same scope says that everything received for this call so far is void.

        Returns:
            The answer. With `request.schema`, `data` holds the JSON, which fits the schema, unless the model called tools.

        Raises:
            NotFoundError: There is no such profile.
            ModelError: There is no usable answer, after the attempts of the model and of its fallbacks.
            BudgetExceededError: The call could overshoot a budget, so it was not made.
            RunCancelledError: The run was cancelled.
            FencedError: Another process owns the run.
            StorageError: The journal cannot be written.
        """
        chain = self._fallbacks.chain(self.profile(request.model), tools=bool(request.tools))

        async def ask(profile: Profile) -> ModelReply:
            return await self._asked(scope, profile, _filled(profile, request), on_delta)

        return await self._fallbacks.ask(
            scope, chain, lambda p: _identity(p, _with_schema(p, _filled(p, request))), ask
        )

    async def _asked(
        self, scope: Scope, profile: Profile, request: ModelRequest, on_delta: OnDelta | None
    ) -> ModelReply:
        """One model's answer; for a wanted shape the model gets one chance to mend its JSON."""
        if request.tools and not profile.tools:
            hint = "use another model for roles with tools"
            raise ToolsUnsupportedError(f"{profile.model} is marked as unable to call tools", hint=hint)
        asked = _with_schema(profile, request)
        first = await self._journaled(scope, profile, asked, on_delta)
        if request.schema is None or first.tool_calls:
            return first
        data, problem = _read(request, first)
        if problem is None:
            return replace(first, data=data)
        if first.finish_reason == "length":
            raise OutputLimitError(
                f"{profile.model}: the JSON was cut off", hint=ADVICE[OutputLimitError], provider=profile.provider
            )
        again = structured.ask_again(asked, first, problem)
        second = await self._journaled(scope, profile, again, on_delta)
        data, problem = _read(request, second)
        if problem is not None:
            what = f"{profile.model}: the answer does not fit the wanted shape: {problem}"
            raise BadReplyError(what, hint=ADVICE[BadReplyError], provider=profile.provider)
        return _both(first, replace(second, data=data))

    async def _journaled(
        self, scope: Scope, profile: Profile, request: ModelRequest, on_delta: OnDelta | None
    ) -> ModelReply:
        identity = _identity(profile, request)

        async def perform(charge: Charge) -> dict[str, Any]:
            return (await self._cached(scope, profile, request, identity, charge, on_delta)).as_dict()

        outcome, recalled = await scope.paid_effect("model", identity, perform)
        reply = kept_reply(outcome, scope.path)
        if recalled and on_delta is not None and reply.text:
            on_delta(reply.text)
        self._announce(scope, profile, request, reply, recalled)
        return reply

    async def _cached(
        self,
        scope: Scope,
        profile: Profile,
        request: ModelRequest,
        identity: Mapping[str, Any],
        charge: Charge,
        on_delta: OnDelta | None,
    ) -> ModelReply:
        def usable(reply: ModelReply) -> bool:
            return request.schema is None or bool(reply.tool_calls) or _read(request, reply)[1] is None

        call = PaidCall(scope, profile, request, self._driver(profile), usable)
        if self._cache is None or not profile.cache:
            return await call.perform(charge, on_delta)
        key = cache_key(identity)
        try:
            hit = await self._cache.get(key)
        except StorageError as error:
            scope.emit(Warned(code="cache", message=error.message))
            return await call.perform(charge, on_delta)
        if hit is not None:
            if on_delta is not None and hit.text:
                on_delta(hit.text)
            return replace(hit, cached=True, cost=Decimal(0), attempts=0, seconds=0.0)
        reply = await call.perform(charge, on_delta)
        if usable(reply) and not call.shortened:
            try:
                await self._cache.put(key, ModelReply.from_dict(scope.run.redactor.data(reply.as_dict())))
            except StorageError as error:
                scope.emit(Warned(code="cache", message=error.message))
        return reply

    def _driver(self, profile: Profile) -> Model:
        driver = self._drivers.get(profile.name) or profile.driver
        if driver is None:
            driver = self._drivers[profile.name] = driver_for(profile)
        return driver

    def _announce(
        self, scope: Scope, profile: Profile, request: ModelRequest, reply: ModelReply, recalled: bool
    ) -> None:
        usage = reply.usage
        scope.emit(
            ModelCalled(
                role=scope.role or request.brief.role,
                purpose=request.brief.purpose,
                model=profile.model,
                input_tokens=usage.input_tokens,
                output_tokens=usage.output_tokens,
                cached_tokens=usage.cached_tokens,
                reasoning_tokens=usage.reasoning_tokens,
                cache_write_tokens=usage.cache_write_tokens,
                estimated=usage.estimated,
                cost=None if reply.cost is None else float(reply.cost),
                cached=reply.cached,
                recalled=recalled,
                attempts=reply.attempts,
                seconds=reply.seconds,
            )
        )
        unpriced = (scope.run.run_id, profile.model)
        if reply.cost is None and unpriced not in self._unpriced:
            self._unpriced.add(unpriced)
            text = f"the price of {profile.model} is unknown, so the cost is too; set `price` of the model"
            scope.emit(Warned(code="unpriced", message=text))

    async def close(self) -> None:
        """Close connections that no other gateway uses, and the cache."""
        for driver in self._drivers.values():
            if (close := getattr(driver, "close", None)) is not None:
                await close()
        if self._cache is not None:
            self._cache.close()


def _read(request: ModelRequest, reply: ModelReply) -> tuple[Any, str | None]:
    """The JSON of a reply, and what is wrong with it."""
    data, problem = structured.read(reply.text, request.schema or {})
    if problem is None and request.check is not None:
        problem = request.check(data)
    return data, problem


def _filled(profile: Profile, request: ModelRequest) -> ModelRequest:
    """The request with the provider's name for the model, and the model's defaults where the request says nothing."""
    return replace(
        request,
        model=profile.provider_model,
        temperature=profile.temperature if request.temperature is None else request.temperature,
        max_output_tokens=request.max_output_tokens or profile.output_cap,
        messages=tuple(replace(m, content=m.content.encode("utf-8", "replace").decode()) for m in request.messages),
    )


def _with_schema(profile: Profile, request: ModelRequest) -> ModelRequest:
    """The request with its schema in the prompt, for servers that do not take one."""
    by_prompt = request.schema is not None and profile.remote and not profile.json_schema
    return structured.in_prompt(request) if by_prompt else request


def _identity(profile: Profile, request: ModelRequest) -> dict[str, Any]:
    """What decides the answer, whatever the crew calls the model: the key of journal and cache."""
    identity = {
        **request.identity(),
        "model": profile.model,
        "base_url": profile.base_url,
        "params": dict(profile.params),
    }
    return identity if request.schema is None else {**identity, "json_schema": profile.json_schema}


def _both(first: ModelReply, second: ModelReply) -> ModelReply:
    """The second reply with what both took."""
    cost = None if first.cost is None or second.cost is None else first.cost + second.cost
    return replace(
        second,
        usage=first.usage + second.usage,
        cost=cost,
        cached=first.cached and second.cached,
        attempts=first.attempts + second.attempts,
        seconds=first.seconds + second.seconds,
    )
