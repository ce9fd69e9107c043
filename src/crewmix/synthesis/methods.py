"""The synthesis methods by name."""

from __future__ import annotations

from crewmix.definitions.spec import Role, SynthesisSpec
from crewmix.errors import UsageError
from crewmix.models.gateway import Gateway
from crewmix.synthesis.aggregate import Aggregate
from crewmix.synthesis.base import Synthesis

METHODS = {"aggregate": Aggregate}


def make_synthesis(spec: SynthesisSpec, gateway: Gateway, synthesizer: Role) -> Synthesis:
    """The way of merging that a crew file asks for.

    Raises:
        UsageError: There is no such method.
    """
    method = METHODS.get(spec.method)
    if method is None:
        raise UsageError(f"unknown synthesis method {spec.method!r}", hint=f"one of: {', '.join(METHODS)}")
    return method(gateway, synthesizer, spec.llm)
