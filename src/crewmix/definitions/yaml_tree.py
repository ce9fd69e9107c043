"""YAML text -> a tree of nodes that know their place, so that every later mistake can name file:line:column.

The tree is built from ruamel.yaml's parsing events: YAML 1.2 core schema (`no` and `12:30` are text), no tags, no merge keys,
every value at its own place also behind an alias. Mistakes are collected; nothing a file holds raises.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from crewmix.definitions.nodes import LINE_BREAK, UNPRINTABLE, Node, Scalar, SourceFile
from crewmix.definitions.project import shown
from crewmix.definitions.yaml_faults import syntax_problem
from crewmix.errors import Problem

MAX_BYTES = 1_000_000
MAX_NODES = 20_000
MAX_DEPTH = 40

_CONSTANTS: dict[str, Scalar] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INT = re.compile(r"[-+]?[0-9](_?[0-9]){0,30}", re.ASCII)
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", re.ASCII)


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
    bad = UNPRINTABLE.search(source.text)
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
        return None, builder.problems or [root.problem("not_a_mapping", message)]
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
            return Node(None, self.source, event.start_mark.line + 1, event.start_mark.column + 1, size=0)
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
    before = LINE_BREAK.split(text[:index])
    return len(before), len(before[-1]) + 1


def _named(character: str) -> str:
    return f"the character U+{ord(character):04X}"
