"""`extends`: a crew or role that starts from another one."""

from __future__ import annotations

from dataclasses import replace

from crewmix.definitions.nodes import Node

MERGED_BY_KEY = ("models", "inputs", "budget", "chat", "synthesis")
"""Mappings whose entries are replaced one by one; every other field is replaced as a whole."""

NOT_INHERITED = ("name", "extends")


def merge(parent: Node, child: Node) -> Node:
    """`parent` with the fields of `child` laid over it. Every value keeps its own place, also in another file.

    A child that sets `chat.pattern` does not inherit `chat.select`, which belongs to the parent's pattern.
    """
    fields = {key: node for key, node in parent.fields.items() if key not in NOT_INHERITED}
    for key, node in child.fields.items():
        if key == "extends":
            continue
        inherited = fields.get(key)
        if key in MERGED_BY_KEY and inherited is not None and inherited.fields and isinstance(node.value, dict):
            kept = dict(inherited.fields)
            if key == "chat" and "pattern" in node.value:
                kept.pop("select", None)
            node = replace(node, value={**kept, **node.value})  # noqa: PLW2901
        fields[key] = node
    return replace(child, value=fields)
