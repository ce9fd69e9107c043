"""A crew with its models found: what a run and an estimate start from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from crewmix.definitions.definition import CrewDefinition
from crewmix.definitions.project import Project
from crewmix.definitions.spec import ModelSpec
from crewmix.models.gateway import Gateway
from crewmix.models.profile import Profile
from crewmix.models.resolve import resolve
from crewmix.models.types import Model


@dataclass(frozen=True, slots=True)
class Staff:
    """A crew with its models found, and the same for the crews that work roles of it."""

    crew: CrewDefinition
    profiles: Mapping[str, Profile]
    gateway: Gateway
    teams: Mapping[str, Staff]

    def everyone(self) -> Iterator[Staff]:
        """This crew and all crews within it."""
        yield self
        for team in self.teams.values():
            yield from team.everyone()


async def find_staff(crew: CrewDefinition, models: Mapping[str, ModelSpec | Model], project: Project) -> Staff:
    """Find the models of a crew and of the crews within it.

    Args:
        crew: The crew.
        models: Its models, Python objects in the places of those they stand for.
        project: Where scripts and the cache are.

    Raises:
        ModelSetupError: A model cannot be used as configured.
    """
    profiles = await resolve(models, folder=project.root)
    objects = {f"python/{name}": model for name, model in models.items() if not isinstance(model, ModelSpec)}
    teams: dict[str, Staff] = {}
    for name, team in crew.crews.items():
        theirs = {key: objects.get(spec.model, spec) for key, spec in team.models.items()}
        teams[name] = await find_staff(team, theirs, project)
    return Staff(crew, profiles, Gateway(profiles, cache_path=project.state / "cache.db"), teams)
