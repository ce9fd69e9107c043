"""Who sits in a chat: each proposer, sample and node is a seat of its own, with the role as it speaks there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from crewmix.definitions.spec import ChatSpec, Role
from crewmix.definitions.spec_chat import LayerSpec, ProposerSpec


@dataclass(frozen=True, slots=True)
class Seat:
    """One member of a chat."""

    name: str
    """Its name in the chat: the role's, or `role#2` for the second of several, `role#2@1` where layers differ, or the node's,
    and `node#2` for the second item of an `each` node."""
    role: Role
    """The role with the model and temperature it has here, and `name` as its name."""
    of: str
    """The crew role's own name."""
    sample: int = 0
    """Tells drafts of one role apart, from 0: equal requests of two samples are two requests."""
    layer: int = 0
    """The only round of proposers it speaks in, from 1; 0 = in all."""
    node: str = ""
    """The node it works, in a `graph`."""


def seats(chat: ChatSpec, roles: Sequence[Role]) -> tuple[Seat, ...]:
    """The members of a chat, in the order in which their drafts are shown.

    Args:
        chat: Who speaks when, as written.
        roles: The roles that work on the task, in crew order. Proposers and nodes of other roles are left out.
    """
    if chat.pattern == "graph":
        return tuple(_nodes(chat, roles))
    if chat.pattern == "layers" and chat.per_layer:
        return tuple(s for n, layer in enumerate(chat.per_layer, 1) for s in _proposers(chat, roles, layer, n))
    if chat.pattern in {"layers", "vote"}:
        return tuple(_proposers(chat, roles))
    if chat.pattern == "debate":
        critics = (Seat(role.name, role, role.name) for role in roles if role.approves)
        return (*_proposers(chat, roles), *critics)
    return tuple(Seat(role.name, role, role.name) for role in roles)


def _nodes(chat: ChatSpec, roles: Sequence[Role]) -> Iterator[Seat]:
    known = {role.name: role for role in roles}
    for name, node in chat.nodes.items():
        role = known.get(node.role)
        if role is None:
            continue
        names = [f"{name}#{n}" for n in range(1, node.max_items + 1)] if node.each else [name]
        for place, seat in enumerate(names):
            yield Seat(seat, role.model_copy(update={"name": seat}), role.name, place, node=name)


def _proposers(
    chat: ChatSpec, roles: Sequence[Role], layer: LayerSpec | None = None, number: int = 0
) -> Iterator[Seat]:
    known = {role.name: role for role in roles}
    written = (layer.proposers if layer else ()) or chat.proposers
    entries = [p if isinstance(p, ProposerSpec) else ProposerSpec(role=p) for p in written]
    entries = entries or [ProposerSpec(role=role.name) for role in roles if not role.approves]
    entries = [entry for entry in entries if entry.role in known]
    sizes = Counter[str]()
    for entry in entries:
        sizes[entry.role] += entry.count or chat.samples
    taken = Counter[str]()
    for entry in entries:
        role = known[entry.role]
        settings = {
            "llm": entry.llm or (layer and layer.llm) or role.llm,
            "temperature": _first(entry.temperature, layer and layer.temperature, role.temperature),
            "max_output_tokens": entry.max_output_tokens or role.max_output_tokens,
        }
        for _ in range(entry.count or chat.samples):
            taken[role.name] += 1
            name = role.name if sizes[role.name] == 1 else f"{role.name}#{taken[role.name]}"
            name = f"{name}@{number}" if number else name
            here = role.model_copy(update={"name": name, **settings})
            yield Seat(name, here, role.name, taken[role.name] - 1, number)


def _first(*values: float | None) -> float | None:
    return next((value for value in values if value is not None), None)
