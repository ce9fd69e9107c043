"""What a turn is about: the task's question, or what the step of a graph asks instead."""

from __future__ import annotations

import re

from crewmix.models.offline.sentences import statements
from crewmix.models.types import Brief

_ITEM = re.compile(r"^The item:\n(~{3,})\n(.*?)\n\1[ \t]*$", re.MULTILINE | re.DOTALL)
"""How a node that speaks once for each item of a list is told its item."""


def matter(brief: Brief) -> str:
    """The question of a turn: its item of a list, else the questions within `brief.ask`, else the task's.

    Other wishes in `brief.ask`, such as the form of the answer, say nothing about what to look for.
    """
    items = _ITEM.findall(brief.ask)
    if items:
        return items[-1][1].strip()
    asked = [s.text for s in statements(brief.ask) if s.text.endswith(("?", "？"))]
    return " ".join(asked) or brief.question
