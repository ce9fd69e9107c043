"""One HTTP session per event loop, shared by every driver on it and closed with the last of them, or with the process."""

from __future__ import annotations

import asyncio
import atexit
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from aiohttp import ClientSession


@dataclass(slots=True)
class _Shared:
    session: ClientSession
    users: set[int] = field(default_factory=set[int])


_open: WeakKeyDictionary[asyncio.AbstractEventLoop, _Shared] = WeakKeyDictionary()


def session_for(user: object) -> ClientSession:
    """The running loop's session, registered as used by `user` until `release`.

    It has no limits of its own (the gateway limits) and keeps no cookies.
    """
    loop = asyncio.get_running_loop()
    shared = _open.get(loop)
    if shared is None or shared.session.closed:
        import aiohttp

        shared = _Shared(
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=300, keepalive_timeout=30),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        )
        _open[loop] = shared
    shared.users.add(id(user))
    return shared.session


async def release(user: object) -> None:
    """`user` needs the running loop's session no more."""
    loop = asyncio.get_running_loop()
    shared = _open.get(loop)
    if shared is None or id(user) not in shared.users:
        return
    shared.users.discard(id(user))
    if not shared.users:
        del _open[loop]
        await shared.session.close()


@atexit.register
def _close_all() -> None:
    """Close what runs that were broken off have left open."""
    for loop, shared in list(_open.items()):
        if loop.is_running():
            with suppress(TimeoutError, RuntimeError):
                asyncio.run_coroutine_threadsafe(shared.session.close(), loop).result(1.0)
