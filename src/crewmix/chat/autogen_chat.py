"""The AutoGen engine: one custom group chat that runs every pattern.

Each chat is a team of its own on its own embedded runtime. A member's turn travels as a typed message to the manager and to
the other members; the manager closes a round when all its speakers have answered and asks the floor who speaks next.
Members never raise and stop as soon as the floor is stopped, so the defects of AutoGen 0.7.5 around errors, cancelling and
parallel speakers are never met. Its termination conditions, state and model contexts are not used. Module names with a
leading underscore are safe to import: upstream is frozen at the pinned release.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal

# Read when a runtime is made. It would otherwise write a span, with the whole message, for every delivery.
os.environ.setdefault("AUTOGEN_DISABLE_RUNTIME_TRACING", "true")

from autogen_agentchat.agents import BaseChatAgent
from autogen_agentchat.base import Response
from autogen_agentchat.messages import BaseAgentEvent, BaseChatMessage, BaseTextChatMessage, StopMessage
from autogen_agentchat.teams import BaseGroupChat
from autogen_agentchat.teams._group_chat._base_group_chat_manager import BaseGroupChatManager
from autogen_core import CancellationToken
from pydantic import Field

from crewmix.agents.base import Contribution
from crewmix.chat.floor import Floor
from crewmix.definitions.spec_base import slug

for _name in ("autogen_core", "autogen_core.events", "autogen_agentchat", "autogen_agentchat.events"):
    # At INFO they write every message about ten times.
    logging.getLogger(_name).setLevel(logging.WARNING)


async def converse(floor: Floor) -> None:
    """Hold the chat on `floor` to its end."""
    await PatternGroupChat(floor).run()


class Spoken(BaseTextChatMessage):
    """What a member brought, as it travels through the group chat; None when the chat was stopped during its turn."""

    type: Literal["Spoken"] = "Spoken"
    contribution: Contribution | None = Field(exclude=True)
    """Left out of what AutoGen writes as JSON for its logs, once for every delivery, whether anyone listens or not."""


class Seat(BaseChatAgent):
    """A role's place in the group chat.

    Args:
        name: An identifier, as AutoGen demands.
        role: The role's own name.
        floor: Gives it its turns.
    """

    def __init__(self, name: str, role: str, floor: Floor) -> None:
        super().__init__(name, role)
        self._role = role
        self._floor = floor

    @property
    def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
        """What this member sends."""
        return (Spoken,)

    async def on_messages(self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken) -> Response:
        """Take a turn. What the role may see comes from the pattern, not from the messages that happened to arrive."""
        contribution = await self._floor.turn(self._role)
        content = "" if contribution is None else contribution.text
        return Response(chat_message=Spoken(content=content, source=self.name, contribution=contribution))

    async def on_reset(self, cancellation_token: CancellationToken) -> None:
        """Nothing to forget: the floor holds the transcript."""


class PatternManager(BaseGroupChatManager):
    """Closes rounds and calls the next speakers."""

    def __init__(self, floor: Floor, seats: dict[str, str], *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._floor = floor
        self._seats = seats
        self._brought: list[Contribution | None] = []
        self._speakers: list[str] = []

    async def validate_group_state(self, messages: list[BaseChatMessage] | None) -> None:
        """Nothing to check: a chat is run once."""

    async def update_message_thread(self, messages: Sequence[BaseAgentEvent | BaseChatMessage]) -> None:
        """Collect what the speakers of the round brought."""
        await super().update_message_thread(messages)
        self._brought += [m.contribution for m in messages if isinstance(m, Spoken)]

    async def _transition_to_next_speakers(self, cancellation_token: CancellationToken) -> None:
        brought, self._brought = self._brought, []
        self._speakers = [self._seats[role] for role in await self._floor.next(brought)]
        if self._speakers:
            await super()._transition_to_next_speakers(cancellation_token)
        else:
            await self._signal_termination(StopMessage(content="the chat is over", source=self._name))

    async def select_speaker(self, thread: Sequence[BaseAgentEvent | BaseChatMessage]) -> list[str]:
        """The speakers of the round that begins."""
        return self._speakers

    async def reset(self) -> None:
        """Nothing to reset: a chat is run once."""


class _NoTracing:
    """Stands in for the runtime's tracer."""

    def trace_block(self, *_: object, **__: object) -> AbstractContextManager[None]:
        return nullcontext()


class PatternGroupChat(BaseGroupChat):
    """A group chat whose speakers come from the floor's pattern. Run it once.

    Args:
        floor: The chat to hold.
    """

    def __init__(self, floor: Floor) -> None:
        self._floor = floor
        roles = floor.transcript.members
        self._seats = {role: f"{slug(role)}_{place}" for place, role in enumerate(roles, 1)}
        super().__init__(
            name="crewmix",
            description="A chat driven by a pattern",
            participants=[Seat(name, role, floor) for role, name in self._seats.items()],
            group_chat_manager_name="PatternManager",
            group_chat_manager_class=PatternManager,
            custom_message_types=[Spoken],
        )
        # The runtime's tracing is off, but would still be prepared for every delivery: a sixth of the CPU of a chat.
        self._runtime._tracer_helper = _NoTracing()  # pyright: ignore[reportPrivateUsage, reportAttributeAccessIssue]

    def _create_group_chat_manager_factory(self, *args: Any, **options: Any) -> Callable[[], PatternManager]:
        return lambda: PatternManager(self._floor, self._seats, *args, **options)
