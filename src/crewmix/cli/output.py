"""The only place that writes to the terminal. No secret gets through, whoever writes."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Generator, Iterable
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from functools import cache
from typing import TYPE_CHECKING, Any, TextIO, cast

if TYPE_CHECKING:
    from crewmix.journal.redact import Redactor

BROKEN_PIPE = 141
"""Exit code when the reader of our output went away, as the shell reports SIGPIPE."""

_kept: list[TextIO] = []
"""The process's stdout last, while it is kept for us."""


class _Stderr(io.TextIOBase):
    """Passes on to whatever stderr is at the moment; the live view has one of its own."""

    def write(self, text: str, /) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()

    def fileno(self) -> int:
        return sys.stderr.fileno()


class _Scrubbed:
    """A stream that passes everything on without secrets."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str, /) -> int:
        self._stream.write(_redactor().text(text))
        return len(text)

    def writelines(self, lines: Iterable[str], /) -> None:
        self.write("".join(lines))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@cache
def _redactor() -> Redactor:
    from crewmix.journal.redact import Redactor

    return Redactor()


@contextmanager
def stdout_kept() -> Generator[None]:
    """Keeps stdout for what `say` writes: what tools and libraries print meanwhile goes to stderr, without secrets."""
    _redactor.cache_clear()  # the environment may be another one since the last command
    _kept.append(stdout())
    try:
        with redirect_stderr(cast(TextIO, _Scrubbed(sys.stderr))), redirect_stdout(_Stderr()):
            yield
    finally:
        _kept.pop()


def stdout() -> TextIO:
    """The process's stdout."""
    return _kept[-1] if _kept else sys.stdout


def prepare() -> None:
    """Make stdout and stderr accept every character: what their encoding lacks is written as an escape."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def say(lines: Iterable[str] | str, *, stream: TextIO | None = None) -> None:
    """Write lines to stdout, or to `stream`, at once.

    Raises:
        BrokenPipeError: Nobody reads any more.
    """
    target = stream or stdout()
    text = f"{lines}\n" if isinstance(lines, str) else "".join(f"{line}\n" for line in lines)
    target.write(_redactor().text(text))
    target.flush()


def warn(lines: Iterable[str] | str) -> None:
    """Write lines to stderr; a reader that went away is no reason to stop."""
    try:
        say(lines, stream=sys.stderr)
    except BrokenPipeError:
        discard(sys.stderr)


def say_json(value: Any, *, indent: int | None = 2) -> None:
    """Write JSON to stdout, in ASCII, so that nothing in it can steer a terminal. `indent` None = on one line."""
    say(json.dumps(_redactor().data(value), indent=indent, default=str))


def is_rich_terminal(stream: TextIO) -> bool:
    """Whether the stream is a terminal that can redraw and show every character, and the user allows it (`NO_COLOR`)."""
    utf8 = (stream.encoding or "").lower().replace("-", "") == "utf8"
    return stream.isatty() and utf8 and not os.environ.get("NO_COLOR") and os.environ.get("TERM", "dumb") != "dumb"


def discard(stream: TextIO) -> None:
    """Send what is still to come to nowhere, so that closing the stream raises nothing."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
