"""Whether the weights of a vote name someone who votes, and the record of earlier votes is there."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from crewmix.definitions.check_models import is_model_string
from crewmix.definitions.names import nearest
from crewmix.definitions.nodes import Node
from crewmix.definitions.record import Record
from crewmix.definitions.seats import Seat
from crewmix.definitions.spec import ModelSpec, SynthesisSpec
from crewmix.errors import DefinitionError, Problem


def check_weights(
    synthesis: SynthesisSpec, node: Node, table: Sequence[Seat], models: Mapping[str, ModelSpec]
) -> Iterator[Problem]:
    """Weights of nobody: neither a role nor a proposer nor a model of those who draft.

    Args:
        synthesis: The synthesis as written.
        node: Where it is written.
        table: Everyone whose drafts it merges.
        models: The crew's models.
    """
    if not isinstance(synthesis.weights, Mapping):
        return
    drafting = [seat for seat in table if not seat.role.approves]
    names = {name for seat in drafting for name in (seat.name, seat.of)}
    for name in synthesis.weights:
        if name not in names and name not in models and not is_model_string(name):
            message = f"`weights` names `{name}`, which is neither a role nor a proposer of this chat, nor a model"
            hint = nearest(name, _without_copies(names))
            yield node.at("weights", name).problem("unknown_role", message, hint=hint, on_key=True)


def check_record(synthesis: SynthesisSpec, node: Node, root: Path) -> Iterator[Problem]:
    """A record that is no file of the project, and what is wrong in it."""
    if synthesis.record is None or "\0" in synthesis.record:
        return
    if not (root / synthesis.record).is_file():
        message = f"there is no file {synthesis.record!r} with a record of earlier votes"
        hint = f"paths are relative to the project, {root}"
        yield node.at("record").problem("no_such_path", message, hint=hint)
        return
    if synthesis.method != "weighted" and synthesis.ties != "record":
        return
    try:
        Record.load(root / synthesis.record)
    except DefinitionError as error:
        yield from error.problems


def _without_copies(names: Collection[str]) -> list[str]:
    return [name for name in names if "#" not in name] or list(names)
