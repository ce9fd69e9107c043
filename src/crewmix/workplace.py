"""What a run works with: models, actors, documents and budgets of a crew, and of the crews that work roles of it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from crewmix.agents.base import Actor, Contribution, Turn
from crewmix.agents.factory import make_actor
from crewmix.agents.outcome import failed, spoke
from crewmix.agents.people import People
from crewmix.chat.base import PatternSource
from crewmix.definitions.definition import CrewDefinition
from crewmix.definitions.filled import filled
from crewmix.definitions.project import Project
from crewmix.definitions.spec import Role
from crewmix.errors import BudgetExceededError, FencedError, ReplayMissError, RunError, StorageError
from crewmix.journal.events import Warned
from crewmix.journal.run import Scope
from crewmix.ledgers import open_ledger, role_ledgers
from crewmix.models.structured import wanted
from crewmix.orchestrate import orchestrate
from crewmix.staff import Staff
from crewmix.synthesis.base import Desk
from crewmix.taskwork import Workplace
from crewmix.tools.base import Tool, ToolContext

if TYPE_CHECKING:
    from crewmix.knowledge.index import Index


@dataclass(frozen=True, slots=True)
class Means:
    """What all crews of a run share."""

    project: Project
    tools: Mapping[str, Tool]
    people: People = field(default_factory=People)


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
    index = await _index(means.project, crew, root) if crew.knowledge else index
    made: dict[Role, Actor] = {}

    def context(scope: Scope) -> ToolContext:
        return ToolContext(
            scope=scope,
            project=means.project.root,
            folders=crew.knowledge,
            index=index,
            approve=means.people.approve,
            rules=crew.approve,
        )

    def actor(role: Role) -> Actor:
        if role not in made:
            if role.crew is not None:
                made[role] = CrewActor(means, staff.teams[role.crew], index)
            else:
                made[role] = make_actor(role, staff.gateway, means.tools, context, means.people.ask)
        return made[role]

    for role in crew.roles:
        # Now, so that crewAI is imported while the first calls are out.
        actor(role)
    return Workplace(
        crew=crew,
        desk=Desk(staff.gateway, crew.synthesizer, crew.judge, means.project.root),
        actor=actor,
        task_ledger=lambda scope, task: (
            open_ledger(f"task {task.id}", task.budget, root.run, scope.path) if task.budget else None
        ),
        role_ledgers=role_ledgers(crew, root),
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
        ledger = open_ledger(f"crew {crew.name}", crew.budget, turn.scope.run, turn.scope.at("crew").path)
        place = turn.scope.at("crew").charged_to(ledger)
        work = await open_workplace(self._means, self._staff, crew, place, index=self._index)
        try:
            outcome = await orchestrate(place, work, goal)
        except BudgetExceededError as error:
            if error.owner != ledger.owner:
                raise
            return failed(turn, error)
        except (FencedError, ReplayMissError, StorageError):
            raise
        except RunError as error:
            return failed(turn, error)
        return spoke(turn, outcome.answer.text, model=f"crew {crew.name}", sources=outcome.answer.sources)


async def _index(project: Project, crew: CrewDefinition, root: Scope) -> Index:
    from crewmix.knowledge.index import Index

    index = await asyncio.to_thread(Index.open, crew.knowledge, project.root, project.state / "knowledge.db")
    for path, reason in index.skipped:
        root.emit(Warned(code="document_skipped", message=f"{path} was not read: {reason}"))
    for warning in index.warnings:
        root.emit(Warned(code="document_warning", message=warning))
    if not index.documents:
        places = ", ".join(str(p) for p in crew.knowledge)
        root.emit(Warned(code="no_documents", message=f"there is no readable document in {places}"))
    return index
