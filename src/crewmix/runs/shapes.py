"""What the definition that a run is kept with looks like, as far as versions agree on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields
from functools import cache
from typing import Any, get_type_hints

from pydantic import BaseModel, Field, create_model, field_validator

from crewmix.models.profile import Profile
from crewmix.tools.base import Risk


class _Loaded(BaseModel):
    """How a crew was loaded from its files; see `Crew.load`."""

    name: str
    models: dict[str, str | dict[str, Any]]
    inputs: dict[str, str]
    knowledge: list[str] | None
    budget: dict[str, Any] | None
    python: list[str]


class _Built(BaseModel):
    """How a crew was built in Python."""

    name: None = None
    python: list[str] = []


class _Tool(BaseModel):
    """A tool as it was; see `crewmix.tools.recorded`."""

    description: str
    parameters: dict[str, Any]
    risk: Risk
    timeout: float
    code: str = ""


class _Staff(BaseModel):
    """The models that served; see `crewmix.staff`."""

    profiles: dict[str, dict[str, Any]]
    teams: dict[str, _Staff]

    @field_validator("profiles")
    @classmethod
    def _are_profiles(cls, given: Mapping[str, Any]) -> Mapping[str, Any]:
        for profile in given.values():
            _profile().model_validate(profile)
        return given


class Definition(BaseModel):
    """The definition that a run is kept with. What is in `crew` is checked where a crew is made of it."""

    crew: dict[str, Any]
    options: _Loaded | _Built
    inputs: dict[str, str] = {}
    staff: _Staff = Field(default_factory=lambda: _Staff(profiles={}, teams={}))
    tools: dict[str, _Tool] = {}
    forked_from: str = ""
    began: Definition | None = None

    @field_validator("began")
    @classmethod
    def _is_given(cls, value: Definition | None) -> Definition:
        if value is None:
            raise ValueError("it is empty")
        return value


@cache
def _profile() -> type[BaseModel]:
    """A profile as data: all but what is never kept."""
    hints = get_type_hints(Profile)
    kept = [f for f in fields(Profile) if f.name not in {"driver", "api_key"}]
    own: dict[str, Any] = {f.name: (hints[f.name], ... if f.default is MISSING else f.default) for f in kept}
    own["params"] = (dict[str, Any], {})
    return create_model("Profile", **own)
