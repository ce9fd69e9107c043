"""The synthesis methods by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from crewmix.definitions.names import nearest
from crewmix.definitions.spec import SynthesisSpec
from crewmix.errors import UsageError
from crewmix.synthesis.base import Desk, Synthesis
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


def make_synthesis(spec: SynthesisSpec, desk: Desk) -> Synthesis:
    """The way of merging that a crew file asks for.

    Raises:
        UsageError: There is no such method.
    """
    method = METHODS.get(spec.method)
    if method is None:
        raise UsageError(f"unknown synthesis method {spec.method!r}", hint=nearest(spec.method, METHODS))
    return method(spec, desk)
