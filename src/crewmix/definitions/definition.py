"""A checked crew: everything a run needs to know, with all names resolved."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from crewmix.definitions.spec import (
    ApproveSpec,
    BudgetSpec,
    ChatSpec,
    FailureSpec,
    ModelSpec,
    PlanSpec,
    Role,
    SynthesisSpec,
    Task,
)
from crewmix.definitions.spec_base import Spec

HIDDEN = "***"
_REFERENCE = re.compile(r"\s*\$\{\w+\}\s*", re.ASCII)


@dataclass(frozen=True)
class CrewDefinition:
    """A crew whose files were read and found right."""

    name: str
    description: str
    path: Path | None
    """The crew's file; None = built in Python."""
    root: Path
    """The project's folder."""
    roles: tuple[Role, ...]
    planner: Role
    synthesizer: Role
    judge: Role
    plan: PlanSpec | None
    """How the goal is split; None = not at all, or `tasks` is the plan."""
    tasks: tuple[Task, ...]
    """A fixed plan; may be empty."""
    chat: ChatSpec
    synthesis: SynthesisSpec
    models: dict[str, ModelSpec]
    """Models by name, plus each model string that a role, chat or synthesis names directly, by that string."""
    knowledge: tuple[Path, ...]
    """Folders and files the crew may search, absolute."""
    inputs: dict[str, str | None]
    """Placeholders with their value; None = must be given at the start."""
    budget: BudgetSpec | None
    on_task_failure: FailureSpec
    review: Literal["none", "plan"]
    """`plan`: a person sees the plan before its tasks begin."""
    approve: tuple[ApproveSpec, ...]
    crews: Mapping[str, CrewDefinition] = field(default_factory=lambda: _NO_CREWS)
    """The crews that work roles with `crew`, by that name."""
    files: tuple[Path, ...] = ()
    """All YAML files the crew was made from."""

    def everyone(self) -> Iterator[CrewDefinition]:
        """This crew and all crews that work roles within it."""
        yield self
        for crew in self.crews.values():
            yield from crew.everyone()

    def syntheses(self) -> Iterator[SynthesisSpec]:
        """Every synthesis that its tasks may use."""
        yield self.synthesis
        yield from (task.synthesis for task in self.tasks if task.synthesis is not None)

    def as_dict(self) -> dict[str, Any]:
        """The crew as JSON-able data without secrets: `${NAME}` stays unexpanded, a key given in Python is hidden.

        Paths inside the project are relative to it.
        """
        return {
            "name": self.name,
            "description": self.description,
            "path": None if self.path is None else self._relative(self.path),
            "roles": [_dump(role) for role in self.roles],
            "planner": _dump(self.planner),
            "synthesizer": _dump(self.synthesizer),
            "judge": _dump(self.judge),
            "plan": self.plan and _dump(self.plan),
            "tasks": [_dump(task) for task in self.tasks],
            "chat": _dump(self.chat),
            "synthesis": _dump(self.synthesis),
            "models": {name: _without_secrets(model) for name, model in sorted(self.models.items())},
            "knowledge": [self._relative(path) for path in self.knowledge],
            "inputs": dict(self.inputs),
            "budget": self.budget and _dump(self.budget),
            "on_task_failure": _dump(self.on_task_failure),
            "review": self.review,
            "approve": [_dump(rule) for rule in self.approve],
            "crews": {name: crew.as_dict() for name, crew in sorted(self.crews.items())},
        }

    def fingerprint(self) -> str:
        """A hash that changes when anything in the definition changes, wherever the project lies."""
        data = {key: value for key, value in self.as_dict().items() if key != "path"}
        return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()

    def _relative(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix() if path.is_relative_to(self.root) else str(path)


_NO_CREWS: Mapping[str, CrewDefinition] = {}


def missing_inputs(definition: CrewDefinition, given: Collection[str]) -> tuple[str, ...]:
    """Inputs that have no default and are not among the `given` names."""
    return tuple(name for name, value in definition.inputs.items() if value is None and name not in given)


def _dump(spec: Spec) -> dict[str, Any]:
    return spec.model_dump(mode="json")


def _without_secrets(model: ModelSpec) -> dict[str, Any]:
    data = _dump(model)
    key: str | None = data["api_key"]
    if key and not _REFERENCE.fullmatch(key):
        data["api_key"] = HIDDEN
    for name in ("model", "base_url"):
        data[name] = data[name] and re.sub(r"://[^/@]*@", f"://{HIDDEN}@", data[name])
    data["params"] = _hide_keys(data["params"])
    return data


def _hide_keys(params: Mapping[str, Any]) -> dict[str, Any]:
    """`params` with the values of fields hidden whose names say that they are secret."""
    secret = re.compile(r"(api[_-]?key|authorization|secret|password|access[_-]?token)$", re.IGNORECASE)
    return {
        name: _hide_keys(value) if isinstance(value, dict) else HIDDEN if secret.search(name) and value else value  # pyright: ignore[reportUnknownArgumentType]
        for name, value in params.items()
    }
