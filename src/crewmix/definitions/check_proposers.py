"""Whether the roles that a chat names can do there what it says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence

from crewmix.definitions.check_graph import check_graph_roles
from crewmix.definitions.names import nearest
from crewmix.definitions.nodes import Node
from crewmix.definitions.seats import Seat
from crewmix.definitions.spec import ChatSpec, Role
from crewmix.definitions.spec_chat import ProposerSpec
from crewmix.errors import Problem

_PROPOSING = {"layers", "vote", "debate"}


def check_named(chat: ChatSpec, node: Node, roles: Mapping[str, Role]) -> Iterator[Problem]:
    """Roles that a chat names and the crew does not have, or that cannot do what they are named for."""
    if chat.pattern in _PROPOSING:
        for entry, where in _proposers(chat, node):
            yield from _proposer(entry, where, roles)
    elif chat.pattern == "graph":
        for name, spec in chat.nodes.items():
            where = node.at("nodes", name, "role")
            if spec.role not in roles and where.size:
                yield _unknown(f"the node `{name}` names the role", spec.role, where, roles)
        yield from check_graph_roles(chat, node, roles)
    elif chat.pattern == "handoff":
        yield from _handoffs(chat, node, roles)


def _proposer(entry: str | ProposerSpec, where: Node, roles: Mapping[str, Role]) -> Iterator[Problem]:
    name = entry if isinstance(entry, str) else entry.role
    role = roles.get(name)
    if role is None and where.at("role").size:
        writing = [other for other, known in roles.items() if not known.approves]
        yield _unknown("`proposers` name the role", name, where.at("role"), writing)
    elif role and role.approves:
        message = f"`{name}` has `approves: true`: its messages are reviews, so it cannot propose"
        yield where.at("role").problem("senseless", message)
    elif role and isinstance(entry, ProposerSpec):
        yield from _settings(entry, role, where)


def _handoffs(chat: ChatSpec, node: Node, roles: Mapping[str, Role]) -> Iterator[Problem]:
    for giver, takers in chat.handoffs.items():
        at = node.at("handoffs", giver)
        if giver not in roles:
            yield _unknown("`handoffs` names the role", giver, at, roles, on_key=True)
        for place, taker in enumerate(takers):
            if taker not in roles:
                yield _unknown("`handoffs` names the role", taker, at.at(place), [r for r in roles if r != giver])


def check_people(chat: ChatSpec, node: Node, table: Sequence[Seat]) -> Iterator[Problem]:
    """A person who would be asked the same thing several times at once."""
    if chat.pattern not in _PROPOSING:
        return
    asked = Counter((seat.of, seat.layer) for seat in table if seat.role.actor == "human")
    for name in dict.fromkeys(name for (name, _), times in asked.items() if times > 1):
        times = max(count for (who, _), count in asked.items() if who == name)
        message = f"`{name}` is a person, who would be asked the same {times} times at once"
        hint = f"write {{role: {name}, count: 1}} among the `proposers`"
        named = [where for entry, where in _proposers(chat, node) if name in (entry, getattr(entry, "role", ""))]
        counted = [where.at("count") for where in named if "count" in where.fields]
        where = next(iter(counted), node.at("samples"))
        yield where.problem("senseless", message, hint=hint)


def _proposers(chat: ChatSpec, node: Node) -> Iterator[tuple[str | ProposerSpec, Node]]:
    for place, entry in enumerate(chat.proposers):
        yield entry, node.at("proposers", place)
    for number, layer in enumerate(chat.per_layer):
        for place, entry in enumerate(layer.proposers):
            yield entry, node.at("per_layer", number, "proposers", place)


def _settings(entry: ProposerSpec, role: Role, where: Node) -> Iterator[Problem]:
    """Settings of a model for someone who is none."""
    kind = "a person" if role.actor == "human" else "worked by a crew" if role.crew else ""
    for field in ("llm", "temperature", "max_output_tokens"):
        if kind and field in entry.model_fields_set:
            message = f"`{role.name}` is {kind}, so `{field}` has no meaning for it"
            yield where.at(field).problem("senseless", message, hint="leave it out", on_key=True)


def _unknown(what: str, name: str, where: Node, known: Collection[str], *, on_key: bool | None = None) -> Problem:
    message = f"{what} `{name}`, which is not in the crew"
    return where.problem("unknown_role", message, hint=nearest(name, known), on_key=on_key)
