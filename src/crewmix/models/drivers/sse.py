"""Server-sent events, read from bytes that may be cut anywhere."""

from __future__ import annotations

import re

_FIELDS = (b"data", b"event", b"id", b"retry", b"")
_MARK = b"\xef\xbb\xbf"
_LINE_END = re.compile(rb"\r\n|\n|\r(?=[^\n])")


def is_event_stream(head: bytes) -> bool | None:
    """Whether a body that begins like this is an event stream, whatever its content type says; None = it is too short to tell."""
    name, colon, _ = head.removeprefix(_MARK).lstrip(b"\r\n").partition(b":")
    if colon:
        return name in _FIELDS
    return None if any(field.startswith(name) for field in _FIELDS) or head in _MARK else False


class EventReader:
    """Turns pieces of an event stream into the data of its complete events.

    Only `data` fields matter for Chat Completions; comments, names and ids are skipped. An event counts when its empty line
    has arrived. See https://html.spec.whatwg.org/multipage/server-sent-events.html.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[bytes] = []

    def feed(self, piece: bytes) -> list[str]:
        """The data of the events that `piece` completes."""
        *lines, self._rest = _LINE_END.split(self._rest + piece)
        events: list[str] = []
        for line in lines:
            if not line and self._data:
                events.append(self._event())
            else:
                self._read(line)
        return events

    def end(self) -> str | None:
        """The data of an event that the stream ended in; it may be cut."""
        self._read(self._rest)
        self._rest = b""
        return self._event() if self._data else None

    def _read(self, line: bytes) -> None:
        line = line.removeprefix(_MARK)
        if line.startswith(b"data:"):
            self._data.append(line[5:].removeprefix(b" "))

    def _event(self) -> str:
        data, self._data = self._data, []
        return b"\n".join(data).decode("utf-8", "replace")

    @property
    def pending(self) -> int:
        """Bytes of the event that is not complete yet."""
        return len(self._rest) + sum(map(len, self._data))
