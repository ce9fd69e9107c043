"""Whether those who work on a task fit its chat and its synthesis."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from crewmix.definitions.bounds import layer_sizes, most_drafts
from crewmix.definitions.check_proposers import check_named, check_people
from crewmix.definitions.check_settings import unread_by_method
from crewmix.definitions.check_weights import check_record, check_weights
from crewmix.definitions.names import METHODS, PATTERNS
from crewmix.definitions.nodes import Node
from crewmix.definitions.parts import Parts, Work
from crewmix.definitions.read_by import FOR_STOP, method_reads
from crewmix.definitions.seats import Seat, seats
from crewmix.definitions.spec import ChatSpec, Role, SynthesisSpec
from crewmix.errors import Problem


@dataclass(frozen=True)
class Place:
    """A chat with the roles that hold it and the synthesis that follows."""

    owner: str
    """The crew or a task, for messages."""
    chat: ChatSpec
    chat_at: Node
    synthesis: SynthesisSpec
    synthesis_at: Node
    roles: tuple[Role, ...]
    blamed: Node
    """Where to say that these roles do not fit the chat."""

    @cached_property
    def seats(self) -> tuple[Seat, ...]:
        """Who sits in the chat."""
        return seats(self.chat, self.roles)

    @cached_property
    def drafts(self) -> int:
        """The most drafts the chat can bring."""
        return most_drafts(self.chat, self.seats)


def check_work(parts: Parts) -> Iterator[Problem]:
    """Names, numbers of drafts, and roles that would never speak. All roles and tasks of the crew must be known."""
    roles = {member.role.name: member.role for member in parts.roles}
    found = tuple(_places(parts))
    wrong: list[Problem] = []
    for place in found:
        wrong += check_named(place.chat, place.chat_at, roles)
    yield from wrong
    if not all(_written_whole(place) for place in found):
        return
    sound = [place for place in found if _is_known(place.chat)]
    for place in sound if not wrong else ():
        yield from check_people(place.chat, place.chat_at, place.seats)
        yield from _quorums(place)
    lone = dict(_lone_chats(sound)) if not wrong else {}
    yield from lone.values()
    for group in _grouped(sound, "synthesis"):
        yield from _synthesis(parts, group)
        if not wrong and all(place.seats for place in group):
            yield from _voters(parts, group, told={id(place.chat) for place in group} <= lone.keys())
    if not wrong and len(sound) == len(found) and all(place.seats for place in sound):
        yield from _silent(parts, sound)


def _is_known(chat: ChatSpec) -> bool:
    """Whether it can be told who sits in the chat."""
    return ":" in chat.pattern or (chat.pattern in PATTERNS and (chat.pattern != "graph" or bool(chat.nodes)))


def _written_whole(place: Place) -> bool:
    """Whether nothing had to be taken out of the chat and the synthesis; what is missing then would mislead."""
    chat = not place.chat.model_fields_set or place.chat_at.whole
    return chat and (not place.synthesis.model_fields_set or place.synthesis_at.whole)


def _places(parts: Parts) -> Iterator[Place]:
    """Each combination of a chat, a synthesis and roles once."""
    spec, node = parts.spec, parts.node
    everyone = tuple(member.role for member in parts.roles)
    crew = (spec.chat, node.at("chat"), spec.synthesis, node.at("synthesis"))
    if not parts.tasks:
        yield Place("the crew", *crew, everyone, node.at("chat"))
        return
    seen: set[tuple[int, int, tuple[str, ...]]] = set()
    for work in parts.tasks:
        place = _of_task(parts, work, everyone)
        key = (id(place.chat), id(place.synthesis), tuple(role.name for role in place.roles))
        if key not in seen:
            seen.add(key)
            yield place


def _of_task(parts: Parts, work: Work, everyone: Sequence[Role]) -> Place:
    task, node = work.task, work.node
    chat, chat_at = (task.chat, node.at("chat")) if task.chat else (parts.spec.chat, parts.node.at("chat"))
    synthesis, synthesis_at = task.synthesis, node.at("synthesis")
    if synthesis is None:
        synthesis, synthesis_at = parts.spec.synthesis, parts.node.at("synthesis")
    names = set(task.roles) or {role.name for role in everyone}
    reviewers = {role.name for role in everyone if role.approves}
    if chat.stop_when == "approved" and not names & reviewers:
        names |= reviewers
    roles = tuple(role for role in everyone if role.name in names)
    owner = f"task `{task.id}`" if task.roles or task.chat else "the crew"
    blamed = chat_at if task.chat or not task.roles else node.at("roles")
    return Place(owner, chat, chat_at, synthesis, synthesis_at, roles, blamed)


def _quorums(place: Place) -> Iterator[Problem]:
    if not place.seats:
        message = f"{place.owner} has nobody who would speak: none of its roles is in its `{place.chat.pattern}`"
        yield place.blamed.problem("senseless", message)
        return
    chat = place.chat
    reached: list[int] = [] if chat.pattern == "layers" else [place.drafts]
    if chat.pattern == "layers":
        for number, size in enumerate(layer_sizes(chat, place.seats)):
            layer = chat.per_layer[number] if number < len(chat.per_layer) else None
            if layer is None or layer.quorum is None:
                reached.append(size)
            elif layer.quorum > size:
                at = place.chat_at.at("per_layer", number, "quorum")
                message = _unreached("quorum", layer.quorum, size, f"layer {number + 1}")
                yield at.problem("senseless", message)
    if chat.quorum is not None and chat.quorum > min(reached, default=chat.quorum):
        message = _unreached("quorum", chat.quorum, min(reached), place.owner)
        yield place.blamed.at("quorum").problem("senseless", message)
    elif chat.quorum is not None and (problem := _stopped_below(place, chat.quorum, place.chat_at.at("quorum"))):
        yield problem


def _stopped_below(place: Place, quorum: int, node: Node) -> Problem | None:
    """A vote whose agreement ends it before there are drafts enough: it would fail just where all agree."""
    stop = place.chat.stop
    if place.chat.pattern != "vote" or stop is None or quorum <= stop.agree:
        return None
    message = f"`quorum: {quorum}` is not met where `stop` ends the vote after {stop.agree} drafts that agree"
    return node.problem("senseless", message, hint=f"write `agree: {quorum}`, or a `quorum` of at most {stop.agree}")


def _unreached(field: str, wanted: int, there: int, owner: str) -> str:
    return f"`{field}: {wanted}` cannot be reached: {owner} has only {_count(there)}"


def _count(drafts: int) -> str:
    return f"{drafts} draft{'' if drafts == 1 else 's'} to offer"


def _lone_chats(places: Sequence[Place]) -> Iterator[tuple[int, Problem]]:
    """Chats in which nobody would meet anybody, wherever they are held, with what is wrong."""
    for group in _grouped(places, "chat"):
        chat, at = group[0].chat, group[0].chat_at.at("pattern")
        if any(place.seats for place in group) and (wrong := _lone(chat, group)):
            field, message, hint = wrong
            yield (
                id(chat),
                (at if field == "pattern" else group[0].chat_at.at(*field.split("."))).problem(
                    "senseless", message, hint=hint
                ),
            )


def _lone(chat: ChatSpec, group: Sequence[Place]) -> tuple[str, str, str | None] | None:
    """Field, message and hint."""
    owner, most = group[0].owner, max(place.drafts for place in group)
    critics = any(seat.role.approves for place in group for seat in place.seats)
    if chat.pattern == "vote" and most == 1:
        return "pattern", f"a vote of one: {owner} has only {_count(1)}", _MORE
    if chat.pattern == "layers" and most == 1 and chat.layers == 2:
        return "pattern", f"there would be nothing to aggregate: {owner} has only {_count(1)}", _MORE
    if chat.pattern == "debate" and most == 1 and not critics:
        return "pattern", "nobody can debate alone: there is one debater and no critic", _MORE
    if chat.pattern == "debate" and chat.rounds == 1 and not critics:
        return "rounds", "in one round nobody answers anybody", "write `rounds: 2` or more, or `pattern: vote`"
    if chat.pattern == "handoff" and max(len(place.roles) for place in group) == 1:
        return "pattern", f"{owner} has one role, so there is nobody to pass to", None
    if chat.pattern in {"vote", "debate"} and chat.stop and chat.stop.agree > most:
        return "stop.agree", _unreached("agree", chat.stop.agree, most, owner), _MORE
    return None


_MORE = "add `samples: 3`, or name more `proposers`"


def _synthesis(parts: Parts, group: Sequence[Place]) -> Iterator[Problem]:
    """Settings that neither the method nor a chat reads, and files."""
    synthesis, at = group[0].synthesis, group[0].synthesis_at
    if synthesis.method not in METHODS:
        return
    for field in sorted(FOR_STOP & synthesis.model_fields_set):
        if not method_reads(synthesis.method, field) and not any(_stop_reads(place.chat, field) for place in group):
            yield unread_by_method(synthesis, at, field)
    yield from check_record(synthesis, at, parts.root)


def _voters(parts: Parts, group: Sequence[Place], *, told: bool) -> Iterator[Problem]:
    """Whether there are drafts enough, and those whom the weights name. `told`: that they are too few was said of the chat."""
    synthesis, at, owner = group[0].synthesis, group[0].synthesis_at, group[0].owner
    most = max(place.drafts for place in group)
    if synthesis.method in METHODS and synthesis.method != "aggregate" and most == 1:
        ends = {"handoff": "a `handoff` ends with one draft", "graph": "this `graph` ends with one draft"}
        why = ends.get(group[0].chat.pattern, f"{owner} has only {_count(1)}")
        hint = "more drafts come from more roles, or from `chat: {pattern: vote, samples: 5}`"
        problem = at.at("method").problem(
            "senseless", f"`{synthesis.method}` needs several drafts, and {why}", hint=hint
        )
        yield from () if told else (problem,)
    elif synthesis.quorum is not None and synthesis.quorum > most:
        yield at.at("quorum").problem("senseless", _unreached("quorum", synthesis.quorum, most, owner))
    elif synthesis.quorum is not None:
        problems = (_stopped_below(place, synthesis.quorum, at.at("quorum")) for place in group)
        yield from [problem for problem in problems if problem is not None][:1]
    yield from check_weights(synthesis, at, [seat for place in group for seat in place.seats], parts.models)


def _stop_reads(chat: ChatSpec, field: str) -> bool:
    if chat.stop is None:
        return False
    return (field == "measure") == (chat.stop.similarity is not None)


def _silent(parts: Parts, places: Sequence[Place]) -> Iterator[Problem]:
    """Roles that work on something and speak nowhere."""
    working = {role.name for place in places for role in place.roles}
    speaking: set[str] = set()
    for place in places:
        speaking |= _passed_to(place) if place.chat.pattern == "handoff" else {seat.of for seat in place.seats}
    pattern = places[0].chat.pattern if places else ""
    for member in parts.roles:
        role = member.role
        if role.name in working - speaking:
            why, hint = _SILENT.get(pattern, ("nobody lets it speak", "leave it out of `roles`"))
            if role.approves and pattern in {"vote", "layers"}:
                why, hint = f"`{pattern}` has no reviews, and it has `approves: true`", "leave it out of `roles`"
            yield member.named_at.problem("senseless", f"role `{role.name}` would never speak: {why}", hint=hint)


_UNPROPOSED = ("it is not among the `proposers`", "leave it out of `roles`, or add it to `proposers`")
_SILENT: Mapping[str, tuple[str, str]] = {
    "vote": _UNPROPOSED,
    "layers": _UNPROPOSED,
    "debate": _UNPROPOSED,
    "graph": ("no node has it as its `role`", "leave it out of `roles`, or give it a node"),
    "handoff": ("nobody may pass to it", "leave it out of `roles`, or name it in `handoffs`"),
}


def _passed_to(place: Place) -> set[str]:
    names = [role.name for role in place.roles]
    found: set[str] = set()
    ahead = names[:1]
    while ahead:
        name = ahead.pop()
        if name not in found:
            found.add(name)
            ahead += [taker for taker in place.chat.handoffs.get(name, names) if taker in names]
    return found


def _grouped(places: Sequence[Place], field: str) -> Iterator[list[Place]]:
    groups: dict[int, list[Place]] = {}
    for place in places:
        groups.setdefault(id(getattr(place, field)), []).append(place)
    yield from groups.values()
