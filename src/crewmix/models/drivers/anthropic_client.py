"""The HTTP side of the `anthropic` package, kept to what a profile says.

By itself the package adds credentials and headers that it finds in the environment, follows redirects with the key, retries,
and speaks another version of the API in each of its major versions. Here it does none of that.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from crewmix.models.drivers.sessions import shared
from crewmix.models.profile import Profile

if TYPE_CHECKING:
    from anthropic import AsyncAnthropic

API_VERSION = "2023-06-01"
"""The later version refuses `temperature` for all models."""
NO_KEY = "none"
"""The package insists on a key; `_only_ours` takes this one away."""

_KEPT = (
    *("host", "accept", "accept-encoding", "connection", "content-length", "content-type", "transfer-encoding"),
    "x-api-key",
    "x-stainless-raw-response",  # by this the package knows that we read the response ourselves
)
_DIRECT = ("all://127.0.0.1", "all://localhost", "all://[::1]")


def client_for(user: object, profile: Profile) -> AsyncAnthropic:
    """A client for a profile; clients of one event loop share their connections until `sessions.release(user)`."""
    import anthropic

    key = profile.api_key or NO_KEY
    settings: dict[str, Any] = {}
    if "open_telemetry" in inspect.signature(anthropic.AsyncAnthropic).parameters:
        settings["open_telemetry"] = False
    return anthropic.AsyncAnthropic(
        api_key=key,
        base_url=(profile.base_url or "").removesuffix("/v1"),
        max_retries=0,
        default_headers={"X-Api-Key": key},
        http_client=shared(user, "anthropic", _connections),
        **settings,
    )


def _connections() -> tuple[Any, Callable[[], Awaitable[None]]]:
    import anthropic

    client = anthropic.DefaultAsyncHttpxClient(
        follow_redirects=False,
        event_hooks={"request": [_only_ours]},
        mounts=dict.fromkeys(_DIRECT),
    )
    return client, client.aclose


async def _only_ours(request: Any) -> None:
    """Reduce a request's headers to those that the profile stands for."""
    headers = request.headers
    for name in set(headers).difference(_KEPT):
        del headers[name]
    if headers.get("x-api-key") == NO_KEY:
        del headers["x-api-key"]
    headers.update({"anthropic-version": API_VERSION, "user-agent": "crewmix"})


def http_errors() -> Any:
    """The module whose exceptions broken connections raise: httpx, or httpx2 from anthropic 2 on."""
    import anthropic

    own = anthropic.DefaultAsyncHttpxClient.__mro__[1].__module__
    return sys.modules[own.partition(".")[0]]
