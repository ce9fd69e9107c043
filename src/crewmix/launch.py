"""What a run is started with."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from crewmix.chat.base import PatternSource
from crewmix.definitions.definition import CrewDefinition
from crewmix.definitions.project import Project
from crewmix.definitions.spec import ModelSpec
from crewmix.journal.events import Event
from crewmix.journal.rows import Recording, RunRow
from crewmix.journal.shared import Budget
from crewmix.models.types import Model
from crewmix.tools.base import Tool
from crewmix.tools.people import People


@dataclass(frozen=True, slots=True)
class Fork:
    """A run whose answered effects a new one takes over, but for those that `without` names."""

    row: RunRow
    without: Callable[[Recording], bool]


@dataclass(frozen=True, slots=True)
class Launch:
    """What a run is started with, besides its goal.

    `models` are the crew's with Python objects put in, `tools` those its roles name. At most one of `resumes`, `replays` and
    `forks` is given: the run to go on with, the one to repeat without performing anything, or the one to take over from.
    """

    crew: CrewDefinition
    project: Project
    models: Mapping[str, ModelSpec | Model]
    tools: Mapping[str, Tool]
    inputs: Mapping[str, str] = field(default_factory=dict[str, str])
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """How `Crew.load` was called, so that `crewmix resume` can call it again."""
    given: Collection[str] = ()
    """Places of the definition that whoever resumes the run set on purpose, e.g. `budget`."""
    on_event: Callable[[Event], None] | None = None
    deltas: bool = True
    """Whether `on_event` wants text as it arrives."""
    people: People = field(default_factory=People)
    pattern: PatternSource | None = None
    """A chat pattern given in Python."""
    shared: Budget | None = None
    """A budget that this run shares with others."""
    resumes: RunRow | None = None
    replays: RunRow | None = None
    forks: Fork | None = None
    run_id: str = ""
