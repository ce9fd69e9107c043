"""How many drafts a chat can bring."""

from __future__ import annotations

from collections.abc import Sequence

from crewmix.definitions.check_graph import edges, reachable
from crewmix.definitions.seats import Seat
from crewmix.definitions.spec import ChatSpec


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
            return sum(seat.node in _ends(chat, table) for seat in table)
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


def _ends(chat: ChatSpec, table: Sequence[Seat]) -> set[str]:
    """The nodes whose messages are drafts where a path can end; where it ends with a review, what that reviewed."""
    seated = {seat.node: seat.role.approves for seat in table}
    ways = {
        name: tuple(way.to for way in edges(spec) if way.to in seated)
        for name, spec in chat.nodes.items()
        if name in seated
    }
    in_circle = {name for name in ways if name in reachable(ways, name)}
    ends: set[str] = set()
    for name in ways:
        always = [way.to for way in edges(chat.nodes[name]) if not way.when and way.to in seated]
        if all(target in in_circle for target in always):
            ends |= _authors(name, ways, seated)
    return ends


def _authors(end: str, ways: dict[str, tuple[str, ...]], reviews: dict[str, bool]) -> set[str]:
    found: set[str] = set()
    seen: set[str] = set()
    ahead = [end]
    while ahead:
        name = ahead.pop()
        if name in seen:
            continue
        seen.add(name)
        if reviews[name]:
            ahead += [source for source, targets in ways.items() if name in targets]
        else:
            found.add(name)
    return found
