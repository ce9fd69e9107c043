"""Which settings of a chat and a synthesis are read by which pattern and method; all others are read by every one."""

from __future__ import annotations

from collections.abc import Collection, Mapping

OWN = "package.module:name"
"""Stands for a pattern of the user's own."""

_PROPOSING = ("layers", "vote", "debate")
_COUNTING = ("majority", "weighted")

CHAT_FIELDS: Mapping[str, Collection[str]] = {
    "max_turns": ("round_robin", "selector", "handoff", OWN),
    "stop_when": ("round_robin", "selector", "debate", "handoff", OWN),
    "select": ("selector",),
    "proposers": _PROPOSING,
    "samples": _PROPOSING,
    "layers": ("layers",),
    "per_layer": ("layers",),
    "shuffle": ("layers",),
    "rounds": ("debate",),
    "accept": ("debate",),
    "stop": ("vote", "debate"),
    "nodes": ("graph",),
    "handoffs": ("handoff",),
}
"""Field of `chat` -> the patterns that read it."""

SYNTHESIS_FIELDS: Mapping[str, Collection[str]] = {
    "answer": _COUNTING,
    "choices": _COUNTING,
    "ties": _COUNTING,
    "weights": _COUNTING,
    "record": _COUNTING,
    "quorum": _COUNTING,
    "measure": ("similarity",),
    "compare": ("rank",),
    "count": ("rank",),
    "rankings": ("rank", "judge"),
    "rubric": ("judge",),
    "tests": ("tested",),
    "shuffle": ("aggregate", "critique_combine"),
}
"""Field of `synthesis` -> the methods that read it."""

FOR_STOP = frozenset({"answer", "choices", "measure"})
"""Fields of `synthesis` that a chat with `stop` reads as well, whatever the method."""


def pattern_reads(pattern: str, field: str) -> bool:
    """Whether a pattern reads a field of `chat`."""
    return field not in CHAT_FIELDS or (OWN if ":" in pattern else pattern) in CHAT_FIELDS[field]


def method_reads(method: str, field: str) -> bool:
    """Whether a method reads a field of `synthesis`."""
    return field not in SYNTHESIS_FIELDS or method in SYNTHESIS_FIELDS[field]


def named(names: Collection[str]) -> str:
    """Names as a phrase: `a`, `b` and `c`."""
    shown = [f"`{name}`" for name in names]
    return " and ".join(filter(None, (", ".join(shown[:-1]), shown[-1])))
