"""The body of a Chat Completions response, read for what it is: servers and proxies send streams as JSON, and JSON as streams."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from crewmix.errors import BadReplyError
from crewmix.models.drivers.faults import error_in, from_object
from crewmix.models.drivers.replies import Answer, json_body
from crewmix.models.drivers.sse import EventReader, is_event_stream
from crewmix.models.profile import Profile
from crewmix.models.types import ModelReply, OnDelta

REST_SECONDS = 5.0
"""The longest wait for the end of a stream whose answer is complete."""
MAX_BODY = 10_000_000
"""Bytes of an answer in one piece, or of one event of a stream."""
DONE = "[DONE]"


async def read_answer(
    pieces: AsyncIterator[bytes], profile: Profile, on_delta: OnDelta | None, deadline: asyncio.Timeout
) -> ModelReply:
    """The answer that a response with status 200 holds.

    Args:
        pieces: The body, cut anywhere.
        profile: Whose answer it is.
        on_delta: Receives text as it arrives.
        deadline: Moved on by the profile's `timeout` with each piece of a stream.

    Raises:
        BadReplyError: It is no answer, or not a whole one.
        ModelError: It is an error in the guise of an answer.
    """
    try:
        head = b""
        async for piece in pieces:
            head += piece
            if (streamed := is_event_stream(head)) is None:
                continue
            if streamed:
                return await _streamed(_events(head, pieces), profile, on_delta, deadline)
            break
        async for piece in pieces:
            head += piece
            if len(head) > MAX_BODY:
                raise BadReplyError("the answer does not end")
        return _whole(head, profile, on_delta)
    except BadReplyError as error:
        if error.provider:
            raise
        raise BadReplyError(f"{profile.model}: {error.message}", provider=profile.provider) from error


def _whole(raw: bytes, profile: Profile, on_delta: OnDelta | None) -> ModelReply:
    answer = Answer()
    data = _take(raw, answer, profile, on_delta)
    if not data.get("choices"):
        raise BadReplyError("the answer has no choices")
    return answer.reply()


async def _streamed(
    stream: AsyncGenerator[str], profile: Profile, on_delta: OnDelta | None, deadline: asyncio.Timeout
) -> ModelReply:
    import aiohttp

    answer, loop = Answer(), asyncio.get_running_loop()
    try:
        async with asyncio.timeout(None) as rest, aclosing(stream) as events:
            async for event in events:
                deadline.reschedule(loop.time() + profile.timeout)
                if event.strip() == DONE:
                    answer.finish = answer.finish or "stop"
                    break
                _take(event.encode(), answer, profile, on_delta)
                if answer.finish is not None:  # only the usage may follow, and some servers forget to end the stream
                    rest.reschedule(loop.time() + min(REST_SECONDS, profile.timeout / 2))
    except (aiohttp.ClientError, OSError):  # a TimeoutError is one too
        if answer.finish is None:
            raise
    if answer.finish is None:
        raise BadReplyError("the answer was cut off")
    return answer.reply()


async def _events(head: bytes, pieces: AsyncIterator[bytes]) -> AsyncGenerator[str]:
    """The data of every event of a stream that begins with `head`."""
    reader = EventReader()
    for event in reader.feed(head):
        yield event
    async for piece in pieces:
        for event in reader.feed(piece):
            yield event
        if reader.pending > MAX_BODY:
            raise BadReplyError("an event of the stream does not end")
    if (last := reader.end()) is not None and _is_whole(last):
        yield last


def _is_whole(event: str) -> bool:
    try:
        return event.strip() == DONE or json_body(event.encode()) is not None
    except BadReplyError:
        return False


def _take(raw: bytes, answer: Answer, profile: Profile, on_delta: OnDelta | None) -> dict[str, object]:
    data = json_body(raw)
    if (error := error_in(data)) is not None:
        raise from_object(profile, error)
    text = answer.add(data)
    if on_delta is not None and text:
        on_delta(text)
    return data
