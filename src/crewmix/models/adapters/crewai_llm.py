"""The gateway as a crewAI language model: what every LLM slot of a crewAI agent is filled with."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from crewmix.errors import BadReplyError, ContextTooLongError, CrewmixError, ToolsUnsupportedError
from crewmix.models.adapters.crewai_calls import ModelCalls, TurnAborted, current_calls
from crewmix.models.types import ChatMessage, ModelReply, ModelRequest, ToolCall, ToolSpec

# isort: split
# crewai is imported after `crewai_calls` has loaded it quietly
from crewai.llms.base_llm import BaseLLM
from crewai.utilities.exceptions.context_window_exceeding_exception import LLMContextLengthExceededError
from pydantic import BaseModel

ANSWER_NOW = "You have no tool calls left. Answer now with what you know, in the form asked for above."
_USABLE = 0.85  # the share of a context window crewAI fills before it summarises


class Spoken(BaseModel):
    """A final answer, handed to crewAI as a model: plain text it would search for "Action:" and "Final Answer:"."""

    text: str

    def model_dump_json(self, **_: Any) -> str:
        """The text itself: crewAI takes this for the task's raw output."""
        return self.text


class GatewayLLM(BaseLLM):
    """A crewAI `BaseLLM` whose calls go through the gateway. It keeps no state: the turn comes from `current_calls`.

    Fields:
        window: The model's context window in tokens.
        native_tools: Whether the model can call tools; otherwise crewAI describes them in the prompt (ReAct).
    """

    window: int
    native_tools: bool = True

    def supports_function_calling(self) -> bool:
        """Whether tools go natively."""
        return self.native_tools

    def get_context_window_size(self) -> int:
        """Tokens crewAI may fill before it summarises."""
        return int(self.window * _USABLE)

    def get_input_tokens_count(self, messages: Any, tools: Any = None, response_model: Any = None) -> int:
        """An estimate: a token per four characters."""
        parts = [messages] if isinstance(messages, str) else [str(m.get("content") or "") for m in messages]
        return sum(map(len, parts)) // 4

    def call(
        self,
        messages: Any,
        tools: Any = None,
        callbacks: Any = None,
        available_functions: Any = None,
        from_task: Any = None,
        from_agent: Any = None,
        response_model: type[BaseModel] | None = None,
    ) -> Any:
        """One call of the agent.

        Returns:
            Tool calls, a `Spoken` answer, an instance of `response_model`, or in a ReAct loop the plain text.

        Raises:
            TurnAborted: The model gave no usable answer, or the turn was stopped.
            LLMContextLengthExceededError: The tool results are too long; crewAI summarises them.
        """
        calls = current_calls.get()
        chat = _chat_messages(self._format_messages(messages), calls)
        last = calls.answer_now and any(message.role in {"assistant", "tool"} for message in chat)
        if last:
            chat.append(ChatMessage("user", ANSWER_NOW))
        react = bool(calls.specs) and not tools
        request = calls.request(
            "speak" if from_agent is not None else "other",
            chat,
            tools=() if calls.answer_now else tuple(_spec(tool, calls.specs) for tool in tools or ()),
            stop=tuple(sorted(self.stop_sequences)) if react else (),
            **_schema(response_model),
        )
        reply = self._speak(calls, request)
        if response_model is not None:
            return response_model.model_validate(reply.data)
        if reply.tool_calls and request.tools:
            return [_as_crewai(call, calls.specs) for call in reply.tool_calls]
        if not reply.text.strip():
            error = BadReplyError(f"{calls.role.name}'s model gave no answer after its last tool call")
            raise TurnAborted(error.message, error.code, error)
        return self._apply_stop_words(reply.text) if react else Spoken(text=reply.text)

    call._crewai_rate_limit_wrapped = True  # pyright: ignore[reportFunctionMemberAccess]  # our gateway retries

    def _speak(self, calls: ModelCalls, request: ModelRequest) -> ModelReply:
        try:
            return calls.run(calls.speak(request))
        except TurnAborted as aborted:
            if isinstance(aborted.error, ToolsUnsupportedError):
                calls.warn(
                    "text_tools", f"the model of {calls.role.name} cannot call tools; they are described in text"
                )
                raise RuntimeError("the model does not support tools") from aborted
            if isinstance(aborted.error, ContextTooLongError) and any(m.role == "tool" for m in request.messages):
                raise LLMContextLengthExceededError("maximum context length") from aborted
            raise

    async def acall(self, messages: Any, *_: Any, **__: Any) -> str:
        """A call of crewAI itself, for a summary."""
        calls = current_calls.get()
        request = calls.request("other", _chat_messages(self._format_messages(messages), calls))
        try:
            reply = await asyncio.wrap_future(calls.bridge.start(calls.complete(request, "summary")))
        except CrewmixError as error:
            raise TurnAborted(error.message, error.code, error) from error
        return reply.text

    acall._crewai_rate_limit_wrapped = True  # pyright: ignore[reportFunctionMemberAccess]

    def summarize_messages(self, messages: list[Any], callbacks: list[Any], verbose: bool = True) -> None:
        """Replace what happened in the turn by a summary when it outgrows the context window; the task itself stays."""
        calls = current_calls.get()
        calls.warn("summarised", f"{calls.role.name}'s tool results were summarised: they outgrew the context window")
        head = messages[:2]
        rest = messages[2:]
        super().summarize_messages(rest, callbacks, verbose=False)
        messages[:] = [*head, *rest]


def _schema(response_model: type[BaseModel] | None) -> dict[str, Any]:
    if response_model is None:
        return {}
    return {"schema": response_model.model_json_schema(), "schema_name": response_model.__name__}


def _spec(tool: Mapping[str, Any], specs: Mapping[str, ToolSpec]) -> ToolSpec:
    # Our own schema: crewAI's has every argument required ("strict"), also those with a default.
    function = tool["function"]
    return specs.get(function["name"]) or ToolSpec(function["name"], function["description"], function["parameters"])


def _as_crewai(call: ToolCall, specs: Mapping[str, ToolSpec]) -> dict[str, Any]:
    name = next((known for known, spec in specs.items() if spec.name == call.name), call.name)
    return {"id": call.id, "type": "function", "function": {"name": name, "arguments": call.arguments or "{}"}}


def _chat_messages(messages: Sequence[Mapping[str, Any]], calls: ModelCalls) -> list[ChatMessage]:
    def name(known: str) -> str:
        return calls.specs[known].name if known in calls.specs else known

    chat: list[ChatMessage] = []
    for message in messages:
        wanted = tuple(
            ToolCall(c["id"], name(c["function"]["name"]), c["function"]["arguments"])
            for c in message.get("tool_calls") or ()
        )
        call_id = message.get("tool_call_id")
        text = str(message.get("content") or "")
        chat.append(
            ChatMessage(
                role=message["role"],
                content=calls.rejected.get(call_id, text) if call_id else text,
                tool_calls=wanted,
                tool_call_id=call_id,
                name=name(message["name"]) if call_id and "name" in message else None,
            )
        )
    return chat
