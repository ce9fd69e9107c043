"""YAML text -> a tree of nodes that know their place, so that every later mistake can name file:line:column.

The tree is built from ruamel.yaml's parsing events: YAML 1.2 core schema (`no` and `12:30` are text), no tags, no merge keys,
every value at its own place also behind an alias. Mistakes are collected; nothing a file holds raises.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from crewmix.definitions.project import shown
from crewmix.definitions.yaml_faults import syntax_problem
from crewmix.errors import Problem

MAX_BYTES = 1_000_000
MAX_NODES = 20_000
MAX_DEPTH = 40

Scalar = str | int | float | bool | None

_LINE_BREAK = re.compile(r"\r\n|\n|\r")
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_CONSTANTS: dict[str, Scalar] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INT = re.compile(r"[-+]?[0-9](_?[0-9]){0,30}", re.ASCII)
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", re.ASCII)


@dataclass(frozen=True)
class SourceFile:
    """A file's text and the name it is shown by."""

    name: str
    text: str = ""

    @cached_property
    def lines(self) -> list[str]:
        """The text's lines without line ends."""
        return _LINE_BREAK.split(self.text)

    def problem(self, code: str, message: str, line: int = 0, column: int = 0, hint: str | None = None) -> Problem:
        """A mistake at a place in this file; lines and columns count from 1, 0 = the whole file."""
        line_text = self.lines[line - 1] if 0 < line <= len(self.lines) else ""
        line_text = re.sub(r"(?<=api_key: )(?!\s*[\"']?\$\{)[^,}\s]+", lambda key: "*" * len(key.group()), line_text)
        line_text = _UNPRINTABLE.sub("?", line_text)
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
    """How many nodes this one holds, itself and what aliases repeat included."""

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

    def problem(self, code: str, message: str, *, hint: str | None = None, on_key: bool | None = None) -> Problem:
        """A mistake here.

        Args:
            code: The mistake's stable name.
            message: What is wrong.
            hint: What would be right.
            on_key: Whether to point at the key instead of the value; None = at the key of a list or mapping.
        """
        if on_key is None:
            on_key = isinstance(self.value, list | dict)
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


def read_yaml(path: Path) -> tuple[Node | None, list[Problem]]:
    """Read a YAML file whose top level is a mapping.

    Args:
        path: The file; at most 1 MB of UTF-8.

    Returns:
        The tree, and every mistake of the file. Without a tree there is at least one mistake.
    """
    source = SourceFile(shown(path))
    try:
        if not path.is_file():
            reason = "is a folder, not a file" if path.is_dir() else "does not exist or is no regular file"
            return None, [source.problem("unreadable", f"the file cannot be read: it {reason}")]
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        return None, [source.problem("unreadable", f"the file cannot be read: {error.strerror or error}")]
    if len(data) > MAX_BYTES:
        return None, [source.problem("too_large", "the file is larger than 1 MB")]
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        place = f"byte {data[error.start]:#04x} at position {error.start} (line {data[: error.start].count(10) + 1})"
        hint = "save the file with the encoding UTF-8"
        return None, [source.problem("encoding", f"the file is not UTF-8: {place}", hint=hint)]
    return parse_yaml(SourceFile(source.name, text))


def parse_yaml(source: SourceFile) -> tuple[Node | None, list[Problem]]:
    """Parse YAML text whose top level is a mapping; returns the same as `read_yaml`."""
    bad = _UNPRINTABLE.search(source.text)
    if bad:
        line, column = _place(source.text, bad.start())
        return None, [source.problem("bad_character", f"{_named(bad.group())} may not stand in YAML", line, column)]
    builder = _Builder(source)
    try:
        root = builder.document()
    except _Stopped as stopped:
        return None, [*builder.problems, stopped.problem]
    if root is None:
        return None, [source.problem("empty", "the file is empty")]
    if not isinstance(root.value, dict):
        message = "the file must be a mapping, lines of `key: value`"
        return None, [*builder.problems, root.problem("not_a_mapping", message)]
    return root, builder.problems


