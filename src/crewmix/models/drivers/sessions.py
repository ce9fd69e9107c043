"""HTTP sessions, one of each kind per event loop, shared by every driver on it and closed with the last, or with the process."""

from __future__ import annotations

import asyncio
import atexit
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from aiohttp import ClientSession


@dataclass(slots=True)
class _Shared:
    session: Any
    close: Callable[[], Awaitable[None]]
    users: set[int] = field(default_factory=set[int])


_open: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, _Shared]] = WeakKeyDictionary()


def session_for(user: object) -> ClientSession:
    """The running loop's aiohttp session, registered as used by `user` until `release`.

    It has no limits of its own (the gateway limits) and keeps no cookies.
    """
    return shared(user, "aiohttp", _aiohttp)


def shared(user: object, kind: str, make: Callable[[], tuple[Any, Callable[[], Awaitable[None]]]]) -> Any:
    """The running loop's session of a kind, registered as used by `user` until `release`.

    Args:
        user: The driver that uses it.
        kind: Its name.
        make: Makes it and says how it is closed, if the loop has none yet.
    """
    kinds = _open.setdefault(asyncio.get_running_loop(), {})
    if kind not in kinds:
        kinds[kind] = _Shared(*make())
    kinds[kind].users.add(id(user))
    return kinds[kind].session


async def release(user: object) -> None:
    """`user` needs the running loop's sessions no more."""
    kinds = _open.get(asyncio.get_running_loop(), {})
    for kind, one in list(kinds.items()):
        if id(user) in one.users:
            one.users.discard(id(user))
            if not one.users:
                del kinds[kind]
                await one.close()


def _aiohttp() -> tuple[Any, Callable[[], Awaitable[None]]]:
    import aiohttp

    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=300, keepalive_timeout=30),
        cookie_jar=aiohttp.DummyCookieJar(),
    )
    return session, session.close


@atexit.register
def _close_all() -> None:
    """Close what runs that were broken off have left open."""
    for loop, kinds in list(_open.items()):
        for one in list(kinds.values()):
            if loop.is_running():
                with suppress(TimeoutError, RuntimeError):
                    asyncio.run_coroutine_threadsafe(_closing(one), loop).result(1.0)


async def _closing(one: _Shared) -> None:
    await one.close()
