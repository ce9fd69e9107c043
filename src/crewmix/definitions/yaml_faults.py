"""What a YAML parser's complaint means, in plain English."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from crewmix.errors import Problem

MakeProblem = Callable[[str, str, int, int, str | None], Problem]

_QUOTE = "within `[]` and `{}`, quote text that holds one of `,[]{}`"
_PLAIN: tuple[tuple[str, str, str | None], ...] = (
    (
        r"mapping values are not allowed",
        "a `:` is not expected here",
        "quote text that contains `: `, or check the indentation",
    ),
    (
        r"could not find expected ':'",
        "a `:` is missing after this key",
        "write `key: value`, with a space after the colon",
    ),
    (r"found unexpected end of stream.*|while scanning a quoted", "a quote is opened here and never closed", None),
    (r"expected ',' or ']'", "a `[` list is not closed, or a `,` is missing", _QUOTE),
    (r"expected ',' or '}'", "a `{` mapping is not closed, or a `,` is missing", _QUOTE),
    (
        r"expected (<block end>|'<document start>')",
        "this does not belong here: the indentation is wrong, or text before it needs quotes",
        "entries of one list or mapping start in the same column",
    ),
    (r"did not find expected|expected the node content", "a value is expected here", None),
    (r"found duplicate anchor|expected a single document", "the file is built wrongly here", None),
    (r"unknown escape character", "this `\\` escape is unknown", "use single quotes for text with backslashes"),
)


def syntax_problem(error: Exception, make: MakeProblem) -> Problem:
    """The problem that a failed parse of YAML stands for.

    Args:
        error: What the parser raised.
        make: Makes a problem from code, message, line, column and hint; lines and columns count from 1.
    """
    mark: Any = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    said = " ".join(filter(None, (getattr(error, "problem", None), getattr(error, "context", None)))) or str(error)
    character = re.search(r"found character (.+?) that cannot start any token", said)
    if character and "\\t" in character.group(1):
        code, message, hint = "tab", "a tab is used for indentation", "YAML is indented with spaces only"
    elif character:
        code, message = "yaml_syntax", f"text cannot start with {character.group(1)}"
        hint = "put the text into quotes"
    else:
        code, (message, hint) = "yaml_syntax", _explain(said)
    if "never closed" in message and getattr(error, "context_mark", None):
        mark = getattr(error, "context_mark", mark)
    line, column = (mark.line + 1, mark.column + 1) if mark is not None else (0, 0)
    return make(code, message, line, column, hint)


def _explain(said: str) -> tuple[str, str | None]:
    for pattern, message, hint in _PLAIN:
        if re.search(pattern, said):
            return message, hint
    return f"not valid YAML: {' '.join(said.split())[:200]}", None
