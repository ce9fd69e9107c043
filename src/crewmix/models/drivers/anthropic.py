"""Anthropic's Messages API, through the `anthropic` package (`pip install 'crewmix[anthropic]'`).

See https://platform.claude.com/docs/en/api/messages.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from crewmix.errors import BadReplyError, ModelError, ModelTimeoutError, ModelUnavailableError
from crewmix.models.drivers.anthropic_body import body_of
from crewmix.models.drivers.anthropic_client import client_for, http_errors
from crewmix.models.drivers.anthropic_replies import Message
from crewmix.models.drivers.faults import classify, error_text, from_status, quote
from crewmix.models.drivers.replies import json_body
from crewmix.models.drivers.sessions import release
from crewmix.models.drivers.sse import EventReader
from crewmix.models.profile import Profile
from crewmix.models.types import ModelReply, ModelRequest, OnDelta

if TYPE_CHECKING:
    from anthropic import AsyncAnthropic

REST_SECONDS = 5.0
"""The longest wait for the end of a stream whose answer is complete."""
MAX_EVENT = 10_000_000
"""Bytes of one streamed event."""

_STATUS = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "timeout_error": 504,
    "overloaded_error": 529,
}
"""The HTTP status that an error within a stream would have had."""


class AnthropicDriver:
    """One model behind a Messages address.

    Args:
        profile: Where and how to call it.
    """

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self._client: AsyncAnthropic | None = None

    async def complete(self, request: ModelRequest, on_delta: OnDelta | None = None) -> ModelReply:
        """One HTTP request; streams when `on_delta` is given and the server can.

        Without a stream the whole answer must come within the profile's `timeout`, in a stream each next piece.

        Raises:
            ModelError: Of the kind that says whether trying again can help.
        """
        if self._client is None:
            await asyncio.to_thread(import_module, "anthropic")  # takes a second or two
            self._client = client_for(self, self.profile)
        stream = on_delta is not None and self.profile.stream
        with self._typed_errors():
            async with (
                asyncio.timeout(self.profile.timeout) as deadline,
                self._sent(self._client, body_of(self.profile, request, stream=stream)) as response,
            ):
                if on_delta is not None and "event-stream" in response.headers.get("content-type", ""):
                    return await self._streamed(response, on_delta, deadline)
                return self._whole(await response.read(), on_delta)

    def _sent(self, client: AsyncAnthropic, body: dict[str, Any]) -> AbstractAsyncContextManager[Any]:
        """The response, as bytes: the package reads bodies leniently, we must not."""
        from anthropic import Timeout

        # Only for connecting, so that a request that never left is known as such; `complete` times the rest.
        timeout = Timeout(None, connect=min(10.0, self.profile.timeout * 0.8))
        named = {name: body.pop(name) for name in ("model", "messages", "max_tokens")}
        stream = bool(body.pop("stream", False))
        create: Any = client.messages.with_streaming_response.create
        return create(**named, stream=stream, extra_body=body, timeout=timeout)

    @contextmanager
    def _typed_errors(self) -> Generator[None]:
        """Turn what the package and its HTTP library raise into errors that say whether trying again can help."""
        import anthropic

        http = http_errors()
        try:
            yield
        except BadReplyError as error:
            raise self._error(BadReplyError, error.message) from error
        except anthropic.APIStatusError as error:
            raise from_status(self.profile, error.status_code, error.response.headers, error.response.text) from None
        except (TimeoutError, anthropic.APITimeoutError) as error:
            what = f"no answer within {self.profile.timeout:g} s"
            raise self._error(ModelTimeoutError, what, sent=not _never_left(http, error)) from error
        except anthropic.APIConnectionError as error:
            if _never_left(http, error):
                what = f"no connection to {self.profile.base_url}: {quote(str(error.__cause__))}"
                raise self._error(ModelUnavailableError, what, sent=False) from error
            what = f"the connection broke: {type(error.__cause__ or error).__name__}"
            raise self._error(ModelUnavailableError, what) from error
        except (http.RemoteProtocolError, http.DecodingError) as error:
            raise self._error(BadReplyError, "the answer was cut off") from error
        except (http.HTTPError, http.StreamError, OSError) as error:
            raise self._error(ModelUnavailableError, f"the connection broke: {type(error).__name__}") from error

    def _whole(self, raw: bytes, on_delta: OnDelta | None) -> ModelReply:
        data, message = json_body(raw), Message()
        self._refuse_errors(data)
        text = message.whole(data)
        reply = message.reply()
        if on_delta is not None and text:
            on_delta(text)
        return reply

    async def _streamed(self, response: Any, on_delta: OnDelta, deadline: asyncio.Timeout) -> ModelReply:
        message, http = Message(), http_errors()
        try:
            async with asyncio.timeout(None) as rest:
                await self._read_events(response, message, on_delta, (deadline, rest))
        except (http.HTTPError, http.StreamError, OSError):  # a TimeoutError is one too
            if message.stop is None:
                raise
        return message.reply()

    async def _read_events(
        self, response: Any, message: Message, on_delta: OnDelta, clocks: tuple[asyncio.Timeout, asyncio.Timeout]
    ) -> None:
        reader, loop = EventReader(), asyncio.get_running_loop()
        deadline, rest = clocks
        async for piece in response.iter_bytes():
            for event in reader.feed(piece):
                deadline.reschedule(loop.time() + self.profile.timeout)
                data = json_body(event.encode())
                self._refuse_errors(data)
                if text := message.add(data):
                    on_delta(text)
                if (
                    message.stop is not None
                ):  # only the end may follow, which must be read for the connection's next use
                    rest.reschedule(loop.time() + min(REST_SECONDS, self.profile.timeout / 2))
            if reader.pending > MAX_EVENT:
                raise BadReplyError("an event of the stream does not end")
        if message.stop is None:
            raise BadReplyError("the answer was cut off")

    def _refuse_errors(self, data: Any) -> None:
        if not isinstance(data, Mapping) or cast(Mapping[str, Any], data).get("type") != "error":
            return
        codes, message = error_text(data)
        error = classify(self.profile, _STATUS.get(codes, 500), codes, message, None)
        error.status = None  # it came with status 200, so it may have cost something
        raise error

    def _error(self, kind: type[ModelError], what: str, *, sent: bool = True) -> ModelError:
        hint = f"is the server at {self.profile.base_url} running?" if not sent else None
        return kind(f"{self.profile.model}: {what}", hint=hint, provider=self.profile.provider, request_sent=sent)

    async def close(self) -> None:
        """Let go of the connections."""
        await release(self)


def _never_left(http: Any, error: BaseException) -> bool:
    return isinstance(error.__cause__, http.ConnectError | http.ConnectTimeout | http.PoolTimeout | http.ProxyError)
