"""The plain engine: a round is a gather.

It holds chats of a single member, where a group chat is nothing but overhead, and it is the oracle the AutoGen engine is
tested against: both must give the same transcript.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from crewmix.agents.base import Contribution
from crewmix.chat.floor import Floor


async def converse(floor: Floor) -> None:
    """Hold the chat on `floor` to its end."""
    brought: Sequence[Contribution | None] = ()
    while speakers := await floor.next(brought):
        brought = await asyncio.gather(*map(floor.turn, speakers))
