"""Text for people: safe to print, short, with units."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

# Control characters but line feed and tab, and the marks that reorder or hide text: what a model or a document could use
# to repaint the terminal or to show something else than it says.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")


def clean(text: str) -> str:
    r"""`text` with everything that could steer a terminal made visible, e.g. `\x1b`."""
    return _UNSAFE.sub(lambda found: found[0].encode("unicode_escape").decode(), text.replace("\r\n", "\n"))


def one_line(text: str, limit: int = 160) -> str:
    """`text` on one line, cut at `limit` characters with `...`."""
    line = " ".join(clean(text[: limit * 4]).split())
    return line if len(line) <= limit else line[: limit - 3].rstrip() + "..."


def indent(text: str, by: str = "    ") -> list[str]:
    """The lines of `text`, each moved to the right."""
    return [f"{by}{line}".rstrip() for line in clean(text).splitlines()]


def call(tool: str, arguments: Mapping[str, Any]) -> str:
    """A tool call as it would be written, on one line."""
    shown = ", ".join(f"{name}={one_line(repr(value), 80)}" for name, value in arguments.items())
    return f"{one_line(tool, 64)}({shown})"


def money(usd: Decimal | float | str | None) -> str:
    """US dollars; `unknown` when there is no price. Small amounts keep four digits."""
    if usd is None:
        return "unknown"
    amount = Decimal(str(usd))
    if amount and abs(amount) < Decimal("0.0001"):
        return f"${amount:.1e}"
    return f"${amount:.4f}" if abs(amount) < 1 and amount else f"${amount:,.2f}"


def duration(seconds: float) -> str:
    """Seconds as `0.4 s`, `12 s` or `3 min 05 s`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def count(number: int, noun: str) -> str:
    """`1 call`, `2,000 calls`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
