"""Inside the sandbox: holds a program against tests. Runs as a script, on the standard library alone.

The program never sees a test. It lives in a process of its own (`trial_contestant`) and is only asked for values: of
`assert sort([2, 1]) == [1, 2]` it is asked what `sort([2, 1])` is. Whether that is right is decided here, on plain data and
with this process's own `==`. So a program cannot pass by overriding comparisons, by exiting early or by printing.

A job comes as JSON on standard input. Every verdict is a line of standard output that begins with the job's token, which the
program cannot know: this process cannot be read by others of its user.
"""

import ast
import builtins
import contextlib
import ctypes
import io
import json
import math
import os
import pickle
import select
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from typing import Any, NoReturn

LOAD_SECONDS = 5.0
MOST_FAILURES = 3
"""How often a program may hang or die before the remaining tests count as failed."""
LONGEST_VALUE = 4_000_000
KNOWN = {*dir(builtins), "math"}
CHECKED_HERE = {"abs", "round", "len", "isclose"}
"""Calls around a value that are made here, not by the program."""
PLAIN = {
    "builtins": {"complex", "set", "frozenset", "bytearray", "range", "slice"},
    "collections": {"Counter", "OrderedDict", "deque"},
    "datetime": {"date", "datetime", "time", "timedelta", "timezone"},
    "decimal": {"Decimal"},
    "fractions": {"Fraction"},
}


class PlainData(pickle.Unpickler):
    """Reads values of the standard types only, so that nothing of the program runs here."""

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        """The class of that name, if it is one of `PLAIN`."""
        if global_name not in PLAIN.get(module_name, ()):
            raise pickle.UnpicklingError(f"{module_name}.{global_name} is no plain data")
        return super().find_class(module_name, global_name)


