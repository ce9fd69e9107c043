"""The `crewmix` command on a terminal of its own: what it shows is read, what is typed is sent."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from support.command import START, environment

PATIENCE = 60
"""Seconds after which something that does not come fails the test."""

# The terminal becomes the process's own, so that Ctrl-C typed into it arrives as a signal.
_TAKE_TERMINAL = "import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0)"


class Terminal:
    """Runs a command with a terminal as stdin, stdout and stderr.

    ```python
    with Terminal("run", "talk", "goal", cwd=folder) as terminal:
        terminal.wait_for("Allow it?")
        terminal.type("y")
        assert terminal.end() == 0
    ```
    """

    def __init__(self, *arguments: str, cwd: Path, env: Mapping[str, str] | None = None, columns: int = 100) -> None:
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        self._fd = ours
        self.shown = ""
        self.process = subprocess.Popen(
            [sys.executable, "-c", f"{_TAKE_TERMINAL}\n{START}", *arguments],
            cwd=cwd,
            env=environment(**{"TERM": "xterm-256color", **(env or {})}),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._fd)

    def wait_for(self, text: str, times: int = 1) -> str:
        """Everything shown so far, once it contains `text` that often."""
        deadline = time.monotonic() + PATIENCE
        while self.shown.count(text) < times:
            assert time.monotonic() < deadline, f"{text!r} was not shown:\n{self.shown}"
            assert self._read(), f"the command ended without {text!r}:\n{self.shown}"
        return self.shown

    def type(self, text: str) -> None:
        """Type a line."""
        os.write(self._fd, f"{text}\n".encode())

    def press_ctrl_c(self) -> None:
        """Press Ctrl-C."""
        os.write(self._fd, b"\x03")

    def end_input(self) -> None:
        """Press Ctrl-D."""
        os.write(self._fd, b"\x04")

    def end(self) -> int:
        """Read the rest and return the exit code."""
        deadline = time.monotonic() + PATIENCE
        while self._read():
            assert time.monotonic() < deadline, f"the command does not end:\n{self.shown}"
        return self.process.wait(PATIENCE)

    def _read(self) -> bool:
        news = select.poll()  # `select` takes no descriptor above 1023
        news.register(self._fd, select.POLLIN | select.POLLHUP)
        if not news.poll(1000):
            return True
        try:
            piece = os.read(self._fd, 65536)
        except OSError:  # how Linux reports that the other side has closed the terminal
            return False
        self.shown += piece.decode("utf-8", errors="replace")
        return bool(piece)
