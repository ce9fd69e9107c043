"""A chat played through without a model: the pattern decides as in a run, and what is said is made up."""

from __future__ import annotations

from collections.abc import Sequence

from crewmix.agents.base import Contribution, Failure
from crewmix.chat.base import Choose, Done, Judge, Message, Pattern, Ruling, Speakers, Transcript, View
from crewmix.chat.graph.fields import made_up
from crewmix.definitions.seats import Seat
from crewmix.definitions.spec import SynthesisSpec
from crewmix.planning.meter import Load, Meter
from crewmix.planning.turns import PICK_TOKENS, Chair, Turns
from crewmix.synthesis.base import Desk, Draft, Question
from crewmix.synthesis.judges.compare import planned_revision


class RehearsedChat:
    """One chat in one case. What is said is short in the transcript; its real length is known by who says it.

    Args:
        chair: The task, its chat and who sits in it.
        pattern: Decides who speaks.
        turns: Says what a turn takes.
        meter: Counts the calls, and says which case it is.
        desk: Who judges revisions.
        label: The task's name in the stages.
    """

    def __init__(self, chair: Chair, pattern: Pattern, turns: Turns, meter: Meter, desk: Desk, label: str) -> None:
        self._chair = chair
        self._pattern = pattern
        self._turns = turns
        self._meter = meter
        self._desk = desk
        self._label = label
        self._transcript = Transcript(members=tuple(chair.table))

    def hold(self, goal: str) -> int:
        """Play the chat to its end; gives its depth."""
        depth = 0
        while not isinstance(step := self._pattern.next(self._transcript), Done):
            if isinstance(step, Choose):
                depth += self._pick(step)
            elif isinstance(step, Judge):
                depth += self._judge(step, goal)
            else:
                depth += self._round(step)
        return depth

    def drafts(self) -> tuple[Draft, ...]:
        """What the chat offers, in full length."""
        return tuple(self._full(message) for message in self._pattern.drafts(self._transcript))

    def reviews(self) -> tuple[Draft, ...]:
        """The last words of the reviewers whose messages are no drafts, in full length."""
        offered = {message.role for message in self._pattern.drafts(self._transcript)}
        last = {m.role: m for m in self._transcript.spoken if self._chair.table[m.role].role.approves}
        return tuple(self._full(message) for name, message in last.items() if name not in offered)

    def _full(self, message: Message) -> Draft:
        seat = self._chair.table[message.role]
        size = self._turns.answer_tokens(seat.role) * 4
        return Draft(seat.name, f"{_word(seat.name, message.round)} {'word ' * (size // 5)}", role=seat.of)

    # -- steps ---------------------------------------------------------------------------------------------------------

    def _round(self, step: Speakers) -> int:
        chair, chat = self._chair, self._transcript
        table = [chair.table[name] for name in step.roles]
        views = [self._pattern.view(chat, seat.name) for seat in table]
        loads = [self._turns.take(seat, view, chair) for seat, view in zip(table, views, strict=True)]
        self._meter.count(self._label, self._stage(table), sum((load for load, _ in loads), Load()))
        said = tuple(self._said(seat, view) for seat, view in zip(table, views, strict=True))
        self._transcript = chat.with_round(said)
        return max(depth for _, depth in loads)

    def _pick(self, step: Choose) -> int:
        spoken = [m.role for m in self._transcript.messages]
        picked = min(step.candidates, key=spoken.count)
        select, meter = self._chair.chat.select, self._meter
        attempts = 0 if select.function is not None else 3 if meter.worst else 1
        size = self._turns.shown(self._transcript.messages, self._chair) + 200
        profile = self._desk.gateway.profile(select.llm or "default")
        for _ in range(attempts):
            meter.count(self._label, "picks of speakers", meter.one(profile, size, PICK_TOKENS))
        self._transcript = self._transcript.with_pick(picked)
        return attempts

    def _judge(self, step: Judge, goal: str) -> int:
        """Every revision is better, which makes for the longest debate; at worst the judge is asked twice."""
        task, meter = self._chair.task, self._meter
        question = Question(goal, task.description, task.expected_output)
        attempts = 2 if meter.worst else 1
        for revision in step.revisions:
            standing, revised = (self._full(m).text for m in (revision.standing, revision.revised))
            call = planned_revision(self._desk.judge, question, standing, revised)
            answer = call.output_tokens
            answer = self._turns.answer_tokens(call.role, call.llm) if answer is None else answer
            one = meter.one(self._desk.gateway.profile(call.llm), call.input_tokens, answer)
            for _ in range(attempts):
                meter.count(self._label, "judging of revisions", one)
        rulings = tuple(Ruling(r.role, r.revised.round, better=True) for r in step.revisions)
        self._transcript = self._transcript.with_rulings(rulings)
        return attempts if step.revisions else 0

    # -- what is said --------------------------------------------------------------------------------------------------

    def _stage(self, table: Sequence[Seat]) -> str:
        number = self._transcript.round + 1
        match self._chair.chat.pattern:
            case "layers":
                return f"layer {number}"
            case "vote":
                return "votes"
            case "debate":
                return f"round {number}"
            case "graph":
                return ", ".join(dict.fromkeys(seat.node for seat in table))
            case _:
                return "talk"

    def _said(self, seat: Seat, view: View) -> Contribution:
        worst = self._meter.worst
        if worst and self._chair.chat.pattern == "handoff" and not view.pass_to:
            # Its turn fails, so the floor goes back to who passed it on: that makes for the longest talk.
            return Contribution(seat.name, "", failure=Failure("worst", "made up"))
        agrees = self._agrees(seat)
        text = _agreed(self._chair.synthesis) if agrees else _word(seat.name, self._transcript.round + 1)
        verdict = None if not seat.role.approves else "revise" if worst else "approve"
        data = made_up(view.schema) if view.schema is not None else None
        return Contribution(seat.name, text, verdict, data=data, passed_to=self._passed_to(seat, view))

    def _agrees(self, seat: Seat) -> bool:
        """Whether a draft agrees with others, where agreement ends the chat. At worst it is one short, in the first votes."""
        chat, members = self._chair.chat, self._transcript.members
        if chat.stop is None or not self._meter.worst:
            return chat.stop is not None
        return chat.pattern == "vote" and members.index(seat.name) < chat.stop.agree - 1

    def _passed_to(self, seat: Seat, view: View) -> str | None:
        """At worst always someone, best one who can pass on as well; else whoever has not spoken yet, if anyone."""
        spoken = [seat.name, *(m.role for m in self._transcript.messages)]
        if not self._meter.worst:
            return next((name for name in view.pass_to if name not in spoken), None)
        passing = [name for name in view.pass_to if self._pattern.view(self._transcript, name).pass_to]
        return min(passing or view.pass_to, key=spoken.count, default=None)


def _word(name: str, number: int) -> str:
    """A word that stands for what one seat says in one round: it agrees with no other, and holds no closed answer."""
    return "q" + "".join(chr(ord("a") + ord(c) % 26) + chr(ord("a") + ord(c) // 26 % 26) for c in f"{name} {number}")


def _agreed(spec: SynthesisSpec) -> str:
    """What drafts say that agree."""
    if spec.answer == "json":
        return '{"answer": 1}'
    if spec.choices:
        return f"Answer: {spec.choices[0]}"
    return "Answer: A" if spec.answer == "choice" else "Answer: 1"
