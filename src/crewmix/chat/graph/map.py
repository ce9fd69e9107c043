"""The map of a `graph`: its nodes, the ways between them, and what lies downstream of what."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from crewmix.chat.graph.fields import schema_of
from crewmix.chat.setting import Setting
from crewmix.definitions.spec_chat import EdgeSpec, NodeSpec

Ways = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Node:
    """A step of the graph."""

    name: str
    spec: NodeSpec
    seats: tuple[str, ...]
    """Who speaks there: one seat, or as many as an `each` node may take items."""
    reviews: bool
    """Its messages are reviews, not drafts."""
    ways: tuple[EdgeSpec, ...]
    schema: Mapping[str, Any] | None


@dataclass(frozen=True)
class Map:
    """All nodes, in the order of the crew file."""

    nodes: Mapping[str, Node]

    @property
    def starts(self) -> tuple[str, ...]:
        """The nodes that nothing leads to; the first one where there are none."""
        reached = {way.to for node in self.nodes.values() for way in node.ways}
        return tuple(name for name in self.nodes if name not in reached) or tuple(self.nodes)[:1]

    @cached_property
    def downstream(self) -> Mapping[str, frozenset[str]]:
        """What lies after each node on ways that do not lead back."""
        ahead = _forward(self._targets, (*self.starts, *self.nodes))
        return {name: _reachable(ahead, name) for name in self.nodes}

    @cached_property
    def upstream(self) -> Mapping[str, frozenset[str]]:
        """The nodes from which a way leads to each node, directly or not."""
        return {name: _reachable(self.sources, name) for name in self.nodes}

    @cached_property
    def sources(self) -> Ways:
        """The nodes with a way straight to each node."""
        return {name: [n for n, targets in self._targets.items() if name in targets] for name in self.nodes}

    @cached_property
    def repeated(self) -> frozenset[str]:
        """The nodes that may speak more than once: those in a cycle, and all that a cycle leads to."""
        in_cycle = {name for name, before in self.upstream.items() if name in before}
        return frozenset(name for name, before in self.upstream.items() if name in in_cycle or in_cycle & before)

    @cached_property
    def node_of(self) -> Mapping[str, Node]:
        """The node of each seat."""
        return {seat: node for node in self.nodes.values() for seat in node.seats}

    @property
    def _targets(self) -> Ways:
        return {name: [way.to for way in node.ways] for name, node in self.nodes.items()}


def draw_map(setting: Setting) -> Map:
    """The map of a chat. Nodes whose role does not work on the task are left out, and so are the ways to them."""
    seats: dict[str, list[str]] = {}
    for seat in setting.seats:
        seats.setdefault(seat.node, []).append(seat.name)
    reviewing = setting.reviewers if len(setting.reviewers) < len(setting.seats) else frozenset[str]()
    approving = {seat.node for seat in setting.seats if seat.role.approves}
    return Map(
        {
            name: Node(
                name,
                setting.chat.nodes[name],
                tuple(here),
                here[0] in reviewing,
                tuple(way for way in _edges(setting.chat.nodes[name]) if way.to in seats),
                schema_of(setting.chat.nodes[name].fields, approves=name in approving),
            )
            for name, here in seats.items()
        }
    )


def _edges(spec: NodeSpec) -> Iterator[EdgeSpec]:
    for way in spec.next:
        yield EdgeSpec(to=way) if isinstance(way, str) else way


def _reachable(ways: Ways, start: str) -> frozenset[str]:
    found: set[str] = set()
    ahead = list(ways[start])
    while ahead:
        name = ahead.pop()
        if name not in found:
            found.add(name)
            ahead += ways[name]
    return frozenset(found)


def _forward(ways: Ways, starts: Iterable[str]) -> Ways:
    """The ways without those that close a cycle, found by walking depth first from `starts`."""
    forward: dict[str, list[str]] = {name: [] for name in ways}
    seen: set[str] = set()
    for start in starts:
        path = [(start, iter(ways[start]))] if start not in seen else []
        seen.add(start)
        on_path = {start}
        while path:
            name, rest = path[-1]
            target = next(rest, None)
            if target is None:
                path.pop()
                on_path.discard(name)
            elif target not in on_path:
                forward[name].append(target)
                if target not in seen:
                    seen.add(target)
                    on_path.add(target)
                    path.append((target, iter(ways[target])))
    return forward
