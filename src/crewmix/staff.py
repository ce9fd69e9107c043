"""A crew with its models found: what a run and an estimate start from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Any

from crewmix.definitions.definition import CrewDefinition
from crewmix.definitions.project import Project
from crewmix.definitions.spec import ModelSpec
from crewmix.journal.redact import Redactor
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

    def as_dict(self) -> dict[str, Any]:
        """The models as JSON-able data, without keys: what decides their answers, and why each serves."""
        profiles = {name: _as_dict(profile) for name, profile in self.profiles.items()}
        return {"profiles": profiles, "teams": {name: team.as_dict() for name, team in self.teams.items()}}

    def everyone(self) -> Iterator[Staff]:
        """This crew and all crews within it."""
        yield self
        for team in self.teams.values():
            yield from team.everyone()


def _as_dict(profile: Profile) -> dict[str, Any]:
    data = {f.name: getattr(profile, f.name) for f in fields(Profile) if f.name not in {"driver", "api_key"}}
    return {**data, "price": profile.price and [str(part) for part in profile.price]}


def _profiles(data: Mapping[str, Any]) -> dict[str, Profile]:
    known = {f.name for f in fields(Profile)}
    profiles: dict[str, Profile] = {}
    for name, record in data.items():
        values: dict[str, Any] = {key: value for key, value in record.items() if key in known}
        values["price"] = values["price"] and tuple(Decimal(part) for part in values["price"])
        values["fallback"] = tuple(values["fallback"])
        profiles[name] = Profile(**values)
    return profiles


async def replayed_staff(
    crew: CrewDefinition,
    models: Mapping[str, ModelSpec | Model],
    before: Mapping[str, Any],
    data: Mapping[str, Any],
    project: Project,
) -> Staff:
    """The staff for a replay: as recorded, where the crew's models are as they were; no key is needed for that.

    Args:
        crew: The crew that is replayed.
        models: Its models, see `find_staff`.
        before: The recorded definition, as data.
        data: What `Staff.as_dict` gave with it, without secrets.
        project: Where scripts are.

    Raises:
        ModelSetupError: The models are other ones now, and one cannot be used as configured.
    """
    same = Redactor().data(crew.as_dict()["models"]) == before["models"]
    profiles = _profiles(data["profiles"]) if same else await resolve(models, folder=project.root)
    teams: dict[str, Staff] = {}
    for name, team in crew.crews.items():
        if name in data["teams"]:
            old, staff = before["crews"][name], data["teams"][name]
            teams[name] = await replayed_staff(team, team.models, old, staff, project)
        else:
            teams[name] = await find_staff(team, team.models, project)
    return Staff(crew, profiles, Gateway(profiles), teams)


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
