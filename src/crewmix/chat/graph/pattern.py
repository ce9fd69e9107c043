"""`graph`: nodes that speak in waves, and conditions on the ways between them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from crewmix.agents.prompts import quote
from crewmix.chat.base import Done, Message, Pattern, Speakers, Transcript, View
from crewmix.chat.graph.course import Course, course_of
from crewmix.chat.graph.map import Map, Node, draw_map
from crewmix.chat.setting import Setting
from crewmix.definitions.bounds import authors


@dataclass(frozen=True, slots=True)
class Graph:
    """Each round is a wave: all nodes that are to speak and wait for nobody.

    Where a node goes on is decided when it has spoken, an `each` node when all its seats have: every way whose conditions hold
    for all that was said is taken. A node that failed goes nowhere, and a node that has used up its `limit` is not entered again.

    Args:
        map: The nodes.
    """

    map: Map

    def next(self, chat: Transcript) -> Speakers | Done:
        """The next wave."""
        course = course_of(self.map, chat)
        wave = course.enter()
        if wave:
            return Speakers(tuple(seat for seats in wave.values() for seat in seats))
        ends = [name for name in self.map.nodes if course.stays.get(name, "went on") != "went on"]
        return Done(f"the graph ended at {', '.join(ends)}", "; ".join(course.warnings))

    def view(self, chat: Transcript, role: str) -> View:
        """What the nodes that lead here said last, and the speaker's own last message."""
        course = course_of(self.map, chat)
        course.enter()
        node = self.map.node_of[role]
        items = course.items(node)
        place = node.seats.index(role)
        seen = _seen(self.map, course.said, role)
        return View(seen, ask=_ask(node, items[place] if place < len(items) else ""), schema=node.schema)

    def drafts(self, chat: Transcript) -> tuple[Message, ...]:
        """What was said last where a path ended; where that is a review, what it reviewed."""
        course = course_of(self.map, chat)
        ends = [*(name for name, stay in course.stays.items() if stay != "went on"), *course.waiting]
        offering = {name for end in ends for name in _offers(course, end)}
        if not any(not self.map.nodes[name].reviews for name in course.came_from):
            offering = set(ends)
        return _in_order(chat, (m for name in offering for m in course.said.get(name, ())))


@dataclass(frozen=True, slots=True)
class EveryWay:
    """The most a graph can take, for estimates: no order of waves has more turns or more rounds than this one.

    Nodes outside of cycles speak once, wave by wave; then those that may speak repeatedly, one at a time, up to their limits.

    Args:
        map: The nodes.
        waves: The seats that speak in each round.
    """

    map: Map
    waves: tuple[tuple[str, ...], ...]

    def next(self, chat: Transcript) -> Speakers | Done:
        """The next wave."""
        return Speakers(self.waves[chat.round]) if chat.round < len(self.waves) else Done("every way was taken")

    def view(self, chat: Transcript, role: str) -> View:
        """What the nodes that lead here said last, and the speaker's own last message."""
        node = self.map.node_of[role]
        return View(_seen(self.map, self._said(chat), role), ask=_ask(node, node.spec.each or ""), schema=node.schema)

    def drafts(self, chat: Transcript) -> tuple[Message, ...]:
        """Everything that may be said last."""
        said = self._said(chat)
        nodes = {name: node.spec for name, node in self.map.nodes.items()}
        reviews = {name for name, node in self.map.nodes.items() if node.reviews}
        ends = [name for name, node in self.map.nodes.items() if _may_end(self.map, node)]
        offering = {author for end in ends for author in authors(end, nodes, self.map.sources, reviews)}
        if reviews.issuperset(self.map.starts):
            offering.update(ends)
        return _in_order(chat, (m for name in offering for m in said.get(name, ())))

    def _said(self, chat: Transcript) -> Mapping[str, tuple[Message, ...]]:
        last = {message.role: message for message in chat.spoken}
        spoken = {name: tuple(last[s] for s in node.seats if s in last) for name, node in self.map.nodes.items()}
        return {name: messages for name, messages in spoken.items() if messages}


def graph(setting: Setting) -> Pattern:
    """Nodes and the ways between them, as the crew file draws them."""
    drawn = draw_map(setting)
    return EveryWay(drawn, tuple(_all_waves(drawn))) if setting.every_way else Graph(drawn)


# -- what a speaker is given ---------------------------------------------------------------------------------------------


def _seen(drawn: Map, said: Mapping[str, tuple[Message, ...]], role: str) -> tuple[Message, ...]:
    node = drawn.node_of[role]
    shown: list[Message] = []
    for name in drawn.nodes:
        if name == node.name:
            shown += (message for message in said.get(name, ()) if message.role == role)
        elif name in drawn.upstream[node.name]:
            shown += said.get(name, ())
    return tuple(shown)


def _ask(node: Node, item: str) -> str:
    if not node.spec.each:
        return node.spec.ask
    ask = "This is for one item of a list, quoted below; the other items are worked by others."
    return "\n".join(part for part in (node.spec.ask, ask, quote("The item", item)) if part)


# -- what counts as a draft ----------------------------------------------------------------------------------------------


def _offers(course: Course, end: str) -> set[str]:
    """The nodes whose messages are the drafts where a path ended."""
    waits = end in course.waiting
    if not waits and not course.map.nodes[end].reviews and course.stays[end] != "passed over":
        return {end}
    offering: set[str] = set()
    seen = {end}
    ahead = list(course.waiting[end] if waits else course.came_from[end])
    while ahead:
        name = ahead.pop()
        if name in seen:
            continue
        seen.add(name)
        if name in course.said and not course.map.nodes[name].reviews:
            offering.add(name)
        else:
            ahead += course.came_from.get(name, ())
    return offering


def _in_order(chat: Transcript, messages: Iterable[Message]) -> tuple[Message, ...]:
    order = {name: place for place, name in enumerate(chat.members)}
    return tuple(sorted(messages, key=lambda message: order[message.role]))


# -- the most a graph can take -------------------------------------------------------------------------------------------


def _all_waves(drawn: Map) -> Iterator[tuple[str, ...]]:
    once = [name for name in drawn.nodes if name not in drawn.repeated]
    while once:
        wave = [name for name in once if not drawn.upstream[name].intersection(once)]
        yield tuple(seat for name in wave for seat in drawn.nodes[name].seats)
        once = [name for name in once if name not in wave]
    again = sorted(drawn.repeated, key=lambda name: (-len(drawn.downstream[name]), list(drawn.nodes).index(name)))
    for number in range(max((drawn.nodes[name].spec.limit for name in again), default=0)):
        yield from (drawn.nodes[name].seats for name in again if number < drawn.nodes[name].spec.limit)


def _may_end(drawn: Map, node: Node) -> bool:
    """Whether a path can end here: no way is always open. In a circle, limits and failures can end it anywhere."""
    return node.name in drawn.repeated or all(way.when for way in node.ways)
