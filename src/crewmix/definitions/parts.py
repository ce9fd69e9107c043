"""A crew in pieces: read and validated, but not yet held against each other."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from crewmix.definitions.nodes import Node
from crewmix.definitions.spec import CrewSpec, ModelSpec, Role, Task


@dataclass(frozen=True)
class Member:
    """A role of a crew: `node` is where it is written, `named_at` where the crew names it."""

    role: Role
    node: Node
    named_at: Node


@dataclass(frozen=True)
class Work:
    """A task of a crew: `node` is where it is written, `named_at` where the crew names it."""

    task: Task
    node: Node
    named_at: Node


@dataclass(frozen=True)
class Parts:
    """A crew whose parts were found, but not yet held against each other."""

    spec: CrewSpec
    node: Node
    roles: tuple[Member, ...]
    others: tuple[Member, ...]
    """Planner, synthesizer and judge."""
    tasks: tuple[Work, ...]
    models: Mapping[str, ModelSpec]
    """The crew's models with those given at the start."""
    given: Collection[str]
    """Names of the models given at the start: the file is not to blame for them."""
    root: Path
    """The project's folder."""
    complete: bool
    """Whether every role and task was found, so that a missing name is a mistake of its own."""
