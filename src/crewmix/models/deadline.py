"""How long a call may take in all, and waiting that can end early."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

from crewmix.errors import ModelTimeoutError
from crewmix.models.profile import Profile


class Deadline:
    """The time one call has with one model: every attempt, the waits between them, and a stream to its end.

    It begins with the first request. Waiting for the model's own `rpm`, `tpm` and `concurrency` before that does not count.

    Args:
        profile: The model; `deadline` says how many seconds.
    """

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._end: float | None = None

    @asynccontextmanager
    async def within(self) -> AsyncGenerator[None]:
        """Stop what happens within when the time is over.

        Raises:
            ModelTimeoutError: That happened.
        """
        if self._end is None:
            self._end = asyncio.get_running_loop().time() + self._profile.deadline
        clock = asyncio.timeout_at(self._end)
        try:
            async with clock:
                yield
        except TimeoutError:
            if not clock.expired():
                raise
            profile = self._profile
            raise ModelTimeoutError(
                f"{profile.model}: no complete answer within {profile.deadline:g} s, attempts and waits together",
                hint="raise `deadline` of the model, or name another model as its `fallback`",
                provider=profile.provider,
            ) from None

    def leaves(self, seconds: float) -> bool:
        """Whether there is time for another attempt after so many seconds."""
        return self._end is None or asyncio.get_running_loop().time() + seconds < self._end


async def until(event: asyncio.Event, seconds: float) -> None:
    """Wait for an event, but no longer than so many seconds."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
