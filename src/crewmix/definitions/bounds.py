"""How many drafts a chat can bring."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from crewmix.definitions.check_graph import edges, reachable
from crewmix.definitions.seats import Seat
from crewmix.definitions.spec import ChatSpec
from crewmix.definitions.spec_chat import NodeSpec


def most_drafts(chat: ChatSpec, table: Sequence[Seat]) -> int:
    """The most drafts that a chat in which nobody fails can offer when it is over.

    Args:
        chat: Who speaks when.
        table: Its seats.
    """
    writing = [seat for seat in table if not seat.role.approves] or list(table)
    match chat.pattern:
        case "layers":
            last = max((seat.layer for seat in table), default=0)
            return sum(seat.layer == last for seat in table)
        case "graph":
            seated = {seat.node for seat in table}
            nodes = {name: spec for name, spec in chat.nodes.items() if name in seated}
            offering = _offering(nodes, seated - {seat.node for seat in writing})
            return sum(seat.node in offering for seat in table)
        case "handoff":
            return min(1, len(writing))
        case "round_robin" if chat.max_turns is not None:
            return sum(seat in writing for seat in table[: chat.max_turns])
        case "selector" if chat.max_turns is not None:
            return min(len(writing), chat.max_turns)
        case _:
            return len(writing)


def layer_sizes(chat: ChatSpec, table: Sequence[Seat]) -> list[int]:
    """How many propose in each round of `layers`."""
    return [sum(seat.layer in {0, number} for seat in table) for number in range(1, chat.layers)]


def authors(
    end: str, nodes: Mapping[str, NodeSpec], sources: Mapping[str, Sequence[str]], reviews: Collection[str]
) -> set[str]:
    """The nodes of a graph whose messages can be the drafts when a path ends at `end`.

    Where it ends with a review, what that reviewed; where it ends with an `each` node, also what came before, as there may be
    no items.

    Args:
        end: Where the path ends.
        nodes: All nodes that somebody works.
        sources: For each of them, those with a way straight to it.
        reviews: Those whose messages are reviews.
    """
    found: set[str] = set()
    seen: set[str] = set()
    ahead = [end]
    while ahead:
        name = ahead.pop()
        if name in seen:
            continue
        seen.add(name)
        if name not in reviews:
            found.add(name)
        if name in reviews or nodes[name].each:
            ahead += sources[name]
    return found


def _offering(nodes: Mapping[str, NodeSpec], reviews: Collection[str]) -> set[str]:
    """The nodes whose messages can be drafts when the chat is over."""
    ways = {name: [way for way in edges(spec) if way.to in nodes] for name, spec in nodes.items()}
    sources = {name: [n for n, out in ways.items() if any(way.to == name for way in out)] for name in nodes}
    starts = [name for name in nodes if not sources[name]] or list(nodes)[:1]
    after = {name: reachable({n: tuple(way.to for way in out) for n, out in ways.items()}, name) for name in nodes}
    repeated = {name for one in nodes if one in after[one] for name in after[one]}

    def closes(name: str) -> bool:
        """Whether the node can be led to more often than it may speak."""
        led_to = sum(nodes[source].limit if source in repeated else 1 for source in sources[name])
        return led_to + (name in starts) > nodes[name].limit

    ends = [name for name, out in ways.items() if all(way.when or (name in repeated and closes(way.to)) for way in out)]
    found = {author for end in ends for author in authors(end, nodes, sources, reviews)}
    return found.union(ends) if all(name in reviews for name in starts) else found
