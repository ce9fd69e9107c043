"""Reads the fenced blocks of a documentation page and does what they say, as a reader would, in an empty folder.

* `yaml`, and any block whose first line is a comment with a path (`# crews/x.yaml`, `# tools/x.py`): written to that file.
* `python`: run by the Python of the tests.
* `console`: every line that starts with `$ ` is run by the shell and must succeed; `$ … # exit 2` must end with that code. The
  other lines are what it prints: each must occur in this order, `…` stands for anything.
* Other blocks are only read.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from support.command import environment

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"# ([\w./-]+\.(?:yaml|py|md|txt))\s*$")
_EXIT = re.compile(r"\s+# exit (\d+)$")
ELSEWHERE = ("make", "pip", "uv", "git")
"""Commands that need a checkout or a network; other tests look after `make`."""


@dataclass(frozen=True)
class Block:
    """A fenced block. `line` is where it starts, from 1."""

    language: str
    text: str
    line: int


@dataclass(frozen=True)
class Command:
    """A command and what the page says it prints."""

    text: str
    code: int
    shown: tuple[str, ...]


def blocks(page: str) -> list[Block]:
    """The fenced blocks of a page."""
    return [Block(f[1], f[2], page.count("\n", 0, f.start()) + 1) for f in _FENCE.finditer(page)]


def commands(text: str) -> Iterator[Command]:
    """The commands of a console block."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        first, *shown = part.rstrip("\n").split("\n")
        code = _EXIT.search(first)
        yield Command(_EXIT.sub("", first), int(code[1]) if code else 0, tuple(line for line in shown if line.strip()))


def follow(page: Path, folder: Path) -> int:
    """Do everything a page says, in `folder`; returns how many blocks were run or written."""
    done = 0
    for block in blocks(page.read_text(encoding="utf-8")):
        where = f"{page.name}:{block.line}"
        named = _FILE.match(block.text.partition("\n")[0])
        if named:
            target = folder / named[1]
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(block.text, encoding="utf-8")
        if block.language == "python":
            file = folder / named[1] if named else folder / "example.py"
            file.write_text(block.text, encoding="utf-8")
            _run(f"{shlex.quote(sys.executable)} {file.relative_to(folder)}", 0, (), folder, where)
        elif block.language == "console":
            for command in commands(block.text):
                if command.text.split()[0] not in ELSEWHERE:
                    _run(command.text, command.code, command.shown, folder, where)
        elif not named:
            continue
        done += 1
    return done


def _run(command: str, code: int, shown: tuple[str, ...], folder: Path, where: str) -> None:
    env = environment()
    ran = subprocess.run(
        command,
        shell=True,
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=100,
        check=False,
    )
    report = f"{where}: $ {command}\n{ran.stdout}\n{ran.stderr}"
    assert ran.returncode == code, f"exit code {ran.returncode}\n{report}"
    missing = first_missing(shown, ran.stdout + ran.stderr)
    assert missing is None, f"it does not print {missing!r} there\n{report}"


def first_missing(shown: tuple[str, ...], printed: str) -> str | None:
    """The first shown line that is not among the printed ones, in their order."""
    lines = iter(" ".join(line.split()) for line in printed.splitlines())
    for wanted in shown:
        parts = (re.escape(" ".join(part.split())) for part in re.split(r"…|\.\.\.", wanted.strip()))
        pattern = re.compile(r"\s?.*\s?".join(parts))
        if not any(pattern.fullmatch(line) for line in lines):
            return wanted
    return None
