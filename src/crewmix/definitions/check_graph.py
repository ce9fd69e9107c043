"""Whether the nodes of a `graph` and the ways between them make sense."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from crewmix.definitions.circles import circles
from crewmix.definitions.names import nearest
from crewmix.definitions.nodes import Node
from crewmix.definitions.spec import ChatSpec, Role
from crewmix.definitions.spec_chat import EdgeSpec, FieldType, NodeSpec
from crewmix.errors import Problem

Ways = Mapping[str, tuple[str, ...]]

VERDICTS = ("approve", "revise")
COMPARED = re.compile(r"(<=|>=|<|>|!=|==?)\s*(.*)", re.DOTALL)
"""A comparison in a condition: its sign and what follows."""
TRUTH = {"true": True, "yes": True, "false": False, "no": False}
"""How a condition may write a truth value."""


def edges(node: NodeSpec) -> tuple[EdgeSpec, ...]:
    """The ways out of a node, short forms written out."""
    return tuple(EdgeSpec(to=way) if isinstance(way, str) else way for way in node.next)


def check_graph(chat: ChatSpec, node: Node) -> Iterator[Problem]:
    """What can be said about a graph without its roles.

    Where a part had to be taken out, only what that part cannot have caused.
    """
    if not chat.nodes and not (node.size and node.at("nodes").size):
        return
    if not chat.nodes:
        hint = "for example `nodes: {draft: {role: writer, next: review}, review: {role: critic}}`"
        yield node.at("pattern").problem("senseless", "`pattern: graph` needs `nodes`", hint=hint)
        return
    ways = {name: tuple(edge.to for edge in edges(spec)) for name, spec in chat.nodes.items()}
    whole, sure = node.at("nodes").whole, _sure(node.at("nodes"))
    for name, spec in chat.nodes.items():
        where = node.at("nodes", name)
        local = (
            *_fields(spec, where),
            *_ways(name, spec, chat.nodes, where),
            *_each(name, spec, chat.nodes, ways, where),
        )
        yield from (problem for problem in local if whole or problem.code in sure)
    if not whole:
        return
    starts = [name for name in ways if not any(name in targets for targets in ways.values())] or [next(iter(ways))]
    reached = {*starts, *(name for start in starts for name in reachable(ways, start))}
    yield from _endless(chat, node, reached)
    known = all(target in ways for targets in ways.values() for target in targets)
    for name in ways:
        if known and name not in reached:
            reached |= {name, *reachable(ways, name)}
            message = f"nothing leads to the node `{name}`"
            hint = f"name it in the `next` of a node that is reached from {' or '.join(f'`{s}`' for s in starts[:5])}"
            yield node.at("nodes", name).problem("senseless", message, hint=hint)


def _sure(nodes: Node) -> set[str]:
    """Which mistakes of single nodes can be told where something was taken out of the graph."""
    sure = {"wrong_value", "reserved_name"}
    if nodes.size:
        sure.add("unknown_node")
    if nodes.size and all(one.size and one.at("fields").size for one in nodes.fields.values()):
        sure.add("unknown_field")
    return sure


def check_graph_roles(chat: ChatSpec, node: Node, roles: Mapping[str, Role]) -> Iterator[Problem]:
    """What can only be said about a graph with its roles. Nodes of unknown roles are left out."""
    for name, spec in chat.nodes.items():
        role, where = roles.get(spec.role), node.at("nodes", name)
        if role is None:
            continue
        if role.crew is not None and spec.fields:
            message = f"`fields` cannot be had from `{role.name}`: a crew works it, and its answer is text"
            yield where.at("fields").problem("senseless", message, on_key=True)
        for place, way in enumerate(edges(spec)):
            if "verdict" in way.when and not role.approves:
                message = f"`{name}` gives no verdict: its role `{role.name}` has no `approves: true`"
                yield _way(where, place).at("when", "verdict").problem("senseless", message, on_key=True)
    known = [roles[spec.role] for spec in chat.nodes.values() if spec.role in roles]
    if known and len(known) == len(chat.nodes) and node.at("nodes").whole and all(role.approves for role in known):
        message = "every node's role has `approves: true`, so nobody would write a draft"
        yield node.at("nodes").problem("senseless", message)


def reachable(ways: Ways, start: str) -> frozenset[str]:
    """The nodes that one or more ways lead to from `start`."""
    found: set[str] = set()
    ahead = list(ways.get(start, ()))
    while ahead:
        name = ahead.pop()
        if name not in found and name in ways:
            found.add(name)
            ahead += ways[name]
    return frozenset(found)


def _way(where: Node, place: int) -> Node:
    """Where a way is written: in a list, or alone in the short form."""
    written = where.at("next")
    return written.at(place) if written.items else written


def _fields(spec: NodeSpec, where: Node) -> Iterator[Problem]:
    for name, kind in spec.fields.items():
        at = where.at("fields", name)
        if name == "verdict":
            message = "`verdict` is what reviewers give, and cannot be the name of a field"
            yield at.problem(
                "reserved_name", message, hint="choose another, or a role with `approves: true`", on_key=True
            )
        if isinstance(kind, tuple) and at.size and len({word.casefold().strip() for word in kind}) < max(len(kind), 1):
            message = f"the words of `{name}` must be at least one, each once"
            yield at.problem("wrong_value", message, on_key=True)


def _ways(name: str, spec: NodeSpec, nodes: Mapping[str, NodeSpec], where: Node) -> Iterator[Problem]:
    seen: list[EdgeSpec] = []
    for place, way in enumerate(edges(spec)):
        at = _way(where, place)
        if way.to not in nodes and at.at("to").size:
            message = f"`{name}` goes on to `{way.to}`, which is no node"
            yield at.at("to").problem("unknown_node", message, hint=nearest(way.to, nodes))
        same = [other for other in seen if other.to == way.to]
        if any(not other.when or not way.when or other.when == way.when for other in same):
            message = f"`{name}` goes on to `{way.to}` twice"
            hint = "leave one out; without `when` a way is always taken"
            yield at.problem("senseless", message, hint=hint, on_key=False)
        seen.append(way)
        for field, wanted in way.when.items():
            yield from _when(name, spec, field, wanted, at.at("when", field))


def _when(name: str, spec: NodeSpec, field: str, wanted: str | bool | float, at: Node) -> Iterator[Problem]:
    if field != "verdict" and field not in spec.fields:
        message = f"`{name}` has no field `{field}` that a condition could ask for"
        hint = (
            nearest(field, (*spec.fields, "verdict")) if spec.fields else f"add `fields: {{{field}: text}}` to `{name}`"
        )
        yield at.problem("unknown_field", message, hint=hint, on_key=True)
        return
    kind: FieldType = VERDICTS if field == "verdict" else spec.fields[field]
    if said := _unfit(kind, wanted):
        shown = repr(wanted) if isinstance(wanted, str) else f"`{at.value}`".lower()
        yield at.problem("wrong_value", f"`{field}` {said}, so it cannot be compared with {shown}")


def _unfit(kind: FieldType, wanted: str | bool | float) -> str:
    """Why a reply of this kind can never be what is wanted; empty = it can."""
    sign, word = "=", wanted
    if isinstance(wanted, str) and (compared := COMPARED.fullmatch(wanted.strip())):
        sign, word = compared.groups()
    if kind == "number":
        return "" if _is_number(word) else "is a number"
    if kind == "boolean":
        fits = isinstance(word, bool) or (isinstance(word, str) and word.strip().casefold() in TRUTH)
        return "" if fits and sign in {"=", "==", "!="} else "is true or false"
    what = f"is one of {', '.join(f'`{one}`' for one in kind)}" if isinstance(kind, tuple) else f"is a {kind}"
    if not isinstance(word, str) or sign in {"<", "<=", ">", ">="}:
        return what.replace("a text", "text")
    known = isinstance(kind, str) or word.strip().casefold() in {one.strip().casefold() for one in kind}
    return "" if known else what


def _is_number(word: object) -> bool:
    if isinstance(word, bool):
        return False
    try:
        return float(str(word)) == float(str(word))
    except ValueError:
        return False


def _each(name: str, spec: NodeSpec, nodes: Mapping[str, NodeSpec], ways: Ways, where: Node) -> Iterator[Problem]:
    at = where.at("each")
    if spec.each is None:
        if "max_items" in spec.model_fields_set:
            message = "`max_items` is only read together with `each`"
            yield where.at("max_items").problem("senseless", message, hint="leave it out", on_key=True)
        return
    source, dot, field = spec.each.partition(".")
    if not dot or not field:
        message = f"`each` must be `node.field`, not {spec.each!r}"
        yield at.problem("wrong_value", message, hint="the field is a `list` of a node before this one")
    elif source not in nodes:
        message = f"`each` names `{source}`, which is no node"
        yield at.problem("unknown_node", message, hint=nearest(source, [other for other in nodes if other != name]))
    elif field not in nodes[source].fields:
        message = f"the node `{source}` has no field `{field}`"
        hint = nearest(field, nodes[source].fields) or f"add `fields: {{{field}: list}}` to `{source}`"
        yield at.problem("unknown_field", message, hint=hint)
    elif nodes[source].fields[field] != "list":
        yield at.problem("senseless", f"`{spec.each}` is no list", hint=f"write `{field}: list` in its `fields`")
    elif source == name or name not in reachable(ways, source):
        why = "cannot be the node itself" if source == name else "does not come before it"
        message = f"`{name}` works on each item of `{spec.each}`, but `{source}` {why}"
        yield at.problem("senseless", message, hint="lead a way from there to here with `next`")


def _endless(chat: ChatSpec, node: Node, reached: set[str]) -> Iterator[Problem]:
    always = {
        name: tuple(way.to for way in edges(spec) if not way.when and way.to in reached)
        for name, spec in chat.nodes.items()
        if name in reached
    }
    for circle in circles(always):
        last = circle[-2]
        place = next(n for n, way in enumerate(edges(chat.nodes[last])) if way.to == circle[-1] and not way.when)
        message = f"this circle has no condition, so only its limit would end it: {' -> '.join(circle)}"
        where = _way(node.at("nodes", last), place)
        hint = "give one of its ways a `when`, for example `{to: NODE, when: {verdict: revise}}`"
        yield where.problem("senseless", message, hint=hint, on_key=False)
