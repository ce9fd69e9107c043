"""Holds one program against tests, in the sandbox."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crewmix.journal.scope import Scope
from crewmix.tools.sandbox import python_argv, run_program
from crewmix.tools.sandbox_walls import Limits

TEST_SECONDS = 2.0
"""How long a program may take over one value."""
LIMITS = Limits(seconds=40.0, cpu=20, output=1_000_000)
_SCRIPTS = {name: Path(__file__).with_name(name) for name in ("trial_umpire.py", "trial_contestant.py")}


@dataclass(frozen=True, slots=True)
class Trial:
    """How a program did."""

    loaded: bool
    """Whether it could be started at all."""
    passed: tuple[bool, ...]
    """For each test."""


async def try_program(scope: Scope, program: str, tests: Sequence[str]) -> Trial:
    """Run a program against tests. It is an effect: a resumed run takes the verdicts from the journal.

    A program that hangs or dies again and again, or goes over a limit of the sandbox, fails the tests that remain.

    Args:
        scope: Where in the run this happens.
        program: Python source that parses.
        tests: `assert` statements.

    Raises:
        SandboxUnavailableError: Nothing can be run on this machine.
    """

    async def perform() -> dict[str, Any]:
        token = secrets.token_hex(16)
        job = {"token": token, "program": program, "tests": list(tests), "seconds": TEST_SECONDS}
        files = {name: path.read_text(encoding="utf-8") for name, path in _SCRIPTS.items()}
        argv = python_argv("trial_umpire.py")
        ran = await run_program(argv, files=files, stdin=json.dumps(job).encode(), limits=LIMITS)
        told = dict(line.split()[1:] for line in ran.stdout.splitlines() if line.startswith(f"{token} "))
        passed = [told.get(str(number)) == "1" for number in range(len(tests))]
        return {"loaded": told.get("loaded") == "1", "passed": passed}

    outcome, _ = await scope.effect("sandbox", {"program": program, "tests": list(tests)}, perform)
    return Trial(outcome["loaded"], tuple(outcome["passed"]))
