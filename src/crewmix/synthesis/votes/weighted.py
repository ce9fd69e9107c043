"""Closed answers, weighted by who gives them: by given weights, by each draft's own confidence, or by track record."""

from __future__ import annotations

from crewmix.definitions.spec import SynthesisSpec
from crewmix.errors import UsageError
from crewmix.synthesis.base import Desk
from crewmix.synthesis.votes.majority import Majority
from crewmix.synthesis.votes.standing import weightings


class Weighted(Majority):
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
        super().__init__(spec, desk)
        self._weights = weightings(spec, desk.root)
