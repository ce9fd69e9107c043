"""The synthesis methods by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from crewmix.definitions.names import nearest
from crewmix.definitions.spec import SynthesisSpec
from crewmix.errors import UsageError
from crewmix.journal.scope import Scope
from crewmix.synthesis.base import Answer, Desk, Draft, Question, Stages, Synthesis
from crewmix.synthesis.judges.judge import Judge
from crewmix.synthesis.judges.rank import Rank
from crewmix.synthesis.programs.tested import Tested
from crewmix.synthesis.readers.aggregate import Aggregate
from crewmix.synthesis.readers.critique import CritiqueCombine
from crewmix.synthesis.votes.majority import Majority
from crewmix.synthesis.votes.similarity import Similarity
from crewmix.synthesis.votes.weighted import Weighted

METHODS: Mapping[str, Callable[[SynthesisSpec, Desk], Synthesis]] = {
    "aggregate": Aggregate,
    "critique_combine": CritiqueCombine,
    "majority": Majority,
    "weighted": Weighted,
    "similarity": Similarity,
    "rank": Rank,
    "judge": Judge,
    "tested": Tested,
}
"""Every method by its name in crew files."""
_COUNTING = {"majority", "weighted"}
"""Methods that also read a single draft: it may hold no answer that can be counted."""


@dataclass(frozen=True, slots=True)
class _Several:
    """A way of merging for which there is nothing to do with a single draft: that is the answer."""

    method: Synthesis

    async def merge(self, scope: Scope, question: Question, drafts: tuple[Draft, ...]) -> Answer:
        """What the method makes of two drafts or more; see `Synthesis.merge`."""
        return Answer(drafts[0].text) if len(drafts) == 1 else await self.method.merge(scope, question, drafts)

    def stages(self, question: Question, drafts: tuple[Draft, ...], *, worst: bool) -> Stages:
        """The calls that `merge` would make; see `Synthesis.stages`."""
        return () if len(drafts) == 1 else self.method.stages(question, drafts, worst=worst)


def make_synthesis(spec: SynthesisSpec, desk: Desk) -> Synthesis:
    """The way of merging that a crew file asks for.

    Raises:
        UsageError: There is no such method.
    """
    method = METHODS.get(spec.method)
    if method is None:
        raise UsageError(f"unknown synthesis method {spec.method!r}", hint=nearest(spec.method, METHODS))
    made = method(spec, desk)
    return made if spec.method in _COUNTING else _Several(made)
