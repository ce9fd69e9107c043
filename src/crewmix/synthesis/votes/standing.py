"""What the ballot of a draft counts, and whose answer goes before at a tie."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from crewmix.definitions.record import Record
from crewmix.definitions.spec import SynthesisSpec
from crewmix.synthesis.answers.final_answer import confidence
from crewmix.synthesis.base import Draft

PerDraft = Callable[[Sequence[Draft]], list[float]]


def weightings(spec: SynthesisSpec, root: Path) -> PerDraft:
    """The weights of drafts: as given, as each draft states, or by record; 1 where nothing is known.

    A given weight is looked up by the author's name (`solver#2`), then its role, then its model.

    Args:
        spec: The synthesis as written: `weights`, `record`, `choices`.
        root: The project's folder.

    Raises:
        UserError: The record cannot be read.
    """
    match spec.weights:
        case "confidence":
            return lambda drafts: [confidence(draft.text) for draft in drafts]
        case None:
            return _by_record(spec, root) if spec.record else lambda drafts: [1.0] * len(drafts)
        case given:
            return lambda drafts: [known(given, draft, 1.0) for draft in drafts]


def standings(spec: SynthesisSpec, root: Path) -> PerDraft:
    """Who goes before at a tie: by record where there is one, otherwise by weight.

    Raises:
        UserError: The record cannot be read.
    """
    return _by_record(spec, root) if spec.record else weightings(spec, root)


def known(values: Mapping[str, float], draft: Draft, otherwise: float) -> float:
    """What is known of a draft's author: by its name, then its role, then its model, in the crew's words or in full."""
    names = (draft.author, draft.role, draft.llm, draft.model)
    return next((values[name] for name in names if name in values), otherwise)


def _by_record(spec: SynthesisSpec, root: Path) -> PerDraft:
    record = Record.load(root / (spec.record or ""))
    weights = record.vote_weights(len(spec.choices))
    return lambda drafts: [known(weights, draft, record.typical(weights)) for draft in drafts]
