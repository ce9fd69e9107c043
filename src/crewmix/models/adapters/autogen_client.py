"""The gateway as an AutoGen model client, so that users' own AutoGen agents are metered, journaled and cancelled as well."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from itertools import groupby
from typing import Any, Literal, cast

from autogen_core import CancellationToken, FunctionCall
from autogen_core.models import (
    AssistantMessage,
    ChatCompletionClient,
    CreateResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    ModelFamily,
    ModelInfo,
    RequestUsage,
    SystemMessage,
    UserMessage,
)
from autogen_core.models._types import FinishReasons
from autogen_core.tools import Tool, ToolSchema
from pydantic import BaseModel

from crewmix.errors import UsageError
from crewmix.journal.scope import Scope
from crewmix.loop import at_home
from crewmix.models.gateway import Gateway
from crewmix.models.tokens import most_input, usual_input
from crewmix.models.types import Brief, ChatMessage, ModelReply, ModelRequest, OnDelta, ToolCall, ToolSpec

ToolChoice = Tool | Literal["auto", "required", "none"]
JsonOutput = bool | type[BaseModel] | None

_FINISH: Mapping[str, FinishReasons] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "function_calls",
    "content_filter": "content_filter",
}
_EXTRA = {
    "temperature": "temperature",
    "max_tokens": "max_output_tokens",
    "max_completion_tokens": "max_output_tokens",
    "seed": "seed",
    "stop": "stop",
}
"""Arguments of the Chat Completions API that may be given as `extra_create_args`, and what we call them."""


class GatewayChatCompletionClient(ChatCompletionClient):
    """Any model of the crew, for AutoGen agents.

    Args:
        gateway: The door to the models.
        scope: Where in the run the calls happen; they are charged to its budgets.
        model: A profile of the crew.

    Raises:
        NotFoundError: There is no such profile.
    """

    component_type = "model"

    def __init__(self, gateway: Gateway, scope: Scope, model: str = "default") -> None:
        self._gateway = gateway
        self._scope = scope
        self._profile = gateway.profile(model)
        self._paid = RequestUsage(0, 0)
        self._total = RequestUsage(0, 0)

    async def create(
        self,
        messages: Sequence[LLMMessage],
        *,
        tools: Sequence[Tool | ToolSchema] = (),
        tool_choice: ToolChoice = "auto",
        json_output: JsonOutput = None,
        extra_create_args: Mapping[str, Any] | None = None,
        cancellation_token: CancellationToken | None = None,
    ) -> CreateResult:
        """One model call.

        Args:
            messages: The prompt. Consecutive user messages become one, each under its author's name, because providers that
                want strict alternation refuse group chats otherwise.
            tools: What the model may call.
            tool_choice: `auto`, `none`, or one tool, which is then the only one offered. `required` is not supported.
            json_output: True for any JSON object, or the pydantic model of what is wanted.
            extra_create_args: `temperature`, `max_tokens`, `stop` and `seed`.
            cancellation_token: Cancels the call.

        Raises:
            UsageError: Something is asked for that the gateway cannot do.
            ModelError: The model gave no usable answer.
            BudgetExceededError: The call could overshoot a budget.
        """
        request = self._request(messages, tools, tool_choice, json_output, extra_create_args or {})
        return await self._call(request, None, cancellation_token)

    async def create_stream(
        self,
        messages: Sequence[LLMMessage],
        *,
        tools: Sequence[Tool | ToolSchema] = (),
        tool_choice: ToolChoice = "auto",
        json_output: JsonOutput = None,
        extra_create_args: Mapping[str, Any] | None = None,
        cancellation_token: CancellationToken | None = None,
    ) -> AsyncGenerator[str | CreateResult, None]:
        """One model call, its text as it arrives, then the result. Arguments and errors as for `create`."""
        request = self._request(messages, tools, tool_choice, json_output, extra_create_args or {})
        loop = asyncio.get_running_loop()
        pieces: asyncio.Queue[str | None] = asyncio.Queue()

        def on_delta(text: str) -> None:
            loop.call_soon_threadsafe(pieces.put_nowait, text)

        call = asyncio.ensure_future(self._call(request, on_delta, cancellation_token))
        call.add_done_callback(lambda _: loop.call_soon_threadsafe(pieces.put_nowait, None))
        try:
            while (piece := await pieces.get()) is not None:
                yield piece
            yield await call
        finally:
            call.cancel()

    async def close(self) -> None:
        """Nothing to close: the gateway belongs to the run."""

    def actual_usage(self) -> RequestUsage:
        """Tokens of the calls that were really made."""
        return self._paid

    def total_usage(self) -> RequestUsage:
        """Tokens of all calls, those answered from the cache included."""
        return self._total

    def count_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = ()) -> int:
        """About how many tokens a prompt has, counted without a network."""
        return usual_input(self._measured(messages, tools))

    def remaining_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = ()) -> int:
        """How many tokens of the model's window a prompt leaves at least."""
        return self._profile.context_window - most_input(self._measured(messages, tools))

    @property
    def capabilities(self) -> ModelInfo:  # pyright: ignore[reportIncompatibleMethodOverride]
        """AutoGen's old name for `model_info`."""
        return self.model_info

    @property
    def model_info(self) -> ModelInfo:
        """What the model can do."""
        return ModelInfo(
            vision=False,
            function_calling=self._profile.tools,
            json_output=True,
            structured_output=True,
            family=ModelFamily.UNKNOWN,
            multiple_system_messages=True,
        )

    def _measured(self, messages: Sequence[LLMMessage], tools: Sequence[Tool | ToolSchema]) -> ModelRequest:
        return ModelRequest(self._profile.name, _prompt(messages), tuple(map(_tool, tools)))

    def _request(
        self,
        messages: Sequence[LLMMessage],
        tools: Sequence[Tool | ToolSchema],
        tool_choice: ToolChoice,
        json_output: JsonOutput,
        extra: Mapping[str, Any],
    ) -> ModelRequest:
        if tool_choice == "required":
            raise UsageError("`tool_choice` `required` is not supported", hint="pass the one tool that must be called")
        if unknown := [name for name in extra if name not in _EXTRA]:
            text = f"`extra_create_args` {', '.join(map(repr, unknown))} are not supported"
            raise UsageError(text, hint=f"there are: {', '.join(_EXTRA)}; others go into the model's `params`")
        options = {_EXTRA[name]: value for name, value in extra.items()}
        if "stop" in options:
            options["stop"] = (options["stop"],) if isinstance(options["stop"], str) else tuple(options["stop"])
        schema, schema_name = _schema(json_output)
        offered = [tool_choice] if isinstance(tool_choice, Tool) else [] if tool_choice == "none" else tools
        return ModelRequest(
            model=self._profile.name,
            messages=_prompt(messages),
            tools=tuple(map(_tool, offered)),
            schema=schema,
            schema_name=schema_name,
            brief=Brief(role=self._scope.role, task=self._scope.task),
            **options,
        )

    async def _call(
        self, request: ModelRequest, on_delta: OnDelta | None, token: CancellationToken | None
    ) -> CreateResult:
        call = asyncio.ensure_future(at_home(self._gateway.complete(self._scope, request, on_delta)))
        if token is not None:
            token.link_future(call)
        reply = await call
        usage = RequestUsage(reply.usage.input_tokens, reply.usage.output_tokens)
        self._total = _sum(self._total, usage)
        if not reply.cached:
            self._paid = _sum(self._paid, usage)
        return _result(reply, usage)


