"""The chat patterns, each a pure function of the transcript."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from crewmix.chat.base import Choose, Done, Message, Pattern, Speakers, Transcript
from crewmix.definitions.names import nearest
from crewmix.definitions.spec import ChatSpec, Role
from crewmix.errors import UsageError


@dataclass(frozen=True, slots=True)
class RoundRobin:
    """One after another, in crew order. A failed turn is a turn.

    Args:
        members: Names of the roles, in speaking order.
        max_turns: The most turns.
        approvers: Roles whose turns end in a verdict.
        stop_when: `approved` ends the chat as soon as one of them approves a draft.
    """

    members: tuple[str, ...]
    max_turns: int
    approvers: frozenset[str] = frozenset()
    stop_when: str | None = None

    def next(self, chat: Transcript) -> Speakers | Done:
        """The next role in order."""
        if over := _over(chat, self.max_turns, self.approvers, self.stop_when):
            return over
        return Speakers((self.members[len(chat.messages) % len(self.members)],))

    def view(self, chat: Transcript, role: str) -> tuple[Message, ...]:
        """Everything said so far."""
        return chat.spoken


@dataclass(frozen=True, slots=True)
class Selector:
    """The next speaker is picked. A failed turn is a turn, so a member that always fails cannot hold the chat up.

    Args:
        members: Names of the roles.
        max_turns: The most turns.
        approvers: Roles whose turns end in a verdict.
        stop_when: `approved` ends the chat as soon as one of them approves a draft.
        allow_repeat: Whether the same role may be picked twice in a row.
    """

    members: tuple[str, ...]
    max_turns: int
    approvers: frozenset[str] = frozenset()
    stop_when: str | None = None
    allow_repeat: bool = False

    def next(self, chat: Transcript) -> Speakers | Choose | Done:
        """Who was picked, or between whom to pick. The chat cannot be ended before there is a draft."""
        if over := _over(chat, self.max_turns, self.approvers, self.stop_when):
            return over
        picked, role = chat.picked()
        if picked:
            return Done("no further speaker was picked") if role is None else Speakers((role,))
        last = chat.messages[-1].role if chat.messages and not self.allow_repeat else None
        candidates = tuple(name for name in self.members if name != last) or self.members
        may_end = bool(chat.drafts(self.approvers))
        return Choose(candidates, may_end) if may_end or len(candidates) > 1 else Speakers(candidates)

    def view(self, chat: Transcript, role: str) -> tuple[Message, ...]:
        """Everything said so far."""
        return chat.spoken


def make_pattern(chat: ChatSpec, roles: Sequence[Role]) -> Pattern:
    """The pattern a crew file asks for.

    Args:
        chat: Who speaks when, as written.
        roles: The roles in the chat, in crew order.

    Raises:
        UsageError: There is no such pattern, or nobody to speak.
    """
    if chat.pattern not in PATTERNS:
        raise UsageError(f"there is no chat pattern {chat.pattern!r}", hint=nearest(chat.pattern, PATTERNS))
    if not roles:
        raise UsageError("a chat needs at least one role")
    return PATTERNS[chat.pattern](chat, roles)


def _round_robin(chat: ChatSpec, roles: Sequence[Role]) -> RoundRobin:
    rounds = 2 if chat.stop_when else 1
    return RoundRobin(_names(roles), chat.max_turns or rounds * len(roles), _approvers(roles), chat.stop_when)


def _selector(chat: ChatSpec, roles: Sequence[Role]) -> Selector:
    turns = chat.max_turns or 2 * len(roles)
    return Selector(_names(roles), turns, _approvers(roles), chat.stop_when, chat.select.allow_repeat)


PATTERNS: Mapping[str, Callable[[ChatSpec, Sequence[Role]], Pattern]] = {
    "round_robin": _round_robin,
    "selector": _selector,
}
"""Every pattern by its name in crew files."""


def _names(roles: Sequence[Role]) -> tuple[str, ...]:
    return tuple(role.name for role in roles)


def _approvers(roles: Sequence[Role]) -> frozenset[str]:
    return frozenset(role.name for role in roles if role.approves)


def _over(chat: Transcript, max_turns: int, approvers: Collection[str], stop_when: str | None) -> Done | None:
    if stop_when == "approved" and (approver := _approved_by(chat, approvers)):
        return Done(f"{approver} approved")
    return Done(f"{max_turns} turns") if len(chat.messages) >= max_turns else None


def _approved_by(chat: Transcript, approvers: Collection[str]) -> str | None:
    """Who approves by their last word, spoken after somebody gave a draft."""
    drafted = next((m.round for m in chat.spoken if m.role not in approvers), None)
    if drafted is None:
        return None
    last = {m.role: m for m in chat.spoken if m.role in approvers and m.round > drafted}
    return next((role for role, m in last.items() if m.contribution.verdict == "approve"), None)
