"""Google-style docstrings: what a tool does, and what each argument means.

Format: https://google.github.io/styleguide/pyguide.html#383-functions-and-methods
"""

from __future__ import annotations

import re
import textwrap

_HEADING = re.compile(r"(?:Args|Arguments|Parameters):\s*")
_ENTRY = re.compile(r"\*{0,2}(\w+)(?:\s*\([^)]*\))?\s*:\s*(.*)")


def _split(documentation: str) -> tuple[str, str]:
    """The docstring without its `Args:` section, and the section's body."""
    rest: list[str] = []
    body: list[str] = []
    inside = False
    for line in documentation.splitlines():
        if _HEADING.fullmatch(line):
            inside = True
        elif inside and (not line.strip() or line[0].isspace()):
            body.append(line)
        else:
            inside = False
            rest.append(line)
    return "\n".join(rest).strip(), textwrap.dedent("\n".join(body))


def without_arguments(documentation: str) -> str:
    """What the tool does: a cleaned docstring without its `Args:` section."""
    return re.sub(r"\n{3,}", "\n\n", _split(documentation)[0])


def argument_docs(documentation: str) -> dict[str, str]:
    """What each argument means, from the `Args:` section of a cleaned docstring: name -> text on one line."""
    docs: dict[str, list[str]] = {}
    current: list[str] = []
    for line in _split(documentation)[1].splitlines():
        entry = _ENTRY.fullmatch(line)
        if entry is not None:
            current = docs.setdefault(entry[1], [])
            current.append(entry[2])
        else:
            current.append(line.strip())
    return {name: " ".join(filter(None, lines)) for name, lines in docs.items()}
