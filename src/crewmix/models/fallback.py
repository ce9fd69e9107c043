"""Who answers when a model does not: its fallbacks, one after the other.

That a model was given up is an effect of kind `fallback` at the call's own place. So a resumed run goes straight to the model
whose answer it has paid for, and asks the first one again only where all had failed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from crewmix.errors import ContentFilteredError, ContextTooLongError, ModelError
from crewmix.journal.events import ModelFellBack, Warned
from crewmix.journal.run import canonical, digest
from crewmix.journal.scope import Scope
from crewmix.models.profile import Profile
from crewmix.models.types import ModelReply

Ask = Callable[[Profile], Awaitable[ModelReply]]
Identify = Callable[[Profile], Mapping[str, Any]]


class Fallbacks:
    """Passes calls on from models that fail to those that stand in for them.

    Args:
        find: A model by its name in the crew.
    """

    def __init__(self, find: Callable[[str], Profile]) -> None:
        self._find = find
        self._answered: Counter[tuple[str, str, str]] = Counter()
        self._said: set[tuple[str, str, str]] = set()

    def chain(self, first: Profile, *, tools: bool) -> tuple[Profile, ...]:
        """The model and all that stand in for it, in order; each has those behind it as its `fallback`.

        Args:
            first: The model that is asked for.
            tools: Whether the answer may be tool calls: models that cannot make them do not stand in.
        """
        if not first.fallback:
            return (first,)
        found = [p for p in self._in_order(first) if p.name == first.name or p.tools or not tools]
        names = [profile.name for profile in found]
        return tuple(replace(p, fallback=tuple(names[place + 1 :])) for place, p in enumerate(found))

    def _in_order(self, first: Profile) -> Iterator[Profile]:
        seen, waiting = set[str](), [first.name]
        while waiting:
            name = waiting.pop()
            if name in seen:
                continue
            seen.add(name)
            profile = first if name == first.name else self._find(name)
            yield profile
            waiting += reversed(profile.fallback)

    async def ask(self, scope: Scope, chain: Sequence[Profile], identity: Identify, ask: Ask) -> ModelReply:
        """The answer of the first model of a chain that gives one.

        Args:
            scope: The call's place.
            chain: As `chain` gives it.
            identity: What the journal knows the call to a model by.
            ask: Asks a model.

        Raises:
            ModelError: No model gave an answer; how the last one failed.
        """
        if len(chain) == 1:
            return await ask(chain[0])
        call = digest(canonical(identity(chain[0])))
        count = (scope.run.run_id, scope.path, call)
        request = {"call": call, "number": self._answered[count] + 1}
        at = self._taken_up(scope, chain, request, identity)
        while True:
            try:
                reply = await ask(chain[at])
            except ModelError as error:
                then = next((n for n in range(at + 1, len(chain)) if _can_mend(error, chain[at], chain[n])), None)
                if then is None:
                    raise
                await self._give_up(scope, {**request, "model": chain[at].name}, chain[then], error)
                self._announce(scope, chain[at], chain[then], error.message)
                at = then
            else:
                self._answered[count] += 1
                return reply

    async def _give_up(self, scope: Scope, request: Mapping[str, Any], to: Profile, error: ModelError) -> None:
        async def outcome() -> dict[str, Any]:
            return {"to": to.name, "error": error.message}

        await scope.effect("fallback", request, outcome)

    def _taken_up(self, scope: Scope, chain: Sequence[Profile], request: Mapping[str, Any], identity: Identify) -> int:
        """Where in the chain a resumed run goes on: at the model it had come to, unless that one failed as well."""
        way: list[tuple[int, int, str]] = []
        at, names = 0, [profile.name for profile in chain]
        while (known := scope.recorded("fallback", {**request, "model": names[at]})) is not None:
            if known["to"] not in names[at + 1 :]:
                break
            way.append((at, names.index(known["to"]), known["error"]))
            at = names.index(known["to"])
        if not way:
            return 0
        held = scope.run.upcoming(scope, "model", identity(chain[at]))
        if held is not None and held.response is None and held.failure is not None:
            return 0
        for before, after, error in way:
            self._announce(scope, chain[before], chain[after], error)
        return at

    def _announce(self, scope: Scope, given_up: Profile, to: Profile, error: str) -> None:
        scope.emit(ModelFellBack(role=scope.role, model=given_up.model, to=to.model, error=error))
        said = (scope.run.run_id, given_up.name, to.name)
        if said not in self._said:
            self._said.add(said)
            scope.emit(Warned(code="fallback", message=f"{to.model} was asked instead: {error}"))


def _can_mend(error: ModelError, given_up: Profile, other: Profile) -> bool:
    """Whether another model may answer what this one did not.

    A refusal by a provider's filter is an answer, not a fault: it is not carried to others until one gives in.
    """
    if isinstance(error, ContextTooLongError):
        return other.context_window > given_up.context_window
    return not isinstance(error, ContentFilteredError)
