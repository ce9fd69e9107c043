"""How far a graph has come: its rounds walked again, from the first one on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from crewmix.chat.base import Message, Transcript
from crewmix.chat.graph.conditions import holds
from crewmix.chat.graph.map import Map, Node

Stay = Literal["went on", "ended", "failed", "passed over"]
"""What became of a node when it was last entered. `ended` and `passed over`: no way was taken from there."""


@dataclass
class Course:
    """The state of a graph. `enter` and `hear` take it on by one round."""

    map: Map
    waiting: dict[str, tuple[str, ...]] = field(init=False)
    """Nodes that are to speak -> the nodes that led there."""
    came_from: dict[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    """The nodes that led to a node when it was last entered."""
    said: dict[str, tuple[Message, ...]] = field(default_factory=dict[str, tuple[Message, ...]])
    """What each node said last, when it did not fail."""
    stays: dict[str, Stay] = field(default_factory=dict[str, Stay])
    warnings: dict[str, None] = field(default_factory=dict[str, None])
    """What a reader of the result must know, in the order in which it happened."""
    _entered: Counter[str] = field(default_factory=Counter[str])

    def __post_init__(self) -> None:
        self.waiting = {name: () for name in self.map.starts}

    def enter(self) -> dict[str, tuple[str, ...]]:
        """The seats that speak in the next round, by node; none when every path has ended.

        A node waits while a node upstream of it waits, so joins see everything that is on its way to them. An `each` node without
        items is passed over at once: its ways without conditions are taken.
        """
        while self.waiting:
            ahead = [self.map.downstream[name] for name in self.waiting]
            ready = [name for name in self.map.nodes if name in self.waiting and not any(name in a for a in ahead)]
            wave = {name: seats for name in ready if (seats := self._enter(self.map.nodes[name]))}
            if wave:
                return wave
        return {}

    def _enter(self, node: Node) -> tuple[str, ...]:
        self.came_from[node.name] = self.waiting.pop(node.name)
        self._entered[node.name] += 1
        if not node.spec.each:
            return node.seats
        items = self.items(node)
        if len(items) > node.spec.max_items:
            self._warn(
                f"{node.name} took {node.spec.max_items} of {len(items)} items of {node.spec.each} (`max_items`)"
            )
        if not items:
            self._warn(f"{node.name} was passed over: there are no items in {node.spec.each}")
            self.said.pop(node.name, None)
            self._leave(node, None)
        return node.seats[: len(items)]

    def items(self, node: Node) -> list[str]:
        """What an `each` node is to work on."""
        source, _, name = (node.spec.each or "").partition(".")
        lists = ((m.contribution.data or {}).get(name) or () for m in self.said.get(source, ()))
        return [item for found in lists for item in map(str.strip, found) if item]

    def hear(self, wave: dict[str, tuple[str, ...]], messages: Sequence[Message]) -> None:
        """Take the ways that follow from what the nodes of a round said. Nodes that were cut off wait again."""
        by_seat = {message.role: message for message in messages}
        for name, seats in wave.items():
            heard = [by_seat[seat] for seat in seats if seat in by_seat]
            spoken = tuple(message for message in heard if message.contribution.ok)
            if spoken:
                self.said[name] = spoken
                self._leave(self.map.nodes[name], spoken)
            elif heard:
                self.stays[name] = "failed"
            else:
                self.waiting[name] = self.came_from[name]

    def _leave(self, node: Node, spoken: tuple[Message, ...] | None) -> None:
        """Take the ways out of a node; `spoken` None = it was passed over."""
        stay: Stay = "ended" if spoken else "passed over"
        for way in node.ways:
            if way.when and not (spoken and all(holds(way.when, m.contribution) for m in spoken)):
                continue
            if way.to not in self.waiting and self._entered[way.to] >= self.map.nodes[way.to].spec.limit:
                self._warn(f"{way.to} reached its limit of {_times(self._entered[way.to])} (`limit`)")
                continue
            self.waiting[way.to] = (*self.waiting.get(way.to, ()), node.name)
            stay = "went on"
        self.stays[node.name] = stay

    def _warn(self, text: str) -> None:
        self.warnings[text] = None


def course_of(map_: Map, chat: Transcript) -> Course:
    """How far the graph has come in `chat`."""
    course = Course(map_)
    rounds: dict[int, list[Message]] = {}
    for message in chat.messages:
        rounds.setdefault(message.round, []).append(message)
    for messages in rounds.values():
        course.hear(course.enter(), messages)
    return course


def _times(count: int) -> str:
    return "1 turn" if count == 1 else f"{count} turns"
