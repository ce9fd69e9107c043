"""Closed answers, weighted by who gives them: by given weights, by each draft's own confidence, or by track record."""

from __future__ import annotations

from crewmix.definitions.spec import SynthesisSpec
from crewmix.errors import UsageError
from crewmix.journal.run import Scope
from crewmix.synthesis.base import Answer, Desk, Draft, Question, Stages
from crewmix.synthesis.standing import standings, weightings
from crewmix.synthesis.votes import elect, tie_stages


class Weighted:
    """The answer with the greatest weight of ballots. A tie goes by `ties`, as in `Majority`.

    Args:
        spec: The synthesis as written. `weights` goes before `record`, which then only breaks ties.
        desk: The project's folder, for the record; the models, for `ties: aggregate`.

    Raises:
        UsageError: There are neither weights nor a record.
        UserError: The record cannot be read.
    """

    def __init__(self, spec: SynthesisSpec, desk: Desk) -> None:
        if spec.weights is None and spec.record is None:
            hint = "write `weights: {name: 2}`, `weights: confidence` or `record: FILE`, or use `majority`"
            raise UsageError("`weighted` needs `weights` or a `record`", hint=hint)
        self._spec, self._desk = spec, desk
        self._weights, self._standings = weightings(spec, desk.root), standings(spec, desk.root)

    async def merge(self, scope: Scope, question: Question, drafts: tuple[Draft, ...]) -> Answer:
        """The weightiest answer; see `crewmix.synthesis.votes.elect`."""
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