class Contestant:
    """The program in its process.

    Args:
        program: Its source.
        seconds: How long one value may take.
    """

    def __init__(self, program: str, seconds: float) -> None:
        self._program, self._seconds = program, seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._ask = self._hear = -1
        self.failures = 0

    def load(self) -> bool:
        """Start the program, if it is not running; False when it cannot be."""
        if self._process is None:
            self._start()
            if self._exchange(self._program, LOAD_SECONDS) != b"v":
                self.stop()
                return False
        return True

    def value(self, expression: str) -> Any:
        """What the program says an expression is.

        Raises:
            ValueError: It raised, hung or died, or its answer is no plain data.
        """
        if self.failures >= MOST_FAILURES or not self.load():
            raise ValueError("no program")
        answer = self._exchange(expression, self._seconds)
        if answer[:1] != b"v":
            raise ValueError("no value")
        return PlainData(io.BytesIO(answer[1:])).load()

    def _start(self) -> None:
        request, self._ask = os.pipe()
        self._hear, reply = os.pipe()
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "trial_contestant.py", str(request), str(reply)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(request, reply),
            start_new_session=True,
        )
        os.close(request)
        os.close(reply)

    def stop(self) -> None:
        """End the program."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            os.close(self._ask)
            os.close(self._hear)
            self._process = None

    def _exchange(self, text: str, seconds: float) -> bytes:
        content = text.encode("utf-8", "replace")
        deadline = time.monotonic() + seconds
        try:
            _write(self._ask, len(content).to_bytes(8) + content, deadline)
            length = int.from_bytes(_read(self._hear, 8, deadline))
            if length <= LONGEST_VALUE:
                return _read(self._hear, length, deadline)
        except OSError:
            pass
        self.failures += 1
        self.stop()
        return b""


def _write(descriptor: int, content: bytes, deadline: float) -> None:
    os.set_blocking(descriptor, False)
    while content:
        if not select.select([], [descriptor], [], max(0.0, deadline - time.monotonic()))[1]:
            raise TimeoutError
        content = content[os.write(descriptor, content[:4096]) :]


def _read(descriptor: int, length: int, deadline: float) -> bytes:
    content = b""
    while len(content) < length:
        if not select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))[0]:
            raise TimeoutError
        piece = os.read(descriptor, length - len(content))
        if not piece:
            raise ConnectionError("the program died")
        content += piece
    return content


class Questions(ast.NodeTransformer):
    """Takes out of a test what only the program can answer, and puts names for the answers in its place.

    Args:
        known: The names that are not the program's.
    """

    def __init__(self, known: set[str]) -> None:
        self._known = known
        self.asked: dict[str, str] = {}

    def visit(self, node: ast.AST) -> ast.AST:
        """The node, or the name of an answer."""
        if not isinstance(node, ast.expr) or not foreign(node, self._known):
            return node
        if isinstance(node, ast.BoolOp | ast.UnaryOp | ast.BinOp | ast.Compare) or self._is_checked_here(node):
            return self.generic_visit(node)
        name = f"answer_{len(self.asked)}"
        self.asked[name] = ast.unparse(node)
        return ast.Name(name, ast.Load())

    def _is_checked_here(self, node: ast.expr) -> bool:
        if not isinstance(node, ast.Call) or foreign(node.func, self._known):
            return False
        return ast.unparse(node.func).removeprefix("math.") in CHECKED_HERE


def foreign(node: ast.AST, known: set[str]) -> bool:
    """Whether an expression uses names that are neither known nor made within it."""
    names = [n for n in ast.walk(node) if isinstance(n, ast.Name)]
    own = {n.id for n in names if isinstance(n.ctx, ast.Store)}
    own |= {n.arg for n in ast.walk(node) if isinstance(n, ast.arg)}
    return any(n.id not in known and n.id not in own for n in names)


def defined(program: str) -> set[str]:
    """The names that a program gives a meaning to."""
    nodes = list(ast.walk(ast.parse(program)))
    functions = {n.name for n in nodes if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)}
    return functions | {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}


@contextlib.contextmanager
def within(seconds: float) -> Generator[None]:
    """Raise TimeoutError where the work takes longer."""

    def late(_signal: int, _frame: object) -> NoReturn:
        raise TimeoutError

    signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def holds(test: str, contestant: Contestant, own_names: set[str], seconds: float) -> bool:
    """Whether the program passes a test."""
    try:
        statement = ast.parse(test).body[0]
        if not isinstance(statement, ast.Assert):
            return False
        # A program's own `max` is meant where a test names nothing else of it; elsewhere `max` is Python's.
        known = KNOWN if foreign(statement.test, KNOWN) else KNOWN - own_names
        questions = Questions(known)
        claim = questions.visit(statement.test)
        if not questions.asked:
            return False
        answers = {name: contestant.value(expression) for name, expression in questions.asked.items()}
        code = compile(ast.fix_missing_locations(ast.Expression(claim)), "test", "eval")  # pyright: ignore[reportArgumentType]
        with within(seconds):
            return bool(eval(code, {"math": math}, answers))
    except Exception:
        return False


def say(token: str, about: object, verdict: bool) -> None:
    """Write a verdict at once, so that it counts whatever happens next."""
    sys.stdout.write(f"{token} {about} {int(verdict)}\n")
    sys.stdout.flush()


def main() -> None:
    """Read the job, judge, write the verdicts."""
    unreadable = 4  # PR_SET_DUMPABLE, see prctl(2)
    if ctypes.CDLL(None).prctl(unreadable, 0, 0, 0, 0) != 0:
        raise SystemExit("this process cannot be hidden from the program")
    job = json.load(sys.stdin)
    contestant = Contestant(job["program"], job["seconds"])
    loaded = contestant.load()
    say(job["token"], "loaded", loaded)
    own_names = defined(job["program"])
    for number, test in enumerate(job["tests"] if loaded else ()):
        say(job["token"], number, holds(test, contestant, own_names, job["seconds"]))
    contestant.stop()


if __name__ == "__main__":
    main()
