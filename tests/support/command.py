"""Runs the `crewmix` command as a user does: a process of its own, in a folder of its own, without keys or network."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]

START = "import sys; from crewmix.cli import main; sys.argv[0] = 'crewmix'; main()"


def environment(**extra: str) -> dict[str, str]:
    """The environment of a machine without keys: what finds programs and nothing that names a model."""
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "TMPDIR", "SYSTEMROOT"}}
    scripts = str(Path(sys.executable).parent)
    path = f"{scripts}{os.pathsep}{kept.get('PATH', '')}"
    return {
        **kept,
        "PATH": path,
        "LANG": "C.UTF-8",
        "CREWMIX_MODEL": "offline/extractive",
        **extra,
    }


def crewmix(
    *arguments: str, cwd: Path, env: Mapping[str, str] | None = None, stdin: str = "", check: int | None = 0
) -> subprocess.CompletedProcess[str]:
    """The finished command; fails the test when its exit code is not `check` (None = any)."""
    done = subprocess.run(
        [sys.executable, "-c", START, *arguments],
        cwd=cwd,
        env=environment(**(env or {})),
        input=stdin,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=100,
        check=False,
    )
    if check is not None:
        assert done.returncode == check, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done
