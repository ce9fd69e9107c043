"""`extends`: a crew or role that starts from another one."""

from __future__ import annotations

from dataclasses import replace

from crewmix.definitions.nodes import Node
from crewmix.definitions.read_by import method_reads, pattern_reads

MERGED_BY_KEY = ("models", "inputs", "budget", "chat", "synthesis")
"""Mappings whose entries are replaced one by one; every other field is replaced as a whole."""

NOT_INHERITED = ("name", "extends")
_CHOICES = {"chat": ("pattern", pattern_reads), "synthesis": ("method", method_reads)}


def merge(parent: Node, child: Node) -> Node:
    """`parent` with the fields of `child` laid over it. Every value keeps its own place, also in another file.

    A child that sets `chat.pattern` or `synthesis.method` inherits only those settings beside it that are read then.
    """
    fields = {key: node for key, node in parent.fields.items() if key not in NOT_INHERITED}
    for key, node in child.fields.items():
        if key == "extends":
            continue
        inherited = fields.get(key)
        if key in MERGED_BY_KEY and inherited is not None and inherited.fields and isinstance(node.value, dict):
            node = replace(node, value={**_kept(key, inherited, node), **node.value})  # noqa: PLW2901
        fields[key] = node
    return replace(child, value=fields)


def _kept(key: str, inherited: Node, node: Node) -> dict[str, Node]:
    choice, reads = _CHOICES.get(key, ("", None))
    chosen = node.fields[choice].text if choice in node.fields else None
    if reads is None or chosen is None:
        return inherited.fields
    return {field: value for field, value in inherited.fields.items() if reads(chosen, field)}
