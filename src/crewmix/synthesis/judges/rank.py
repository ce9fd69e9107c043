"""A judge puts the drafts in order; the one that comes out first is the answer.

The judge sees them without names and in an order that changes from ranking to ranking, so that neither a name nor a place
wins; the drafts' lengths stand beside their scores.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

from crewmix.definitions.spec import SynthesisSpec
from crewmix.errors import ModelError
from crewmix.journal.events import Warned
from crewmix.journal.scope import Scope
from crewmix.knowledge.sources import cited
from crewmix.result import Ballot, Score
from crewmix.synthesis.base import Answer, Desk, Draft, Question, Stages
from crewmix.synthesis.distinct import Distinct, distinct
from crewmix.synthesis.judges.counting import Count, count
from crewmix.synthesis.judges.ranking import REPLY_TOKENS, Ranked, ranked, ranking_frame, ranking_request
from crewmix.synthesis.order import orders, shuffled
from crewmix.synthesis.readers.overflow import Piece, next_window
from crewmix.synthesis.readers.reader import Reader
from crewmix.synthesis.together import together


@dataclass(frozen=True, slots=True)
class _Sitting:
    """One ranking that is wanted."""

    name: str
    shown: tuple[int, ...]
    """Which drafts, in the order in which the judge sees them."""
    sample: int


class Rank:
    """Orders the drafts by calls of the judge and counts the rankings.

    `listwise`: each ranking is one call with all drafts. `pairwise`: one call for each pair; with `rankings: 2` every pair is
    shown in both orders. The confidence is the share of rankings (or of comparisons in which it takes part) that put the
    winner first; a single one has none. Who was put before the winner, and why, is the dissent.

    Args:
        spec: The synthesis as written: `llm`, `compare`, `count`, `rankings`, `overflow`.
        desk: The door to the models, and the judge: its prompt, temperature and output limit.
    """

    def __init__(self, spec: SynthesisSpec, desk: Desk) -> None:
        self._spec = spec
        self._reader = Reader(desk.judge, spec.llm or desk.judge.llm, desk.gateway, spec.overflow)

    async def merge(self, scope: Scope, question: Question, drafts: tuple[Draft, ...]) -> Answer:
        """The draft that comes out first; see `Synthesis.merge`."""
        unlike = distinct(scope, drafts)
        shown = unlike.shown
        if len(shown) == 1:
            return Answer(shown[0].text, confidence=1.0, chosen=shown[0].author, method="rank")
        pieces = await self._shortened(scope, question, shown)
        sittings = self._sittings([draft.text for draft in shown])
        jobs = [
            (scope.at(f"rank.{n}", role=self._reader.role.name), self._judging(question, pieces, sitting))
            for n, sitting in enumerate(sittings, 1)
        ]
        held: list[tuple[_Sitting, Ranked]] = []
        for sitting, found in zip(sittings, await together(jobs), strict=True):
            if isinstance(found, ModelError):
                text = f"{self._named(sitting, shown)} was left out: {found.message}"
                scope.emit(Warned(code="ranking_failed", message=text))
            else:
                held.append((sitting, found))
        result = count([found.order for _, found in held], len(shown), self._spec.count)
        return self._answer(scope, drafts, unlike, held, result)

    async def _shortened(self, scope: Scope, question: Question, shown: Sequence[Draft]) -> Sequence[Piece]:
        """The drafts as all rankings show them. What is shortened by rule is shortened once for all lists."""
        reader, pieces = self._reader, _pieces(shown)
        if self._spec.compare == "pairwise" or reader.overflow == "window":
            return pieces
        frame = ranking_frame(reader, question, len(pieces))
        return await reader.with_room(scope, frame, pieces, lambda room: reader.reduced(scope, question, pieces, room))

    def _sittings(self, texts: Sequence[str]) -> tuple[_Sitting, ...]:
        times = self._spec.rankings
        if self._spec.compare == "listwise":
            return tuple(_Sitting(f"ranking {n + 1}", order, n) for n, order in enumerate(orders(texts, times)))
        return tuple(
            _Sitting(f"comparison {n + 1}" if times > 1 else "comparison", tuple(pair[p] for p in order), n)
            for pair in combinations(range(len(texts)), 2)
            for n, order in enumerate(orders([texts[p] for p in pair], times))
        )

    def _judging(
        self, question: Question, everyone: Sequence[Piece], sitting: _Sitting
    ) -> Callable[[Scope], Awaitable[Ranked]]:
        """The work of one sitting; the places in its outcome are those of `everyone`."""
        reader = self._reader
        pieces = tuple(everyone[n] for n in sitting.shown)

        async def judge(scope: Scope) -> Ranked:
            async def within(room: int) -> Ranked:
                found = await self._ordered(scope, question, pieces, sitting.sample, room)
                return Ranked(tuple(sitting.shown[place] for place in found.order), found.reason)

            return await reader.with_room(scope, ranking_frame(reader, question, len(pieces)), pieces, within)

        return judge

    async def _ordered(
        self, scope: Scope, question: Question, pieces: Sequence[Piece], sample: int, room: int
    ) -> Ranked:
        """All pieces, the best first. Where they outgrow the room, the best of each window meets the next ones."""
        reader = self._reader
        if reader.overflow != "window":
            pieces = await reader.reduced(scope, question, pieces, room)
        waiting = list(range(len(pieces)))
        best: Piece | None = None
        beaten: list[int] = []
        reasons: list[str] = []
        while True:
            rest = [pieces[n] for n in (waiting[1:] if best else waiting)]
            window = next_window(best, rest, room)
            reader.tell_cut(scope, [*([best] if best else []), *rest], window.shown)
            if window.rest and best is None:
                text = f"the drafts outgrow the context of {reader.model}: the best of each window meets the next ones"
                scope.emit(Warned(code="overflow", message=text))
            turn = shuffled([piece.text for piece in window.shown], str(sample)) if best else range(len(window.shown))
            found = await ranked(reader, scope, question, [window.shown[n] for n in turn], sample=sample)
            reasons.append(found.reason)
            places = [turn[place] for place in found.order]
            order = [waiting[place] for place in places]
            beaten = [*order[1:], *beaten]
            if not window.rest:
                return Ranked((order[0], *beaten), " ".join(filter(None, reasons)))
            best = window.shown[places[0]]
            waiting = [order[0], *waiting[len(order) :]]

    def _answer(
        self,
        scope: Scope,
        drafts: Sequence[Draft],
        unlike: Distinct,
        held: Sequence[tuple[_Sitting, Ranked]],
        result: Count,
    ) -> Answer:
        shown = unlike.shown
        winner = shown[result.winner]
        part = [(sitting, found) for sitting, found in held if result.winner in found.order]
        against = [(sitting, found) for sitting, found in part if found.order[0] != result.winner]
        dissent = [_objection(sitting, found, shown, winner) for sitting, found in against]
        if len(result.tied) > 1:
            text = (
                f"{' and '.join(shown[n].author for n in result.tied)} came out level; {winner.author} was given first"
            )
            scope.emit(Warned(code="tie", message=text))
            dissent.insert(0, text)
        return Answer(
            text=winner.text,
            sources=cited(winner.text, winner.sources),
            dissent=tuple(dissent),
            confidence=1 - len(against) / len(part) if len(part) > 1 else None,
            ballots=tuple(Ballot(self._named(sitting, shown), shown[found.order[0]].author) for sitting, found in held),
            scores=tuple(
                Score(draft.author, result.scores[place], len(draft.text.split()), self._reader.model)
                for draft, place in zip(drafts, unlike.place, strict=True)
            ),
            chosen=winner.author,
            method="rank",
        )

    def _named(self, sitting: _Sitting, shown: Sequence[Draft]) -> str:
        """What a ballot is called: `ranking 2`, or `comparison 2 of solver#1 and solver#3`."""
        if self._spec.compare == "listwise":
            return sitting.name
        one, other = sorted(sitting.shown)
        return f"{sitting.name} of {shown[one].author} and {shown[other].author}"

    def stages(self, question: Question, drafts: tuple[Draft, ...], *, worst: bool) -> Stages:
        """All rankings at once, each of one call or one for each window; at worst each call is made twice."""
        reader = self._reader
        listwise = self._spec.compare == "listwise"
        everyone = _pieces(drafts)
        first: Stages = ()
        room = reader.room(ranking_frame(reader, question, len(drafts) if listwise else 2))
        if listwise and reader.overflow != "window":
            first, everyone = reader.planned_reduction(question, everyone, room)
        stages: Stages = ()
        for sitting in self._sittings([draft.text for draft in drafts]):
            pieces = tuple(everyone[n] for n in sitting.shown)
            stages = _side_by_side(stages, self._planned(question, pieces, room, worst=worst))
        return (*first, *stages)

    def _planned(self, question: Question, pieces: Sequence[Piece], room: int, *, worst: bool) -> Stages:
        reader = self._reader
        stages: Stages = ()
        if reader.overflow != "window":
            stages, pieces = reader.planned_reduction(question, pieces, room)
        best: Piece | None = None
        while True:
            window = next_window(best, pieces, room)
            request = ranking_request(reader, question, window.shown)
            call = reader.planned(request, None if worst else REPLY_TOKENS)
            stages = (*stages, *([(call,)] * (2 if worst else 1)))
            if not window.rest:
                return stages
            best, pieces = window.shown[0], window.rest


def _pieces(drafts: Sequence[Draft]) -> tuple[Piece, ...]:
    return tuple(Piece("Response AA", draft.text, draft.author) for draft in drafts)


def _objection(sitting: _Sitting, found: Ranked, shown: Sequence[Draft], winner: Draft) -> str:
    text = f"{sitting.name} put {shown[found.order[0]].author} before {winner.author}"
    return f"{text}: {found.reason}" if found.reason else text


def _side_by_side(one: Stages, other: Stages) -> Stages:
    """Stages of two pieces of work that are done at the same time."""
    length = max(len(one), len(other))
    both = ((*one[n : n + 1], *other[n : n + 1]) for n in range(length))
    return tuple(tuple(call for stage in stages for call in stage) for stages in both)
