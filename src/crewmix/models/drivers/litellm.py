"""Whatever the `litellm` package can call (`pip install 'crewmix[litellm]'`): clouds and gateways without a driver of their own.

Its answers have the shape of Chat Completions. See https://docs.litellm.ai.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
from contextlib import aclosing
from importlib import import_module
from typing import Any

from crewmix.errors import BadReplyError, ModelError, ModelTimeoutError, ModelUnavailableError
from crewmix.models import structured
from crewmix.models.drivers.faults import from_status, quote
from crewmix.models.drivers.replies import Answer, messages_of
from crewmix.models.profile import Profile
from crewmix.models.types import ModelReply, ModelRequest, OnDelta

_OWN_WORDS = re.compile(r"^(?:[\w.]+: )+(?:\w+Exception - )?")
"""What litellm puts before a provider's message."""
_TRACEBACK = "Traceback (most recent call last)"


class LiteLLMDriver:
    """One model behind litellm, which neither retries nor falls back here.

    Args:
        profile: What to call; its `provider_model` is litellm's own model string.
    """

    def __init__(self, profile: Profile) -> None:
        self.profile = profile

    async def complete(self, request: ModelRequest, on_delta: OnDelta | None = None) -> ModelReply:
        """One request; streams when `on_delta` is given and the model can.

        Without a stream the whole answer must come within the profile's `timeout`, in a stream each next piece.

        Raises:
            ModelError: Of the kind that says whether trying again can help.
        """
        litellm = await asyncio.to_thread(_load)
        stream = on_delta is not None and self.profile.stream
        answer: Any = None
        try:
            async with asyncio.timeout(self.profile.timeout) as deadline:
                answer = await litellm.acompletion(**self.arguments(request, stream=stream))
                if on_delta is not None and stream:
                    return await self._streamed(answer, on_delta, deadline)
                return self._whole(answer, on_delta)
        except TimeoutError as error:
            raise self._error(ModelTimeoutError, f"no answer within {self.profile.timeout:g} s") from error
        except BadReplyError as error:
            raise self._error(BadReplyError, error.message) from error
        except ModelError:
            raise
        except Exception as error:
            failure = self._typed(litellm, error)
            if answer is not None:
                failure.status = None  # it came within the answer, so it may have cost something
            raise failure from None

    def arguments(self, request: ModelRequest, *, stream: bool) -> dict[str, Any]:
        """What `litellm.acompletion` is called with."""
        profile = self.profile
        arguments: dict[str, Any] = {
            "model": profile.provider_model,
            "messages": messages_of(request),
            "max_tokens": request.max_output_tokens,
            "temperature": request.temperature if profile.takes_temperature else None,
            "stop": list(request.stop) or None,
            "seed": request.seed,
            "api_base": profile.base_url,
            "api_key": profile.api_key or ("none" if profile.base_url else None),  # no key of the environment elsewhere
            "timeout": profile.timeout,
            "num_retries": 0,
            "max_retries": 0,
        }
        if request.tools:
            arguments["tools"] = [
                {
                    "type": "function",
                    "function": {"name": t.name, "description": t.description, "parameters": dict(t.parameters)},
                }
                for t in request.tools
            ]
        if request.schema is not None and profile.json_schema:
            strict = structured.strict_schema(request.schema)
            named = {"name": request.schema_name, "strict": strict is not None, "schema": strict or request.schema}
            arguments["response_format"] = {"type": "json_schema", "json_schema": named}
        if stream:
            arguments["stream"] = True
        if stream and profile.stream_usage:
            arguments["stream_options"] = {"include_usage": True}
        return {**{name: value for name, value in arguments.items() if value is not None}, **profile.params}

    def _whole(self, answer: Any, on_delta: OnDelta | None) -> ModelReply:
        found = Answer()
        text = found.add(_plain(answer))
        reply = found.reply()
        if not getattr(answer, "choices", None):
            raise BadReplyError("the answer has no choices")
        if on_delta is not None and text:
            on_delta(text)
        return reply

    async def _streamed(self, chunks: Any, on_delta: OnDelta, deadline: asyncio.Timeout) -> ModelReply:
        found, loop = Answer(), asyncio.get_running_loop()
        async with aclosing(chunks):
            async for chunk in chunks:
                deadline.reschedule(loop.time() + self.profile.timeout)
                if text := found.add(_plain(chunk)):
                    on_delta(text)
        # litellm writes `stop` under whatever ended; this is what the provider said.
        if getattr(chunks, "received_finish_reason", found.finish) is None:
            raise BadReplyError("the answer was cut off")
        return found.reply()

    def _typed(self, litellm: Any, error: Exception) -> ModelError:
        """The one typed error for what litellm raised."""
        if isinstance(error, litellm.Timeout):
            return self._error(ModelTimeoutError, f"no answer within {self.profile.timeout:g} s")
        status, body = getattr(error, "status_code", None), getattr(error, "body", None)
        message = _OWN_WORDS.sub("", str(getattr(error, "message", "") or error).partition(_TRACEBACK)[0])
        if isinstance(error, litellm.APIConnectionError) or not isinstance(status, int):
            return self._error(ModelUnavailableError, quote(message, self.profile.api_key))
        headers: Any = getattr(error, "litellm_response_headers", None) or {}
        return from_status(self.profile, status, headers, json.dumps(body) if isinstance(body, dict) else message)

    def _error(self, kind: type[ModelError], what: str) -> ModelError:
        return kind(f"{self.profile.model}: {what}", provider=self.profile.provider)


def _load() -> Any:
    """The package, without its network call at import, its telemetry and its prints."""
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    litellm: Any = import_module("litellm")
    litellm.telemetry = False
    litellm.suppress_debug_info = True
    return litellm


def _plain(answer: Any) -> Any:
    return answer.model_dump() if hasattr(answer, "model_dump") else answer
