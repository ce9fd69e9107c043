"""When a failed request is sent again, and when the answer must wait."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from crewmix.errors import ModelError

MAX_WAIT = 60.0
"""Seconds; a provider that asks for more is not waited for."""


def retry_after(headers: Mapping[str, str], now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> float | None:
    """Seconds a response asks to wait: `retry-after-ms`, else `retry-after` as seconds or as an HTTP date (RFC 9110).

    None = it says nothing that can be understood.
    """
    if (milliseconds := _number(headers.get("retry-after-ms"))) is not None:
        return milliseconds / 1000
    text = headers.get("retry-after")
    if (seconds := _number(text)) is not None:
        return seconds
    try:
        date = parsedate_to_datetime(text or "")
    except (ValueError, TypeError, OverflowError):
        return None
    return max(0.0, (date.replace(tzinfo=date.tzinfo or UTC) - now()).total_seconds())


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return max(0.0, value) if math.isfinite(value) else None


def pause(error: ModelError, attempt: int, jitter: Callable[[], float] = random.random) -> float | None:
    """Seconds to wait before trying again, None = do not try again.

    The provider's own wish counts, up to a minute; else 0.5 s doubled with each attempt, at most 8 s, ±20 % so that
    parallel calls do not come back together.

    Args:
        error: How the attempt ended.
        attempt: Its number, from 1.
        jitter: A random number from 0 to 1.
    """
    if not error.retryable:
        return None
    if error.retry_after is not None:
        return error.retry_after if error.retry_after <= MAX_WAIT else None
    return min(0.5 * 2 ** min(attempt - 1, 10), 8.0) * (0.8 + 0.4 * jitter())