class _Stopped(Exception):
    """Reading cannot go on after this problem."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


class _Builder:
    """Makes nodes from events."""

    def __init__(self, source: SourceFile) -> None:
        self.source = source
        self.problems: list[Problem] = []
        self._events = self._parse()
        self._anchors: dict[str, Node] = {}
        self._repeated = 0
        self._made = 0

    def _parse(self) -> Iterator[Any]:
        from ruamel.yaml import YAML
        from ruamel.yaml.error import YAMLError

        try:
            yield from YAML(typ="safe", pure=True).parse(self.source.text)  # pyright: ignore[reportUnknownMemberType]
        except (YAMLError, ValueError, OverflowError, ArithmeticError, LookupError, AttributeError, TypeError) as error:
            raise _Stopped(syntax_problem(error, self.source.problem)) from error

    def document(self) -> Node | None:
        """The one document of the text; None when there is none."""
        root: Node | None = None
        for event in self._events:
            kind = type(event).__name__
            if kind == "DocumentStartEvent":
                if root is not None:
                    message = "a second document (`---`) starts here; one file holds one definition"
                    raise self._stop(event, "multiple_documents", message)
                root = self.node(next(self._events), 1)
        return None if root is None or (root.value is None and not self.source.text.strip("-. \t\r\n")) else root

    def node(self, event: Any, depth: int) -> Node:
        """The node that starts with `event`."""
        kind = type(event).__name__
        if kind == "AliasEvent":
            return self._alias(event)
        if depth > MAX_DEPTH:
            raise self._stop(event, "too_deep", f"more than {MAX_DEPTH} levels of nesting")
        self._made += 1
        self._check_size(event)
        if event.tag is not None:
            self._add(event, "tag", f"tags such as `{event.tag}` are not used here; leave it out")
        mark = event.start_mark
        node = Node(None, self.source, mark.line + 1, mark.column + 1)
        self._anchors.pop(event.anchor, None)
        if kind == "ScalarEvent":
            node.value = self._scalar(event)
        elif kind == "SequenceStartEvent":
            node.value = list(self._entries(depth))
        else:
            node.value = self._mapping(depth)
        node.size = 1 + sum(below.size for below in node.items or node.fields.values())
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _entries(self, depth: int) -> Iterator[Node]:
        for event in self._events:
            if type(event).__name__ == "SequenceEndEvent":
                return
            yield self.node(event, depth + 1)

    def _mapping(self, depth: int) -> dict[str, Node]:
        fields: dict[str, Node] = {}
        for event in self._events:
            if type(event).__name__ == "MappingEndEvent":
                break
            key = self.node(event, depth + 1)
            value = self.node(next(self._events), depth + 1)
            if isinstance(key.value, list | dict):
                self._add(event, "complex_key", "a key must be a single word, not a list or mapping")
                continue
            name = event.value if type(event).__name__ == "ScalarEvent" else str(key.value)
            first = fields.get(name)
            if first is not None and first.key is not None:
                self._add(event, "duplicate_key", f"the key `{name}` is already given in line {first.key[0]}")
                continue
            fields[name] = replace(value, key=(event.start_mark.line + 1, event.start_mark.column + 1))
        return fields

    def _alias(self, event: Any) -> Node:
        known = self._anchors.get(event.anchor)
        if known is None:
            self._add(event, "unknown_alias", f"nothing complete is named `&{event.anchor}` above")
            return Node(None, self.source, event.start_mark.line + 1, event.start_mark.column + 1)
        self._repeated += known.size
        self._check_size(event)
        return known

    def _scalar(self, event: Any) -> Scalar:
        text: str = event.value
        bad = re.search("[\0\ud800-\udfff]", text)
        if bad:
            self._add(event, "bad_character", f"{_named(bad.group())} may not stand in text")
            return text.replace(bad.group(), "?")
        plain = event.style is None and event.implicit[0]
        return _resolve(text) if plain else text

    def _check_size(self, event: Any) -> None:
        if self._made + self._repeated > MAX_NODES:
            message = f"more than {MAX_NODES:,} values, counting what aliases (`*name`) repeat"
            raise self._stop(event, "too_many_values", message)

    def _add(self, event: Any, code: str, message: str) -> None:
        self.problems.append(self._stop(event, code, message).problem)

    def _stop(self, event: Any, code: str, message: str) -> _Stopped:
        mark = event.start_mark
        return _Stopped(self.source.problem(code, message, mark.line + 1, mark.column + 1))


def _resolve(text: str) -> Scalar:
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _INT.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text) and math.isfinite(float(text)):
        return float(text)
    return text


def _place(text: str, index: int) -> tuple[int, int]:
    before = _LINE_BREAK.split(text[:index])
    return len(before), len(before[-1]) + 1


def _named(character: str) -> str:
    return f"the character U+{ord(character):04X}"
