"""Patterns in which one role speaks at a time and everyone hears everything."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from crewmix.chat.base import Choose, Done, Message, Speakers, Transcript, View
from crewmix.chat.setting import Setting


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

    def view(self, chat: Transcript, role: str) -> View:
        """Everything said so far."""
        return View(chat.spoken)

    def drafts(self, chat: Transcript) -> tuple[Message, ...]:
        """The last message of each role that is no reviewer."""
        return chat.last_drafts(self.approvers)


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
        may_end = bool(chat.last_drafts(self.approvers))
        return Choose(candidates, may_end) if may_end or len(candidates) > 1 else Speakers(candidates)

    def view(self, chat: Transcript, role: str) -> View:
        """Everything said so far."""
        return View(chat.spoken)

    def drafts(self, chat: Transcript) -> tuple[Message, ...]:
        """The last message of each role that is no reviewer."""
        return chat.last_drafts(self.approvers)


def round_robin(setting: Setting) -> RoundRobin:
    """One after another: each role once, or twice where approval may end the talk earlier."""
    chat, names = setting.chat, setting.names
    rounds = 2 if chat.stop_when else 1
    return RoundRobin(names, chat.max_turns or rounds * len(names), setting.reviewers, chat.stop_when)


def selector(setting: Setting) -> Selector:
    """The next speaker is picked: two turns for each role, unless the crew file says otherwise."""
    chat, names = setting.chat, setting.names
    turns = chat.max_turns or 2 * len(names)
    return Selector(names, turns, setting.reviewers, chat.stop_when, chat.select.allow_repeat)


def _over(chat: Transcript, max_turns: int, approvers: Collection[str], stop_when: str | None) -> Done | None:
    if stop_when == "approved" and (approver := approved_by(chat, approvers)):
        return Done(f"{approver} approved")
    return Done(f"{max_turns} turns") if len(chat.messages) >= max_turns else None


def approved_by(chat: Transcript, approvers: Collection[str]) -> str | None:
    """Who approves by their last word, spoken after somebody gave a draft."""
    drafted = next((m.round for m in chat.spoken if m.role not in approvers), None)
    if drafted is None:
        return None
    last = {m.role: m for m in chat.spoken if m.role in approvers and m.round > drafted}
    return next((role for role, m in last.items() if m.contribution.verdict == "approve"), None)
