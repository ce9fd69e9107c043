"""Values that know their place, so that every mistake can name file:line:column."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from crewmix.errors import Problem

Scalar = str | int | float | bool | None

LINE_BREAK = re.compile(r"\r\n|\n|\r")
UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SECRET = re.compile(r"((?:api[_-]?key|secret|password|token)[\"']?\s*:\s*[\"']?)(?!\$\{)([^,}\s\"']+)", re.IGNORECASE)


@dataclass(frozen=True)
class SourceFile:
    """A file's text and the name it is shown by."""

    name: str
    text: str = ""

    @cached_property
    def lines(self) -> list[str]:
        """The text's lines without line ends."""
        return LINE_BREAK.split(self.text)

    def problem(self, code: str, message: str, line: int = 0, column: int = 0, hint: str | None = None) -> Problem:
        """A mistake at a place in this file; lines and columns count from 1, 0 = the whole file."""
        line_text = self.lines[line - 1] if 0 < line <= len(self.lines) else ""
        line_text = _SECRET.sub(lambda found: found.group(1) + "*" * len(found.group(2)), line_text)
        line_text = UNPRINTABLE.sub("?", line_text)
        if len(line_text) > 160:
            line_text = f"{line_text[:159]}…" if column < 160 else ""
        return Problem(code, message, self.name, line, column, line_text, hint)


@dataclass(slots=True, eq=False)
class Node:
    """A value of a YAML file, or of plain data (then line and column are 0)."""

    value: Scalar | list[Node] | dict[str, Node]
    source: SourceFile
    line: int = 0
    column: int = 0
    key: tuple[int, int] | None = None
    """Line and column of the key this is the value of."""
    size: int = 1
    """How many nodes this one holds, itself and what aliases repeat included; 0 = it stands in for something missing, or
    something wrong was taken out of it."""

    @property
    def fields(self) -> dict[str, Node]:
        """The mapping's values by key; empty when this is no mapping."""
        return self.value if isinstance(self.value, dict) else {}

    @property
    def items(self) -> list[Node]:
        """The list's entries; empty when this is no list."""
        return self.value if isinstance(self.value, list) else []

    @property
    def text(self) -> str | None:
        """The value when it is text."""
        return self.value if isinstance(self.value, str) else None

    def at(self, *path: str | int) -> Node:
        """The node at the end of `path`, or the last one on the way that exists."""
        node = self
        for step in path:
            below: Node | None = None
            if isinstance(step, str):
                below = node.fields.get(step)
            elif 0 <= step < len(node.items):
                below = node.items[step]
            if below is None:
                return node
            node = below
        return node

    @property
    def whole(self) -> bool:
        """Whether nothing in it is a stand-in and nothing was taken out, so that what is missing was never written."""
        return bool(self.size) and all(below.whole for below in (*self.fields.values(), *self.items))

    def problem(self, code: str, message: str, *, hint: str | None = None, on_key: bool | None = None) -> Problem:
        """A mistake here.

        Args:
            code: The mistake's stable name.
            message: What is wrong.
            hint: What would be right.
            on_key: Whether to point at the key instead of the value; None = at the key of a list, a mapping or nothing.
        """
        if on_key is None:
            on_key = self.value is None or isinstance(self.value, list | dict)
        line, column = self.key if on_key and self.key else (self.line, self.column)
        return self.source.problem(code, message, line, column, hint)

    def find(self, needle: str) -> tuple[int, int]:
        """Line and column where `needle` first stands in this text, which may span lines; else the text's start."""
        for number in range(self.line, len(self.source.lines) + 1) if self.line else ():
            start = self.column - 1 if number == self.line else 0
            column = self.source.lines[number - 1].find(needle, start)
            if column >= 0:
                return number, column + 1
        return self.line, self.column

    def plain(self) -> Any:
        """The value as plain data."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value


def from_data(data: Any, source: SourceFile) -> Node:
    """A tree without places, from plain data."""
    if isinstance(data, dict):
        return Node({str(key): from_data(value, source) for key, value in data.items()}, source)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    if isinstance(data, list | tuple):
        return Node([from_data(value, source) for value in data], source)  # pyright: ignore[reportUnknownVariableType]
    return Node(data, source)
