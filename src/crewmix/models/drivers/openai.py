"""Chat Completions over aiohttp: every provider and server that speaks OpenAI's protocol.

See https://platform.openai.com/docs/api-reference/chat.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from crewmix.errors import BadReplyError, ModelError, ModelTimeoutError, ModelUnavailableError
from crewmix.models import structured
from crewmix.models.drivers.faults import from_status, quote
from crewmix.models.drivers.reading import read_answer
from crewmix.models.drivers.replies import messages_of
from crewmix.models.drivers.sessions import release, session_for
from crewmix.models.profile import Profile
from crewmix.models.providers import PROVIDERS
from crewmix.models.types import ModelReply, ModelRequest, OnDelta

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientTimeout


class OpenAIDriver:
    """One model behind a Chat Completions address.

    Args:
        profile: Where and how to call it.
    """

    def __init__(self, profile: Profile) -> None:
        self.profile = profile

    async def complete(self, request: ModelRequest, on_delta: OnDelta | None = None) -> ModelReply:
        """One HTTP request; streams when `on_delta` is given and the server can.

        Without a stream the whole answer must come within the profile's `timeout`, in a stream each next piece. What comes
        is read for what it is: servers and proxies send streams as JSON, and JSON as streams.

        Raises:
            ModelError: Of the kind that says whether trying again can help.
        """
        import aiohttp

        profile = self.profile
        stream = on_delta is not None and profile.stream
        body = json.dumps(self.body(request, stream=stream), ensure_ascii=False).encode("utf-8", "replace")
        try:
            async with asyncio.timeout(profile.timeout) as deadline:
                session = session_for(self)
                async with session.post(
                    f"{profile.base_url}/chat/completions",
                    data=body,
                    headers=self._headers,
                    proxy=self._proxy,
                    timeout=self._timeout,
                    allow_redirects=False,
                ) as response:
                    if response.status != 200:
                        raise from_status(profile, response.status, response.headers, await _error_body(response))
                    return await read_answer(response.content.iter_any(), profile, on_delta, deadline)
        except TimeoutError as error:
            sent = not isinstance(error, aiohttp.ConnectionTimeoutError)
            raise self._error(ModelTimeoutError, f"no answer within {profile.timeout:g} s", sent=sent) from error
        except aiohttp.ClientConnectorError as error:
            number = error.os_error.errno or 0
            why = os.strerror(number) if number > 0 else quote(str(error.os_error.strerror or error.os_error))
            raise self._error(
                ModelUnavailableError, f"no connection to {profile.base_url}: {why}", sent=False
            ) from error
        except aiohttp.ClientPayloadError as error:
            raise self._error(BadReplyError, "the answer was cut off") from error
        except (aiohttp.ClientError, OSError) as error:
            raise self._error(ModelUnavailableError, f"the connection broke: {type(error).__name__}") from error

    def body(self, request: ModelRequest, *, stream: bool) -> dict[str, Any]:
        """The request body: only fields that are needed, since servers differ in what they refuse."""
        profile = self.profile
        body: dict[str, Any] = {"model": profile.provider_model, "messages": messages_of(request)}
        newer = profile.reasoning or profile.base_url == PROVIDERS["openai"].base_url
        if request.max_output_tokens is not None:
            body["max_completion_tokens" if newer else "max_tokens"] = request.max_output_tokens
        if request.temperature is not None and profile.takes_temperature:
            body["temperature"] = request.temperature
        if request.tools:
            body["tools"] = [
                {
                    "type": "function",
                    "function": {"name": t.name, "description": t.description, "parameters": t.parameters},
                }
                for t in request.tools
            ]
        if request.schema is not None:
            body["response_format"] = self._response_format(request)
        if request.stop and not profile.reasoning:
            body["stop"] = list(request.stop)
        if request.seed is not None:
            body["seed"] = request.seed
        if stream:
            body["stream"] = True
        if stream and profile.stream_usage:
            body["stream_options"] = {"include_usage": True}
        return _with_params(body, profile.params)

    def _response_format(self, request: ModelRequest) -> dict[str, Any]:
        if not self.profile.json_schema or request.schema is None:
            return {"type": "json_object"}
        strict = structured.strict_schema(request.schema)
        named = {"name": request.schema_name, "strict": strict is not None, "schema": strict or request.schema}
        return {"type": "json_schema", "json_schema": named}

    @cached_property
    def _headers(self) -> dict[str, str]:
        headers = {"content-type": "application/json", "user-agent": "crewmix"}
        if self.profile.api_key:
            headers["authorization"] = f"Bearer {self.profile.api_key}"
        return headers

    @cached_property
    def _timeout(self) -> ClientTimeout:
        """Only for connecting, so that a request that never left is known as such; `complete` times the rest."""
        import aiohttp

        return aiohttp.ClientTimeout(total=None, sock_connect=min(10.0, self.profile.timeout * 0.8))

    @cached_property
    def _proxy(self) -> str | None:
        """The proxy of the environment (HTTPS_PROXY, NO_PROXY …), looked up once."""
        from urllib.parse import urlsplit
        from urllib.request import getproxies, proxy_bypass

        parts = urlsplit(self.profile.base_url or "")
        if parts.hostname in {"127.0.0.1", "localhost", "::1"} or proxy_bypass(parts.netloc):
            return None
        return getproxies().get(parts.scheme)

    def _error(self, kind: type[ModelError], what: str, *, sent: bool = True) -> ModelError:
        hint = f"is the server at {self.profile.base_url} running?" if not sent else None
        return kind(f"{self.profile.model}: {what}", hint=hint, provider=self.profile.provider, request_sent=sent)

    async def close(self) -> None:
        """Let go of the connections."""
        await release(self)


_LIMITS = ("max_tokens", "max_completion_tokens")


def _with_params(body: dict[str, Any], params: Mapping[str, Any]) -> dict[str, Any]:
    """The body with the user's own fields. Those may name the output limit, but not raise it: it is what budgets reserve."""
    wanted = {**body, **params}
    limit = next((body[name] for name in _LIMITS if name in body), None)
    own = [name for name in _LIMITS if name in params]
    if limit is None or not own:
        return wanted
    for name in _LIMITS:
        wanted.pop(name, None)
    value = params[own[0]]
    return {**wanted, own[0]: min(value, limit) if isinstance(value, int) and value > 0 else limit}


async def _error_body(response: ClientResponse) -> str:
    raw = await response.content.read(100_000)
    return raw.decode("utf-8", "replace")
