"""How drafts come about: what may stand under `chat`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from crewmix.definitions.spec_base import Name, Positive, Spec, Temperature


class SelectSpec(Spec):
    """How the `selector` pattern picks the next speaker."""

    llm: str | None = None
    """The model that picks; None = the crew's default model."""
    function: str | None = None
    """A Python function `package.module:function` that gets the transcript and returns a role's name or None to end."""
    allow_repeat: bool = False
    """Whether the same role may be picked twice in a row."""


class ProposerSpec(Spec):
    """One role as a proposer of `layers`, `vote` or `debate`. The short form is just the role's name."""

    role: Name
    """A role of the crew."""
    count: Positive | None = None
    """How many independent drafts it gives; None = the chat's `samples`."""
    llm: str | None = None
    """Its model here; None = the role's own."""
    temperature: Temperature | None = None
    """Its temperature here; None = the role's own."""
    max_output_tokens: Positive | None = None
    """Its longest answer here, in tokens; None = the role's own."""


class LayerSpec(Spec):
    """What is different in one round of proposers of `layers`."""

    proposers: tuple[Name | ProposerSpec, ...] = ()
    """Who proposes in this layer; empty = the chat's `proposers`."""
    llm: str | None = None
    """The model of all proposers of this layer that name none themselves."""
    temperature: Temperature | None = None
    """The temperature of all proposers of this layer that name none themselves."""
    quorum: Positive | None = None
    """The fewest drafts this layer must bring; None = the chat's `quorum`."""


class StopSpec(Spec):
    """When enough drafts agree, no further ones are asked for."""

    agree: Annotated[int, Field(ge=2)]
    """How many drafts must agree."""
    similarity: Annotated[float, Field(gt=0, le=1)] | None = None
    """For open answers: texts agree when they are at least this similar, 0 to 1. None = closed answers must be equal."""


FieldType = Literal["text", "number", "boolean", "list"] | tuple[str, ...]
"""The type of a field of a structured reply; a list of words = one of these words."""


class EdgeSpec(Spec):
    """A way from one node of a `graph` to another. The short form is just the other node's name."""

    to: Name
    """The node that speaks after this one."""
    when: dict[str, str | bool | float] = {}
    """Conditions, all of which must hold: `verdict: approve` for reviewers, or a field of the node's reply and its value.
    Numbers may be compared: `score: ">= 7"`."""


class NodeSpec(Spec):
    """One step of a `graph`: a role, what it is asked, and where it goes on from there."""

    role: Name
    """A role of the crew."""
    ask: str = ""
    """What this node is to do, besides the task."""
    fields: dict[Name, FieldType] = {}
    """Makes the reply structured: name of a field -> `text`, `number`, `boolean`, `list`, or a list of allowed words."""
    each: str | None = None
    """`node.field` of a node before this one: the role speaks once for each item of that list, in parallel."""
    max_items: Annotated[int, Field(ge=1, le=100)] = 10
    """The most items of `each`; further ones are left out, and the run says so."""
    limit: Annotated[int, Field(ge=1, le=100)] = 3
    """How often the node may speak (an `each` node: may be entered); a way into it is closed after that."""
    next: tuple[Name | EdgeSpec, ...] = ()
    """Where it goes on; several ways are taken in parallel. Empty = it ends here."""

    @field_validator("next", mode="before")
    @classmethod
    def _one_or_many(cls, ways: object) -> object:
        return tuple(ways) if isinstance(ways, list | tuple) else (ways,)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]


class ChatSpec(Spec):
    """Who speaks when, and when the talk ends."""

    pattern: str = "round_robin"
    """`round_robin`: one after another. `selector`: the next speaker is picked by a model or a function. `layers`:
    Mixture-of-Agents, each layer of proposers sees the drafts of the layer before. `vote`: independent drafts. `debate`:
    rounds in which everyone sees and answers the others. `graph`: nodes and conditions. `handoff`: a role names who goes on.
    Or your own: `package.module:name` of a function or class."""
    max_turns: Annotated[int, Field(ge=1, le=1000)] | None = None
    """For patterns in which one speaks at a time: the most turns. None = each role once; with `selector`, `handoff` or
    `stop_when: approved` each role twice."""
    stop_when: Literal["approved"] | None = None
    """`approved`: end as soon as a role with `approves: true` approves."""
    select: SelectSpec = SelectSpec()
    """Only for `selector`."""
    proposers: tuple[Name | ProposerSpec, ...] = ()
    """Only for `layers`, `vote` and `debate`: who drafts. Empty = every role without `approves`. With `stop`, name cheap ones
    first."""
    samples: Positive = 1
    """Only for `layers`, `vote` and `debate`: how many independent drafts each proposer gives."""
    layers: Annotated[int, Field(ge=2, le=10)] = 2
    """Only for `layers`: how many layers, the aggregator (`synthesis`) included; 2 = one round of proposers, then the
    aggregator."""
    per_layer: tuple[LayerSpec, ...] = ()
    """Only for `layers`: what is different in each round of proposers, one entry each, `layers` - 1 in all."""
    shuffle: bool = False
    """Only for `layers`: show each proposer the drafts of the layer before in an order of its own (the same in every run)."""
    rounds: Annotated[int, Field(ge=1, le=20)] = 3
    """Only for `debate`: the most rounds, the first drafts included."""
    accept: Literal["judged", "always"] = "judged"
    """Only for `debate`: `judged`: a revision replaces a draft only if the crew's `judge` finds it better. `always`: it does."""
    stop: StopSpec | None = None
    """Only for `vote` and `debate`: end as soon as enough drafts agree."""
    nodes: dict[Name, NodeSpec] = {}
    """Only for `graph`: the steps by name. Those that nothing leads to speak first; if there are none, the first one does."""
    handoffs: dict[Name, tuple[Name, ...]] = {}
    """Only for `handoff`: role -> roles it may pass to; a role that is not named may pass to everyone. The first role begins."""
    turn_seconds: Annotated[float, Field(gt=0)] = 300.0
    """A turn that takes longer counts as failed."""
    retries: Annotated[int, Field(ge=0, le=10)] = 0
    """How often a failed turn is taken again. Failed calls are retried by the model's `attempts` in any case."""
    replacement: str | None = None
    """The model that takes a turn in place of one that failed, retries included; None = the turn is lost."""
    quorum: Positive | None = None
    """The fewest drafts that are enough, in every round of `layers` and `vote`, elsewhere at the end; None = 1."""
