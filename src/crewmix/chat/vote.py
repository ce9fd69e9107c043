"""Sampling and voting: independent drafts, which the synthesis counts (Li et al. 2024, arXiv:2402.05120).

With `stop` only as many members are asked as it takes until enough drafts agree, in the order of the seats: cheap members first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from crewmix.chat.base import Done, Message, Speakers, Transcript, View
from crewmix.chat.setting import Setting
from crewmix.synthesis.answers.closed import agreeing

Agreement = Callable[[Sequence[str]], int]
"""How many of the texts agree: the size of the largest group."""


@dataclass(frozen=True, slots=True)
class Vote:
    """Members draft on their own, in parallel; nobody sees anything.

    Args:
        members: Names of the members, in the order in which they are asked.
        agree: How many drafts must agree; None = everyone is asked at once.
        agreement: Counts the drafts that agree.
    """

    members: tuple[str, ...]
    agree: int | None
    agreement: Agreement

    def next(self, chat: Transcript) -> Speakers | Done:
        """Everyone, or as many as may still be missing. Those that failed count for nothing; the next are asked."""
        waiting = self.members[len(chat.messages) :]
        drafts = [m.text for m in chat.spoken]
        if self.agree is None:
            return Speakers(waiting) if waiting else Done("1 draft" if len(drafts) == 1 else f"{len(drafts)} drafts")
        agreeing = self.agreement(drafts) if drafts else 0
        if agreeing >= self.agree or not waiting:
            left = f"; {len(waiting)} of {len(self.members)} members were not asked" if waiting else ""
            return Done(f"{agreeing} of {len(drafts)} drafts agree{left}")
        return Speakers(waiting[: max(1, self.agree - agreeing)])

    def view(self, chat: Transcript, role: str) -> View:
        """Nothing of the others."""
        return View()

    def drafts(self, chat: Transcript) -> tuple[Message, ...]:
        """Everything that was said, in the order of the members."""
        return chat.last_drafts(())


def vote(setting: Setting) -> Vote:
    """Every seat once."""
    stop = setting.chat.stop
    return Vote(setting.names, stop.agree if stop else None, agreement(setting))


def agreement(setting: Setting) -> Agreement:
    """How drafts are found to agree under the `stop` of a chat; without `stop`, they are not compared."""
    stop = setting.chat.stop
    return lambda texts: agreeing(texts, setting.synthesis, stop) if stop else 0
