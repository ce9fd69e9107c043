"""Handoff: the role that speaks names who goes on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from crewmix.chat.base import Done, Message, Speakers, Transcript, View
from crewmix.chat.in_turn import approved_by
from crewmix.chat.setting import Setting

ASK = "Do your part of the task. If it is finished then, give the complete final answer; if someone else can do better, pass on."
"""What whoever has the floor is asked, reviewers excepted."""

LAST = "Give the complete final answer now."
"""What a role is asked that can pass to nobody."""


@dataclass(frozen=True, slots=True)
class Handoff:
    """One speaks at a time and everyone hears everything. A failed turn gives the floor back to who passed it on.

    Args:
        first: Who begins.
        ways: Role -> roles it may pass to.
        max_turns: The most turns.
        reviewers: Roles whose messages are reviews.
        stop_when: `approved` ends the chat as soon as one of them approves a draft.
    """

    first: str
    ways: Mapping[str, tuple[str, ...]]
    max_turns: int
    reviewers: frozenset[str] = frozenset()
    stop_when: str | None = None

    def next(self, chat: Transcript) -> Speakers | Done:
        """Whoever the last one passed to."""
        if not chat.messages:
            return Speakers((self.first,))
        last = chat.messages[-1]
        named = last.contribution.passed_to
        approver = approved_by(chat, self.reviewers) if self.stop_when == "approved" else None
        if approver:
            return Done(f"{approver} approved")
        if last.contribution.ok and named is None:
            return Done(f"{last.role} finished")
        if last.contribution.ok and named not in self.ways[last.role]:
            warning = f"{last.role} passed to {named!r}, to whom it may not pass; its answer was taken as the last"
            return Done(f"{last.role} passed to nobody", warning)
        holders = self._holders(chat)
        if not holders:
            return Done(f"{last.role} failed and there is nobody to go back to")
        if len(chat.messages) >= self.max_turns:
            return Done(
                f"{self.max_turns} turns",
                f"the talk was cut after {self.max_turns} turns, before {holders[-1]} could go on; raise `chat.max_turns`",
            )
        return Speakers(holders[-1:])

    def view(self, chat: Transcript, role: str) -> View:
        """Everything said so far, and whom the role may pass to."""
        ways = self.ways[role]
        ask = "" if role in self.reviewers else ASK if ways else LAST
        return View(chat.spoken, ask=ask, pass_to=ways)

    def drafts(self, chat: Transcript) -> tuple[Message, ...]:
        """The last message of someone who is no reviewer."""
        answers = [m for m in chat.spoken if m.role not in self.reviewers] or list(chat.spoken)
        return tuple(answers[-1:])

    def _holders(self, chat: Transcript) -> tuple[str, ...]:
        """Who had the floor and passed it on, and last who has it now."""
        holders = [self.first]
        for message in chat.messages:
            if not message.contribution.ok:
                holders.pop()
            elif message.contribution.passed_to is not None:
                holders.append(message.contribution.passed_to)
        return tuple(holders)


def handoff(setting: Setting) -> Handoff:
    """The first role begins; a role without `handoffs` of its own may pass to everyone else."""
    chat, names = setting.chat, setting.names
    ways = {name: tuple(to for to in chat.handoffs.get(name, names) if to != name and to in names) for name in names}
    return Handoff(names[0], ways, chat.max_turns or 2 * len(names), setting.reviewers, chat.stop_when)
