"""The model calls of one crewAI turn: counted, limited, made from worker threads."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from crewmix.definitions.spec import Role
from crewmix.errors import CrewmixError
from crewmix.journal.events import Warned
from crewmix.journal.scope import Scope
from crewmix.models.adapters.bridge import Bridge
from crewmix.models.adapters.crewai_silence import load_crewai
from crewmix.models.types import Brief, ChatMessage, ModelReply, ModelRequest, Purpose, ToolCall, ToolSpec

load_crewai()

from crewai.hooks.dispatch import HookAborted  # noqa: E402

if TYPE_CHECKING:
    from crewmix.models.gateway import Gateway


class TurnAborted(HookAborted):
    """Ends a crewAI task at once: crewAI neither retries a `HookAborted` nor shows it to the model.

    Args:
        message: Why, where no error says it.
        code: A stable code for the turn's failure.
        error: The error behind it, where there is one.
    """

    def __init__(self, message: str, code: str, error: CrewmixError | None = None) -> None:
        # crewAI searches the text of every error for words that would make it go on by itself, so a provider's stay out of it.
        super().__init__(message if error is None else "the model gave no usable answer")
        self.code = code
        self.error = error


@dataclass(slots=True)
class ModelCalls:
    """The model calls of one turn.

    Attributes:
        specs: The role's tools by the name crewAI knows them by.
        reject: Answers a tool call crewAI could not run (an unknown tool, arguments that are no JSON object).
        kept_back: Calls that must be left when the agent gives its answer, for checking it.
        sample: Tells wanted repetitions of the turn apart.
        made: Calls made so far, of at most `role.max_iter`.
        scope: The turn's place in the run; calls get places below it.
        reply: The model's latest reply to the agent itself.
        rejected: What `reject` answered, by the call's id.
        call_ids: The ids of the turn's tool calls.
    """

    bridge: Bridge
    gateway: Gateway
    scope: Scope
    role: Role
    brief: Brief
    specs: Mapping[str, ToolSpec]
    reject: Callable[[ToolCall], Coroutine[Any, Any, str]]
    kept_back: int = 0
    sample: int = 0
    made: int = 0
    reply: ModelReply | None = None
    rejected: dict[str, str] = field(default_factory=dict[str, str])
    call_ids: set[str] = field(default_factory=set[str])

    @property
    def answer_now(self) -> bool:
        """Whether the next call is the agent's last one."""
        return self.role.max_iter - self.made <= 1 + self.kept_back

    def request(self, purpose: Purpose, messages: Sequence[ChatMessage], **more: Any) -> ModelRequest:
        """A request with the role's model and settings."""
        return ModelRequest(
            model=self.role.llm,
            messages=tuple(messages),
            temperature=self.role.temperature,
            max_output_tokens=self.role.max_output_tokens,
            brief=replace(self.brief, purpose=purpose, role=self.role.name),
            sample=self.sample,
            **more,
        )

    async def complete(self, request: ModelRequest, scope: str = "model") -> ModelReply:
        """Make a call, on the run's loop.

        Raises:
            TurnAborted: The role has used all its calls.
            CrewmixError: What the gateway raises.
        """
        if self.made >= self.role.max_iter:
            raise TurnAborted(f"{self.role.name} used all its {self.made} model calls (max_iter) of a turn", "max_iter")
        self.made += 1
        shown = request.brief.purpose == "speak" and request.schema is None
        on_delta = self.scope.deltas() if shown else None
        return await self.gateway.complete(self.scope.at(scope), request, on_delta)

    async def speak(self, request: ModelRequest) -> ModelReply:
        """Make one of the agent's own calls and answer tool calls that crewAI could not run."""
        reply = await self.complete(request)
        reply = self.reply = replace(reply, tool_calls=tuple(map(self._with_own_id, reply.tool_calls)))
        for call in reply.tool_calls:
            if request.tools and not _runnable(call, request.tools):
                self.rejected[call.id] = await self.reject(call)
        return reply

    def _with_own_id(self, call: ToolCall) -> ToolCall:
        # Some servers number the calls of every reply from 1.
        own = call.id if call.id not in self.call_ids else f"{call.id}_{self.made}"
        self.call_ids.add(own)
        return replace(call, id=own)

    def run(self, work: Coroutine[Any, Any, ModelReply]) -> ModelReply:
        """Run a call from a worker thread.

        Raises:
            TurnAborted: It failed for good.
        """
        try:
            return self.bridge.run(work)
        except CrewmixError as error:
            raise TurnAborted(error.message, error.code, error) from error

    def warn(self, code: str, message: str) -> None:
        """Announce, from a worker thread, what the reader of the result must know."""
        self.bridge.loop.call_soon_threadsafe(self.scope.emit, Warned(code=code, message=message))


current_calls: ContextVar[ModelCalls] = ContextVar("crewmix_model_calls")
"""The turn whose calls a `GatewayLLM` makes; set in the turn's worker thread, inherited by the threads crewAI starts."""


def _runnable(call: ToolCall, tools: Sequence[ToolSpec]) -> bool:
    if all(call.name != tool.name for tool in tools):
        return False
    try:
        return isinstance(json.loads(call.arguments or "{}"), dict)
    except ValueError:
        return False
