"""Logs reach nobody who did not ask for them, and never hold a secret."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from support.command import environment

SPEAK = """
import logging
from loguru import logger
from crewmix.cli import logs
logger.disable("crewmix")
logs.configure({verbose})
logging.error("the key is hunter2-hunter2-hunter2 %s", "\\n100%")
logging.getLogger("httpx").info("chatter")
logging.getLogger("some.library").info("hello {{braces}}")
def fail(password):
    raise ValueError("no")
try:
    fail("hunter2-hunter2-hunter2")
except ValueError:
    logger.exception("it failed")
"""


def run(verbose: bool, cwd: Path, **env: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", SPEAK.format(verbose=verbose)],
        cwd=cwd, env=environment(MY_TOKEN="hunter2-hunter2-hunter2", **env), capture_output=True, text=True, timeout=60,
        check=True,
    )  # fmt: skip
    assert done.stdout == ""
    return done.stderr


def test_wanted_logs_are_on_stderr_without_secrets(tmp_path: Path) -> None:
    said = run(True, tmp_path)
    assert "ERROR   root: the key is [redacted] \n100%" in said
    assert "INFO    some.library: hello {braces}" in said
    assert "chatter" not in said
    assert "ValueError: no" in said
    assert "hunter2" not in said


def test_unwanted_logs_of_libraries_are_nowhere(tmp_path: Path) -> None:
    said = run(False, tmp_path)
    assert "the key is" not in said
    assert "hello" not in said


@pytest.mark.parametrize(("debug", "shown"), [("", False), ("1", True)])
def test_debug_shows_more(tmp_path: Path, debug: str, shown: bool) -> None:
    code = "from crewmix.cli import logs; logs.configure(True); import logging; logging.getLogger('x').debug('detail')"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path, env=environment(CREWMIX_DEBUG=debug), capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert ("detail" in done.stderr) == shown
