"""Breaking things on purpose: mutated texts and data, and commands run in this process so that thousands are quick."""

from __future__ import annotations

import io
import json
import os
import random
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from crewmix.cli.app import run_app

EXIT_CODES = {0, 1, 2, 3, 4, 130}
ODD = [
    "",
    " ",
    "\t",
    "\n",
    "null",
    "~",
    "-",
    "- ",
    ": ",
    "{",
    "}",
    "[",
    "]",
    "'",
    '"',
    "&a ",
    "*a",
    "!!python/object:os.system",
    "|\n",
    "#",
]
ODD += [
    "\u2028",
    "\u202e",
    "é",
    "𝔘",
    "\ufeff",
    "%",
    "@",
    "`",
    "{goal}",
    "${HOME}",
    "${",
    "{{",
    "<<: *a",
    "? ",
    "1e999",
    "-1",
    "0x1F",
    "NaN",
]
ODD += [
    "true",
    "2001-01-01",
    "99999999999999999999999",
    ".inf",
    "\\x",
    "\\ud800",
    "../..",
    "auto",
    "*",
    "---\n",
    "...\n",
    "%YAML 1.1\n",
]
VALUES: list[Any] = [
    None,
    True,
    False,
    0,
    -1,
    1.5,
    10**30,
    -(10**30),
    float("nan"),
    float("inf"),
    "",
    " ",
    "text",
    "\ud800",
    "1",
    "-5",
]
VALUES += [
    [],
    {},
    [[]],
    [{}],
    {"": None},
    {"a": {"b": [1, None]}},
    "x" * 10_000,
    ["x"] * 1000,
    "\x00",
    [None],
    {"text": 5},
]


@dataclass(frozen=True)
class Said:
    """What a command did."""

    code: int
    stdout: str
    stderr: str


def command(arguments: Sequence[str], folder: Path, stdin: str = "") -> Said:
    """Run a command of `crewmix` in `folder` and insist that it ends in order."""
    out, err, before = io.StringIO(), io.StringIO(), Path.cwd()
    os.chdir(folder)
    try:
        with redirect_stdout(out), redirect_stderr(err), mock.patch.object(sys, "stdin", io.StringIO(stdin)):
            code = run_app(list(arguments))
    finally:
        os.chdir(before)
    said = Said(code, out.getvalue(), err.getvalue())
    in_order(said, arguments)
    return said


def in_order(said: Said, what: Any) -> None:
    """No traceback, no confession, a known exit code, and a reason for every failure."""
    told = f"{what!r} ended with {said.code}\n{said.stdout[-2000:]}\n{said.stderr[-2000:]}"
    assert said.code in EXIT_CODES, told
    assert "unexpected error" not in said.stderr, told
    assert "Traceback" not in said.stdout + said.stderr, told
    assert said.code == 0 or said.stdout.strip() or said.stderr.strip(), told


def mutated_text(text: str, draw: random.Random) -> str:
    """The text with a few places cut, doubled, swapped or replaced by something odd."""
    for _ in range(draw.choice([1, 1, 2, 3, 6])):
        start = draw.randrange(len(text) + 1)
        end = min(len(text), start + draw.choice([0, 1, 1, 3, 10, 40]))
        lines = text.split("\n")
        match draw.randrange(6):
            case 0:
                text = text[:start] + text[end:]
            case 1:
                text = text[:start] + draw.choice(ODD) + text[end:]
            case 2:
                text = text[:end] + text[start:end] * draw.choice([1, 2, 50]) + text[end:]
            case 3:
                place = draw.randrange(len(lines))
                lines[place] = " " * draw.randrange(6) + lines[place].strip() + draw.choice(["", *ODD])
                text = "\n".join(lines)
            case 4:
                draw.shuffle(lines)
                text = "\n".join(lines)
            case _:
                place = draw.randrange(len(lines))
                key, colon, _ = lines[place].partition(":")
                lines[place] = f"{key}{colon} {draw.choice([*ODD, json.dumps(draw.choice(VALUES[:12]))])}"
                text = "\n".join(lines)
    return text


def mutated_bytes(raw: bytes, draw: random.Random) -> bytes:
    """The bytes with a few of them changed, cut out or put in."""
    changed = bytearray(raw)
    for _ in range(draw.choice([1, 2, 5, 20])):
        place = draw.randrange(len(changed) + 1)
        match draw.randrange(3):
            case 0 if place < len(changed):
                changed[place] = draw.randrange(256)
            case 1:
                del changed[place : place + draw.choice([1, 4, 30])]
            case _:
                changed[place:place] = draw.randbytes(draw.choice([1, 2, 9]))
    return bytes(changed)


def mutated_data(data: Any, draw: random.Random, chance: float = 0.15) -> Any:
    """JSON-able data with values of other types, lost and added fields, and repeated items."""
    if draw.random() < chance:
        return draw.choice(VALUES)
    if isinstance(data, dict):
        kept = {key: mutated_data(value, draw, chance) for key, value in data.items() if draw.random() > chance / 3}
        return {**kept, **({draw.choice([*data, "extra"]): draw.choice(VALUES)} if draw.random() < chance / 2 else {})}
    if isinstance(data, list):
        items = [mutated_data(item, draw, chance) for item in data]
        return items * draw.choice([1, 1, 1, 1, 0, 2, 40])
    return data
