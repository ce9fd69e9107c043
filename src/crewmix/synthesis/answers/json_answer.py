"""Answers that are JSON."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any, NoReturn

from crewmix.synthesis.answers.literal import value

_FENCE = re.compile(r"\s*(```+|~~~+)(.*)")
_BRACKET = re.compile(r"[{[]")
_ATTEMPTS = 100
"""How many brackets of a text are tried as the beginning of a JSON answer."""


def find_json(text: str, stated: tuple[str, ...] = ()) -> str:
    """The JSON object or list a text ends in, in normal form: keys sorted, `1.0` = `1`, spacing evened out; empty = none.

    Args:
        text: A draft.
        stated: What it states as its final answer; goes first.
    """
    for candidate in (*stated, *reversed(blocks(text)), text):
        data = _parsed(candidate)
        if isinstance(data, dict | list):
            return as_json(data)  # pyright: ignore[reportUnknownArgumentType]
    embedded = list(_embedded(text[max(0, text.rfind(stated[0])) :] if stated else text))
    return as_json(embedded[-1]) if embedded else ""


def blocks(text: str) -> list[str]:
    """The contents of the fenced blocks of a text, in order."""
    blocks: list[str] = []
    block: list[str] | None = None
    for line in text.splitlines():
        if not (fence := _FENCE.match(line)):
            if block is not None:
                block.append(line)
        elif block is None:
            block = []
        elif not fence[2].strip():
            blocks.append("\n".join(block))
            block = None
    return blocks


def _embedded(text: str) -> Iterator[Any]:
    """Objects and lists that stand in running text, in order."""
    decoder = json.JSONDecoder(parse_constant=_refused, parse_float=_finite)
    place = 0
    for _ in range(_ATTEMPTS):
        begin = _BRACKET.search(text, place)
        if begin is None:
            return
        try:
            data, place = decoder.raw_decode(text, begin.start())
            yield data
        except (ValueError, RecursionError):
            place = begin.end()


def _parsed(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_refused, parse_float=_finite)
    except (ValueError, RecursionError):
        return _as_python(text)


def _as_python(text: str) -> Any:
    """Data in Python's notation, `{'a': None}`, if JSON can hold it."""
    data = value(text)
    try:
        return json.loads(json.dumps(data, allow_nan=False)) if isinstance(data, dict | list) else None
    except (ValueError, TypeError, RecursionError):
        return None


def _finite(digits: str) -> float:
    value = float(digits)
    return value if math.isfinite(value) else _refused(digits)


def _refused(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def as_json(data: Any) -> str:
    """JSON data as text: keys sorted, `1.0` = `1`, spacing of texts evened out."""
    return json.dumps(_even(data), sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def _even(data: Any) -> Any:
    match data:
        case dict():
            return {str(name): _even(value) for name, value in data.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        case list():
            return [_even(value) for value in data]  # pyright: ignore[reportUnknownVariableType]
        case str():
            return " ".join(data.split())
        case float() if data.is_integer():
            return int(data)
        case _:
            return data
