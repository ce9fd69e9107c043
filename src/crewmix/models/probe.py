"""Looks whether a model server runs on this machine: one short HTTP request to its model list, nothing else."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import urlsplit

PROBE_SECONDS = 0.3
MAX_BYTES = 1_000_000
_NOT_FOR_CHAT = ("embed", "rerank", "whisper", "bge-")


async def chat_models(base_url: str, seconds: float = PROBE_SECONDS) -> list[str] | None:
    """The chat models a plain-HTTP server lists at `/models`; None when none answers there in time.

    Written on bare sockets: on a machine without a server this runs at every start, and an HTTP client takes longer to
    import than this takes in all.
    """
    parts = urlsplit(base_url)
    try:
        async with asyncio.timeout(seconds):
            body = await _get(parts.hostname or "", parts.port or 80, f"{parts.path}/models")
    except (OSError, ValueError, TimeoutError):
        return None
    names = _names(body)
    return None if names is None else [n for n in names if not any(word in n.lower() for word in _NOT_FOR_CHAT)]


async def _get(host: str, port: int, path: str) -> bytes:
    reader, writer = await asyncio.open_connection(host, port, limit=MAX_BYTES)
    try:
        writer.write(f"GET {path} HTTP/1.0\r\nHost: {host}:{port}\r\nAccept: application/json\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        if b" 200 " not in head.split(b"\r\n", 1)[0]:
            return b""
        length = next(
            (int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), None
        )
        return await (reader.read(MAX_BYTES) if length is None else reader.readexactly(min(length, MAX_BYTES)))
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        raise ValueError("not an HTTP server") from error
    finally:
        writer.close()


def _names(body: bytes) -> list[str] | None:
    try:
        listed: Any = json.loads(body)["data"] or ()
        return [str(entry["id"]) for entry in listed]
    except (ValueError, KeyError, TypeError):
        return None
