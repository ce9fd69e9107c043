"""Runs a program nobody vouches for: `run_program`, behind the walls that `sandbox_walls` describes.

Where no sandbox can be made, nothing runs: there is no unprotected mode.
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from typing import Literal
from weakref import WeakKeyDictionary

from crewmix.errors import SandboxUnavailableError, UsageError
from crewmix.tools.sandbox_memory import tree_memory
from crewmix.tools.sandbox_seccomp import ARCHITECTURES, seccomp_filter
from crewmix.tools.sandbox_walls import Limits, Programs, command, python_program

HINT = (
    "install bubblewrap 0.8 or newer (e.g. `apt-get install bubblewrap`) and let it make user namespaces; "
    "`crewmix doctor` says whether it works"
)
_MEMORY_SECONDS = 0.1
_slots: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class Ran:
    """What came of a program. `stopped_by` says which limit ended it; then `code` is that of a killed program."""

    code: int
    """Its exit code; 128 + the signal that ended it."""
    stdout: str
    stderr: str
    seconds: float
    stopped_by: Literal["time", "cpu", "memory", "output"] | None = None
    clipped: bool = False
    """Whether output was cut off at the limit."""


def python_argv(*arguments: str) -> tuple[str, ...]:
    """The command of the Python inside: isolated, without packages and without site files."""
    return (python_program(), "-I", "-S", *arguments)


def unavailable() -> str | None:
    """Why there can be no sandbox on this machine; None = there can. Tried once in a process."""
    return _tried()


def require_sandbox() -> None:
    """Fail early where something will need the sandbox.

    Raises:
        SandboxUnavailableError: There can be none on this machine; the message says why.
    """
    if reason := unavailable():
        raise SandboxUnavailableError(f"programs cannot be run safely here: {reason}", hint=HINT)


@cache
def _tried() -> str | None:
    if sys.platform != "linux":
        return f"bubblewrap works on Linux only, this is {platform.system()}"
    if platform.machine() not in ARCHITECTURES:
        return f"there is no system call filter for {platform.machine()}"
    programs = Programs.found()
    needed = {"bubblewrap": programs.bwrap, "prlimit (of util-linux)": programs.prlimit}
    if os.geteuid() == 0:
        needed["setpriv (of util-linux)"] = programs.setpriv
    if missing := [name for name, path in needed.items() if not path]:
        return f"{' and '.join(missing)} cannot be found"
    with _prepared(python_argv("-c", ""), {}, Limits()) as (full, passed, _status):
        try:
            done = subprocess.run(
                full,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                pass_fds=passed,
                env={},
                cwd="/",
                timeout=20,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return f"bubblewrap did not work: {error}"
    return None if done.returncode == 0 else _last_line(done.stderr) or f"bubblewrap ended with {done.returncode}"


async def run_program(
    argv: Sequence[str], *, files: Mapping[str, str] | None = None, stdin: bytes = b"", limits: Limits | None = None
) -> Ran:
    """Run a program that may be hostile. It sees no file, process or network of this machine, and leaves nothing behind.

    At most as many programs run at once as there are processors; the others wait, and their time does not count. Cancelling
    kills the program and everything it started.

    Args:
        argv: The program and its arguments, by paths inside; `python_argv` gives the Python there.
        files: Path below `/workspace`, where the program starts -> content.
        stdin: What it reads from its standard input.
        limits: What it may use; None = the usual.

    Raises:
        SandboxUnavailableError: No sandbox can be made.
        UsageError: A file's path leads out of the workspace.
    """
    await asyncio.to_thread(require_sandbox)
    slots = _slots.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(os.cpu_count() or 1))
    limits = limits or Limits()
    async with slots:
        with _prepared(argv, files or {}, limits) as (full, passed, status):
            process = await asyncio.create_subprocess_exec(
                *full,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                pass_fds=passed,
                env={},
                cwd="/",
                start_new_session=True,
            )
            program = _Program(process, limits)
            ran = await program.finish(stdin)
            if ran.stopped_by is None and "exit-code" not in status():
                raise SandboxUnavailableError(
                    f"the sandbox could not be made: {_last_line(ran.stderr.encode())}", hint=HINT
                )
            return ran


class _Program:
    """A program at work, until it ends or goes over a limit."""

    def __init__(self, process: asyncio.subprocess.Process, limits: Limits) -> None:
        self._process = process
        self._limits = limits
        self._started = time.monotonic()
        self._stopped_by: Literal["time", "cpu", "memory", "output"] | None = None

    async def finish(self, stdin: bytes) -> Ran:
        clock = asyncio.get_running_loop().call_later(self._limits.seconds, self._stop, "time")
        try:
            (out, clipped), (err, err_clipped), _, _ = await asyncio.gather(
                self._read(self._process.stdout),
                self._read(self._process.stderr),
                self._write(stdin),
                self._watch(),
            )
        finally:
            clock.cancel()
            self._kill()
            await self._process.wait()
        code = self._process.returncode or 0
        if code == 128 + signal.SIGXCPU:
            self._stopped_by = self._stopped_by or "cpu"
        return Ran(
            code if code >= 0 else 128 - code,
            out,
            err,
            round(time.monotonic() - self._started, 4),
            self._stopped_by,
            clipped or err_clipped,
        )

    def _stop(self, limit: Literal["time", "memory", "output"]) -> None:
        if self._process.returncode is None:
            self._stopped_by = self._stopped_by or limit
            self._kill()

    def _kill(self) -> None:
        # Everything inside dies with the first process of its process namespace, and that one with bubblewrap.
        with suppress(ProcessLookupError):
            if self._process.returncode is None:
                os.killpg(self._process.pid, signal.SIGKILL)

    async def _read(self, stream: asyncio.StreamReader | None) -> tuple[str, bool]:
        kept, clipped = bytearray(), False
        while stream is not None and (piece := await stream.read(65_536)):
            clipped = clipped or len(kept) + len(piece) > self._limits.output
            kept += piece[: self._limits.output - len(kept)]
            if clipped:
                self._stop("output")
        return kept.decode(errors="replace"), clipped

    async def _write(self, stdin: bytes) -> None:
        stream = self._process.stdin
        if stream is None:
            return
        with suppress(BrokenPipeError, ConnectionResetError):
            stream.write(stdin)
            await stream.drain()
        stream.close()
        with suppress(BrokenPipeError, ConnectionResetError):
            await stream.wait_closed()

    async def _watch(self) -> None:
        ended = asyncio.ensure_future(self._process.wait())
        try:
            while not ended.done():
                await asyncio.wait({ended}, timeout=_MEMORY_SECONDS)
                if not ended.done() and tree_memory(self._process.pid) > self._limits.memory:
                    self._stop("memory")
        finally:
            ended.cancel()


@contextmanager
def _prepared(
    argv: Sequence[str], files: Mapping[str, str], limits: Limits
) -> Generator[tuple[list[str], list[int], _Status]]:
    """The whole command, the descriptors it needs, and how to ask afterwards how it ended."""
    for path in files:
        if path.startswith("/") or {"", ".", ".."} & set(path.split("/")):
            raise UsageError(f"{path!r} is no path inside the workspace")
    with ExitStack() as opened:
        contents = {path: _content(opened, text.encode("utf-8", "replace")) for path, text in files.items()}
        seccomp = _content(opened, seccomp_filter())
        status = _content(opened, b"")
        full = command(Programs.found(), limits, contents, seccomp=seccomp, status=status, argv=argv)
        yield full, [*contents.values(), seccomp, status], _Status(status)


@dataclass(frozen=True, slots=True)
class _Status:
    """What bubblewrap wrote about a program."""

    descriptor: int

    def __call__(self) -> dict[str, int]:
        size = os.fstat(self.descriptor).st_size
        lines = os.pread(self.descriptor, size, 0).decode().splitlines()
        return {name: value for line in lines for name, value in json.loads(line).items()}


def _content(opened: ExitStack, content: bytes) -> int:
    """A descriptor of a file in memory."""
    descriptor = os.memfd_create("crewmix")
    opened.callback(os.close, descriptor)
    written = 0
    while written < len(content):
        written += os.write(descriptor, content[written:])
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def _last_line(stderr: bytes) -> str:
    lines = stderr.decode(errors="replace").strip().splitlines()
    return lines[-1][:300] if lines else ""
