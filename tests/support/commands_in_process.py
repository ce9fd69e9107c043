"""Runs `crewmix` commands in this process, for tests that run hundreds of them."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

from crewmix.cli.app import run_app

CODES = {0, 1, 2, 3, 4}


def command(*arguments: str, project: Path) -> tuple[int, str]:
    """The exit code of a command, and everything it printed.

    Fails the test when the command did not know itself what went wrong.
    """
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run_app([*arguments, "--project", str(project)])
    told = out.getvalue() + err.getvalue()
    report = f"crewmix {' '.join(arguments)}: exit code {code}\n{told[-3000:]}"
    assert code in CODES, report
    assert "unexpected error" not in told and "Traceback" not in told, report
    assert code in {0, 3} or told.strip(), f"it does not say what is wrong: {report}"
    return code, told
