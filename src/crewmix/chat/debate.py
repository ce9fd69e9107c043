"""Debate: rounds in which everyone sees and answers the others (Du et al. 2023, arXiv:2305.14325).

Each debater has a standing draft. A revision takes its place only where a judge finds it better, because critics and self-made
doubts also make good answers worse (Reflexion loses 6 points on MBPP: Shinn et al. 2023, arXiv:2303.11366).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from crewmix.chat.base import Done, Judge, Message, Revision, Speakers, Step, Transcript, View
from crewmix.chat.in_turn import approved_by
from crewmix.chat.setting import Setting
from crewmix.chat.vote import Agreement, agreement
from crewmix.errors import UsageError

ANSWER_OTHERS = (
    "Your own last draft and those of the others are above. Answer the others: say where they are wrong and why, defend what is "
    "right in yours, and correct it where they convince you; that many agree proves nothing. Then give your complete revised "
    "answer, which must stand for itself."
)
"""What a debater is asked from the second round on."""

ANSWER_REVIEW = (
    "Your own last draft is above, with what was said about it. Correct what is wrong or missing, defend what is right, and give "
    "your complete revised answer, which must stand for itself."
)
"""What the only debater is asked from the second round on."""

REVIEW_DRAFTS = "Review each of the drafts that stand, by the name of its author."
"""What a reviewer is asked."""


@dataclass(frozen=True, slots=True)
class Debate:
    """Rounds of drafts, each followed by reviews where there are reviewers.

    Args:
        debaters: Who drafts.
        critics: Who reviews.
        rounds: The most rounds of drafts.
        judged: Whether a revision must be found better to replace the draft that stands.
        stop_when: `approved` ends the debate as soon as a reviewer approves.
        agree: How many standing drafts must agree to end it; None = agreement does not end it.
        agreement: Counts the drafts that agree.
    """

    debaters: tuple[str, ...]
    critics: tuple[str, ...]
    rounds: int
    judged: bool
    stop_when: str | None
    agree: int | None
    agreement: Agreement

    def next(self, chat: Transcript) -> Step:
        """Debaters, the judge of what they revised, reviewers, and debaters again."""
        if chat.messages and chat.messages[-1].role in self.critics:
            approver = approved_by(chat, self.critics) if self.stop_when == "approved" else None
            return Done(f"{approver} approved") if approver else Speakers(self.debaters)
        if not chat.messages:
            return Speakers(self.debaters)
        if pending := self._pending(chat):
            return Judge(pending)
        if reason := self._over(chat):
            return Done(reason)
        return Speakers(self.critics or self.debaters)

    def view(self, chat: Transcript, role: str) -> View:
        """Debaters: what stands, and the last reviews. Reviewers: what stands, and their own last review."""
        standing = self._standing(chat)
        drafts = tuple(standing[name] for name in chat.members if name in standing)
        reviews = {m.role: m for m in chat.spoken if m.role in self.critics}
        if role in self.critics:
            return View((*drafts, *(m for m in reviews.values() if m.role == role)), ask=REVIEW_DRAFTS)
        if not chat.messages:
            return View()
        last = tuple(m for m in reviews.values() if m.round == chat.round)
        others = any(name != role for name in standing)
        return View((*drafts, *last), ask=ANSWER_OTHERS if others else ANSWER_REVIEW if role in standing else "")

    def drafts(self, chat: Transcript) -> tuple[Message, ...]:
        """The standing draft of each debater."""
        standing = self._standing(chat)
        return tuple(standing[name] for name in chat.members if name in standing)

    def _over(self, chat: Transcript) -> str | None:
        """Why no further round is held after one of drafts."""
        standing = self._standing(chat)
        held = len({m.round for m in chat.messages if m.role in self.debaters})
        if not standing:
            return "nobody gave a draft"
        if self.agree is not None:
            agreeing = self.agreement([m.text for m in self.drafts(chat)])
            if agreeing >= self.agree:
                return f"{agreeing} of {len(standing)} drafts agree after {_rounds(held)}"
        if held > 1 and not any(m.round == chat.round for m in standing.values()):
            return "no revision was better"
        return _rounds(held) if held >= self.rounds else None

    def _standing(self, chat: Transcript) -> Mapping[str, Message]:
        """Each debater's best draft so far: the first, or the last revision that was accepted."""
        better = {(ruling.role, ruling.round) for ruling in chat.rulings if ruling.better}
        standing: dict[str, Message] = {}
        for message in chat.spoken:
            if message.role not in self.debaters:
                continue
            old = standing.get(message.role)
            accepted = not self.judged or (message.role, message.round) in better
            if old is None or (accepted and _differ(message, old)):
                standing[message.role] = message
        return standing

    def _pending(self, chat: Transcript) -> tuple[Revision, ...]:
        """Revisions of the last round on which there is no ruling; to repeat one's draft is no revision."""
        if not self.judged:
            return ()
        ruled = {(ruling.role, ruling.round) for ruling in chat.rulings}
        standing = self._standing(chat)
        new = (m for m in chat.spoken if m.round == chat.round and (m.role, m.round) not in ruled)
        return tuple(Revision(m.role, standing[m.role], m) for m in new if _differ(m, standing[m.role]))


def debate(setting: Setting) -> Debate:
    """Proposers debate, roles with `approves` review.

    Raises:
        UsageError: There is nobody to debate.
    """
    chat, reviewers = setting.chat, setting.reviewers
    debaters = tuple(name for name in setting.names if name not in reviewers)
    if not debaters:
        raise UsageError("a debate needs a role that drafts", hint="leave `approves` out of one of its roles")
    return Debate(
        debaters=debaters,
        critics=tuple(dict.fromkeys(name for name in setting.names if name in reviewers)),
        rounds=chat.rounds,
        judged=chat.accept == "judged",
        stop_when=chat.stop_when,
        agree=chat.stop.agree if chat.stop else None,
        agreement=agreement(setting),
    )


def _differ(one: Message, other: Message) -> bool:
    return one.text.split() != other.text.split()


def _rounds(count: int) -> str:
    return "1 round" if count == 1 else f"{count} rounds"