def _sum(a: RequestUsage, b: RequestUsage) -> RequestUsage:
    return RequestUsage(a.prompt_tokens + b.prompt_tokens, a.completion_tokens + b.completion_tokens)


def _result(reply: ModelReply, usage: RequestUsage) -> CreateResult:
    calls = [FunctionCall(id=call.id, name=call.name, arguments=call.arguments) for call in reply.tool_calls]
    return CreateResult(
        finish_reason=_FINISH.get(reply.finish_reason, "unknown"),
        content=calls or reply.text,
        usage=usage,
        cached=reply.cached,
        thought=(reply.text or None) if calls else None,
    )


def _prompt(messages: Sequence[LLMMessage]) -> tuple[ChatMessage, ...]:
    prompt: list[ChatMessage] = []
    for kind, group in groupby(messages, type):
        if kind is UserMessage:
            prompt.append(_user(cast("list[UserMessage]", list(group))))
        else:
            for message in group:
                prompt += _plain(message)
    return tuple(prompt)


def _user(messages: list[UserMessage]) -> ChatMessage:
    texts = [_text(m) for m in messages]
    if len({m.source for m in messages}) > 1:
        texts = [f"{m.source}:\n{text}" for m, text in zip(messages, texts, strict=True)]
    return ChatMessage("user", "\n\n".join(texts))


def _text(message: UserMessage) -> str:
    parts = [message.content] if isinstance(message.content, str) else message.content
    if not all(isinstance(part, str) for part in parts):
        raise UsageError("images cannot be sent to a model of the crew", hint="give the agent a text instead")
    return "\n".join(cast("list[str]", parts))


def _plain(message: LLMMessage) -> list[ChatMessage]:
    if isinstance(message, SystemMessage):
        return [ChatMessage("system", message.content)]
    if isinstance(message, FunctionExecutionResultMessage):
        return [ChatMessage("tool", r.content, tool_call_id=r.call_id, name=r.name) for r in message.content]
    if isinstance(message, AssistantMessage):
        if isinstance(message.content, str):
            return [ChatMessage("assistant", message.content)]
        calls = tuple(ToolCall(call.id, call.name, call.arguments) for call in message.content)
        return [ChatMessage("assistant", message.thought or "", tool_calls=calls)]
    raise UsageError(f"a message of type {type(message).__name__} cannot be sent to a model")


def _tool(tool: Tool | ToolSchema) -> ToolSpec:
    schema = tool.schema if isinstance(tool, Tool) else tool
    parameters = cast("Mapping[str, Any]", schema.get("parameters") or {"type": "object", "properties": {}})
    return ToolSpec(schema["name"], schema.get("description", ""), parameters)


def _schema(wanted: JsonOutput) -> tuple[Mapping[str, Any] | None, str]:
    if not wanted:
        return None, "reply"
    if wanted is True:
        return {"type": "object"}, "reply"
    return wanted.model_json_schema(), wanted.__name__
