"""Model replies as the journal keeps them, which may be damaged."""

from __future__ import annotations

from typing import Any

from crewmix.errors import StorageError
from crewmix.models.attempt import check_types
from crewmix.models.types import ModelReply


def kept_reply(data: Any, place: str) -> ModelReply:
    """The reply that `ModelReply.as_dict` described.

    Args:
        data: As the journal holds it.
        place: Where in the run it was given, for the message.

    Raises:
        StorageError: It is no reply.
    """
    try:
        reply = ModelReply.from_dict(data)
        check_types(reply)
    except (KeyError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
        hint = f"`crewmix fork RUN --from {place}` asks again"
        raise StorageError(f"what the journal holds at {place} is no answer of a model", hint=hint) from error
    return reply
