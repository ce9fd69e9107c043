"""The most frequent closed answer (Li et al., "More Agents Is All You Need", arXiv 2402.05120)."""

from __future__ import annotations

from crewmix.definitions.spec import SynthesisSpec
from crewmix.journal.scope import Scope
from crewmix.synthesis.base import Answer, Desk, Draft, Question, Stages
from crewmix.synthesis.votes.election import elect, tie_stages
from crewmix.synthesis.votes.standing import PerDraft, standings


class Majority:
    """One draft, one vote. Ties go by `ties`: to the member of best record or weight, to the first, or to the synthesizer.

    Args:
        spec: The synthesis as written.
        desk: The project's folder, for the record; the models, for `ties: aggregate`.

    Raises:
        UserError: The record cannot be read.
    """

    def __init__(self, spec: SynthesisSpec, desk: Desk) -> None:
        self._spec, self._desk = spec, desk
        self._standings = standings(spec, desk.root)
        self._weights: PerDraft = lambda drafts: [1.0] * len(drafts)

    async def merge(self, scope: Scope, question: Question, drafts: tuple[Draft, ...]) -> Answer:
        """The answer with the greatest weight of ballots; see `crewmix.synthesis.votes.election.elect`."""
        return await elect(
            scope,
            question,
            drafts,
            spec=self._spec,
            desk=self._desk,
            weights=self._weights(drafts),
            standing=self._standings(drafts),
        )

    def stages(self, question: Question, drafts: tuple[Draft, ...], *, worst: bool) -> Stages:
        """Nothing, but at worst one call to settle a tie."""
        return tie_stages(self._spec, self._desk, question, drafts, worst=worst)
