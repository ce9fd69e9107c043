"""Answers that are Python literals, such as what a program prints: `[1, 'a']`, `'Ab'`, `{'x': None}`."""

from __future__ import annotations

import ast
import re
import warnings
from typing import Any, cast

_LONGEST = 20_000
_CHECK = re.compile(r"(?:assert\s+)?\w+\(.*\)\s*==\s*(?P<value>.+)", re.DOTALL)


def literal(text: str) -> str:
    r"""A literal in normal form: one kind of quotes, no blanks outside them, `1.0` = `1`; empty = it is none, or holds no text.

    What holds nothing but numbers is better read as a formula, because `(1, 2]` and `\frac{1}{2}` are.

    Args:
        text: A statement; of `f(2) == [4]` the right side is meant.
    """
    found = value(text)
    return _form(found) if found is not None and _holds_text(found) else ""


def value(text: str) -> Any:
    """What a literal is worth; None where the text is none."""
    text = text.strip().strip("`").strip()
    if check := _CHECK.fullmatch(text):
        text = check["value"]
    if len(text) > _LONGEST or not text.startswith(("[", "(", "{", "'", '"')):
        return None
    try:
        with warnings.catch_warnings(action="ignore"):
            return ast.literal_eval(text.rstrip(". "))
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return None


def as_literal(text: str) -> str:
    """A statement without quotes as the literal it stands for."""
    return _form(text.strip().strip("`"))


def _holds_text(data: Any) -> bool:
    match data:
        case dict():
            items = cast("dict[Any, Any]", data)
            return bool(items) and any(_holds_text(item) for pair in items.items() for item in pair)
        case list() | tuple() | set():
            return any(map(_holds_text, cast("list[Any]", data)))
        case _:
            return isinstance(data, str | bytes | bool) or data is None


def _form(data: Any) -> str:
    match data:
        case dict():
            pairs = cast("dict[Any, Any]", data).items()
            return "{" + ",".join(sorted(f"{_form(key)}:{_form(item)}" for key, item in pairs)) + "}"
        case list():
            return f"[{_inside(data)}]"
        case tuple():
            return f"({_inside(data)},)" if len(cast("tuple[Any, ...]", data)) == 1 else f"({_inside(data)})"
        case set():
            return "{" + ",".join(sorted(map(_form, cast("set[Any]", data)))) + "}"
        case float() if data.is_integer():
            return str(int(data))
        case _:
            return repr(data)


def _inside(data: Any) -> str:
    return ",".join(map(_form, data))
