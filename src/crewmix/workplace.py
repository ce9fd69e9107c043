"""What a run works with: models, actors, documents and budgets of a crew, and of the crews that work roles of it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crewmix.agents.base import Actor, Contribution, Turn
from crewmix.agents.factory import make_actor
from crewmix.agents.outcome import failed, spoke
from crewmix.chat.base import PatternSource
from crewmix.definitions.definition import CrewDefinition
from crewmix.definitions.filled import filled
from crewmix.definitions.project import Project
from crewmix.definitions.spec import Role
from crewmix.errors import BudgetExceededError, FencedError, ReplayMissError, RunError, StorageError, WaitingError
from crewmix.journal.events import Warned
from crewmix.journal.scope import Scope
from crewmix.ledgers import open_crew_ledger, open_task_ledger, role_ledgers
from crewmix.models.structured import wanted
from crewmix.orchestrate import orchestrate
from crewmix.planning.turns import Cast
from crewmix.staff import Staff
from crewmix.synthesis.base import Desk
from crewmix.taskwork import Workplace
from crewmix.tools.base import Tool, ToolContext
from crewmix.tools.people import People

if TYPE_CHECKING:
    from crewmix.knowledge.index import Index


@dataclass(frozen=True, slots=True)
class Means:
    """What all crews of a run share."""

    project: Project
    tools: Mapping[str, Tool]
    people: People = field(default_factory=People)
    indexes: dict[tuple[Path, ...], asyncio.Future[Index]] = field(default_factory=dict[tuple[Path, ...], Any])
    """The documents that were opened, by their places: crews that name the same ones share them."""


async def open_workplace(
    means: Means,
    staff: Staff,
    crew: CrewDefinition,
    root: Scope,
    *,
    index: Index | None = None,
    pattern: PatternSource | None = None,
) -> Workplace:
    """Open the documents, budgets and actors of a crew.

    Args:
        means: What all crews of the run share.
        staff: The crew's models and teams.
        crew: The crew, filled in.
        root: Where in the run the crew works.
        index: The documents of the crew around this one, for a crew that names none itself.
        pattern: A chat pattern given in Python.
    """
    index = await _index(means, crew, root) if crew.knowledge and not root.run.replaying else index
    cast = Cast(crew, staff.profiles, staff.teams)
    made: dict[Role, Actor] = {}

    def context(scope: Scope) -> ToolContext:
        return ToolContext(
            scope=scope,
            project=means.project.root,
            folders=crew.knowledge,
            index=index,
            people=means.people,
            rules=crew.approve,
        )

    def actor(role: Role) -> Actor:
        if role not in made:
            if role.crew is not None:
                made[role] = CrewActor(means, staff.teams[role.crew], index)
            else:
                made[role] = make_actor(
                    role, staff.gateway, means.tools, context, means.people, replaying=root.run.replaying
                )
        return made[role]

    for role in crew.roles:
        # Now, so that crewAI is imported while the first calls are out.
        actor(role)
    return Workplace(
        crew=crew,
        desk=Desk(staff.gateway, crew.synthesizer, crew.judge, means.project.root),
        actor=actor,
        task_ledger=lambda scope, task: open_task_ledger(cast, task, root.run, scope.path),
        role_ledgers=role_ledgers(crew, root),
        people=means.people,
        pattern=pattern,
    )


class CrewActor:
    """A role worked by a crew: each turn is a run of that crew within the run.

    Args:
        means: What all crews of the run share.
        staff: The crew and its models.
        index: The documents of the crew around it, for a crew that names none itself.
    """

    def __init__(self, means: Means, staff: Staff, index: Index | None) -> None:
        self._means = means
        self._staff = staff
        self._index = index

    async def speak(self, turn: Turn) -> Contribution:
        """Work what the role is told as the crew's goal.

        A crew that fails, or uses up its own budget before it has an answer, makes the turn fail. What stops the run is raised.
        """
        goal = turn.prompt.user if turn.schema is None else f"{turn.prompt.user}\n\n{wanted(turn.schema)}"
        crew = filled(self._staff.crew, goal, {})
        cast = Cast(crew, self._staff.profiles, self._staff.teams)
        ledger = open_crew_ledger(cast, f"crew {crew.name}", turn.scope.run, turn.scope.at("crew").path)
        place = turn.scope.at("crew").of_crew(ledger)
        work = await open_workplace(self._means, self._staff, crew, place, index=self._index)
        try:
            outcome = await orchestrate(place, work, goal)
        except BudgetExceededError as error:
            if any(outer.owner == error.owner for outer in turn.scope.ledgers):
                raise
            return failed(turn, error)
        except (FencedError, ReplayMissError, StorageError, WaitingError):
            raise
        except RunError as error:
            return failed(turn, error)
        return spoke(turn, outcome.answer.text, model=f"crew {crew.name}", sources=outcome.answer.sources)


async def _index(means: Means, crew: CrewDefinition, root: Scope) -> Index:
    if (opened := means.indexes.get(crew.knowledge)) is not None:
        return await asyncio.shield(opened)
    from crewmix.knowledge.index import Index

    project = means.project
    work = asyncio.to_thread(Index.open, crew.knowledge, project.root, project.state / "knowledge.db")
    means.indexes[crew.knowledge] = asyncio.ensure_future(work)
    index = await asyncio.shield(means.indexes[crew.knowledge])
    for path, reason in index.skipped:
        root.emit(Warned(code="document_skipped", message=f"{path} was not read: {reason}"))
    for warning in index.warnings:
        root.emit(Warned(code="document_warning", message=warning))
    if not index.documents:
        places = ", ".join(str(p) for p in crew.knowledge)
        root.emit(Warned(code="no_documents", message=f"there is no readable document in {places}"))
    return index
