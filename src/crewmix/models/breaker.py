"""Leaves a provider that is down alone for a while, for every run of the process.

After `FAILURES` requests in a row that found it down, nothing is sent to it for `OPEN_SECONDS`. Then one call probes: if it
gets through everything goes on, else the pause is twice as long, up to `LONGEST_OPEN`. Meanwhile a call whose model has a
fallback goes there at once; others wait if it will not take long, or fail without sending anything. A run's first call does not
wait: it probes at once, so that a run that is resumed when the provider is back is not held up by what happened before.

See M. Nygard, Release It! (2018), chapter 5, "Circuit Breaker".
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from weakref import WeakKeyDictionary, WeakSet

from crewmix.errors import CircuitOpenError, ModelError, ModelTimeoutError, ModelUnavailableError
from crewmix.journal.events import CircuitOpened
from crewmix.journal.run import Run
from crewmix.journal.scope import Scope
from crewmix.models.deadline import until
from crewmix.models.profile import Profile

FAILURES = 5
OPEN_SECONDS = 5.0
LONGEST_OPEN = 60.0
PATIENCE = 10.0
"""Seconds that a call waits for the end of a pause; when more of it is left, the call fails at once."""

Until = Callable[[asyncio.Event, float], Awaitable[None]]


class Breaker:
    """What is known of one provider's health.

    Args:
        clock: Seconds, monotonic.
        wait: Waits for an event, but no longer than so many seconds.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic, wait: Until = until) -> None:
        self._clock, self._wait = clock, wait
        self._failures = 0
        self._pause = 0.0
        """Seconds the circuit is open; 0 = it is closed."""
        self._opened = 0.0
        self._probing = False
        self._changed = asyncio.Event()
        self._why = ""
        self._runs: WeakSet[Run] = WeakSet()

    @asynccontextmanager
    async def passage(self, scope: Scope, profile: Profile) -> AsyncGenerator[None]:
        """Let one request go out, and take its outcome into account.

        Raises:
            CircuitOpenError: The circuit is open; nothing may be sent.
        """
        probing = await self._admitted(scope.run, profile)
        try:
            yield
        except ModelError as error:
            if not _is_down(error):
                self._close()
            elif seconds := self._fail(probing, error.message):
                scope.emit(CircuitOpened(provider=profile.provider, seconds=seconds, error=error.message))
            raise
        else:
            self._close()
        finally:
            if probing:
                self._probing = False
            self._tell()

    async def _admitted(self, run: Run, profile: Profile) -> bool:
        """Wait until a request may go out; whether it is the one that probes."""
        newcomer = run not in self._runs
        self._runs.add(run)
        patient = not profile.fallback
        while self._pause:
            left = self._left()
            if not self._probing and (left <= 0 or (newcomer and patient)):
                self._probing = True
                return True
            if not patient or (left > PATIENCE and not self._probing):
                raise self._refusal(profile, left)
            await self._wait(self._changed, profile.timeout if self._probing else left)
            newcomer = False
        return False

    def _left(self) -> float:
        """Seconds until the next probe. A clock that was put back does not make it more than the pause."""
        now = self._clock()
        self._opened = min(self._opened, now)
        return self._opened + self._pause - now

    def _fail(self, probing: bool, why: str) -> float:
        """Count a failure; the seconds for which the circuit opens because of it, 0 = it does not."""
        self._failures += 1
        self._why = why
        if not probing and (self._pause or self._failures < FAILURES):
            return 0.0
        self._pause = min(self._pause * 2 or OPEN_SECONDS, LONGEST_OPEN)
        self._opened = self._clock()
        return self._pause

    def _close(self) -> None:
        self._failures, self._pause = 0, 0.0

    def _tell(self) -> None:
        """Let those that wait look again."""
        self._changed.set()
        self._changed = asyncio.Event()

    def _refusal(self, profile: Profile, left: float) -> CircuitOpenError:
        return CircuitOpenError(
            f"{profile.model}: nothing was sent, since {self._failures} requests in a row failed; the last: {self._why}",
            hint=f"it is asked again in {max(left, 0):.0f} s; another model can serve meanwhile: `fallback` of the model",
            provider=profile.provider,
            request_sent=False,
        )


def _is_down(error: ModelError) -> bool:
    """Whether an error tells that the provider is down, and not that it refuses something."""
    kinds = isinstance(error, ModelUnavailableError | ModelTimeoutError)
    return kinds and not 400 <= (error.status or 0) < 500


_shared: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[tuple[str | None, ...], Breaker]] = WeakKeyDictionary()


def breaker(profile: Profile) -> Breaker:
    """The running loop's breaker for a model's address and key; models without a server have one each, of no effect."""
    if not profile.remote:
        return Breaker()
    known = _shared.setdefault(asyncio.get_running_loop(), {})
    through = profile.provider_model.partition("/")[0] if profile.base_url is None else None
    return known.setdefault((profile.base_url, through, profile.api_key), Breaker())
