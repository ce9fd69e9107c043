"""Text for people is safe to print, short, and says what it means."""

from __future__ import annotations

import unicodedata
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from crewmix.cli.text import call, clean, count, duration, money, one_line

anything = st.text(st.characters(codec=None, exclude_categories=()))


@given(anything)
@example("\x1b]0;title\x07\x1b[2J\x9b31m")
@example("good\rbad")
@example("\u202egnp.exe\u2066")
@example("\ud800")
def test_nothing_that_steers_a_terminal_is_left(text: str) -> None:
    safe = clean(text)
    assert not [c for c in safe if unicodedata.category(c) == "Cc" and c not in "\n\t"]
    assert not set("\u202a\u202b\u202d\u202e\u2066\u2067\u2068\u2069\x9b\x1b\r") & set(safe)
    safe.encode("utf-8")


@given(st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cf", "Cs"))))
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert clean(text) == text


def test_what_is_hidden_is_shown() -> None:
    assert clean("\x1b[31mred\r\nnext\ttab\x07") == "\\x1b[31mred\nnext\ttab\\x07"


@given(anything, st.integers(min_value=4, max_value=300))
def test_one_line_is_one_short_line(text: str, limit: int) -> None:
    line = one_line(text, limit)
    assert len(line) <= limit
    assert "\n" not in line


def test_a_call_reads_as_it_is_written() -> None:
    assert call("search", {"query": "patent\nrights", "limit": 3}) == r"search(query='patent\nrights', limit=3)"
    assert "\x1b" not in call("a\x1bb", {"x": "\x1b[2J"})


@pytest.mark.parametrize(
    ("usd", "text"),
    [
        (None, "unknown"),
        (0, "$0.00"),
        (Decimal("0"), "$0.00"),
        (Decimal("0.0000034"), "$3.4e-6"),
        (0.0123, "$0.0123"),
        ("1234.5", "$1,234.50"),
        (1, "$1.00"),
    ],
)
def test_money(usd: Decimal | float | str | None, text: str) -> None:
    assert money(usd) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.04, "0.0 s"), (9.94, "9.9 s"), (12.4, "12 s"), (59.6, "1 min 00 s"), (3725, "62 min 05 s")]
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_count() -> None:
    assert [count(n, "call") for n in (0, 1, 2000)] == ["0 calls", "1 call", "2,000 calls"]
