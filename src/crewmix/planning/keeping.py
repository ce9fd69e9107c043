"""Whether a synthesis of a crew will ask a model: only then its budgets keep a share for it."""

from __future__ import annotations

from dataclasses import replace

from crewmix.definitions.definition import CrewDefinition
from crewmix.definitions.spec_chat import ChatSpec
from crewmix.errors import UsageError
from crewmix.planning.meter import Meter
from crewmix.planning.rehearsal import Rehearsal
from crewmix.planning.turns import Cast


def will_merge(cast: Cast, task: str | None = None) -> bool:
    """Whether a model will have to merge drafts, if the crew's work goes as expected.

    The crew is played through without a model. A chat pattern of the user's own is taken for one in which each role speaks,
    since playing it would run the user's code.

    Args:
        cast: The crew, filled in, and its models.
        task: The id of the only task that counts; None = all of them and the final synthesis.
    """
    crew = cast.crew
    if task is None and not crew.tasks and crew.plan is not None and crew.plan.max_tasks > 1:
        return True
    meter = Meter(lambda profile, usage: None, worst=False)
    try:
        Rehearsal(replace(cast, crew=_known_patterns(crew)), crew.name, meter).run()
    except UsageError:
        return True  # The run will meet it as well, and say so.
    stages = [stage for stage in meter.stages if stage.name.endswith("synthesis")]
    return any(task is None or stage.task == task for stage in stages)


def _known_patterns(crew: CrewDefinition) -> CrewDefinition:
    tasks = tuple(task.model_copy(update={"chat": task.chat and _known(task.chat)}) for task in crew.tasks)
    return replace(crew, chat=_known(crew.chat), tasks=tasks)


def _known(chat: ChatSpec) -> ChatSpec:
    return chat.model_copy(update={"pattern": "round_robin"}) if ":" in chat.pattern else chat
