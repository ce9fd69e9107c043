"""Definitions from a journal: the way back from `CrewDefinition.as_dict`, so that a run does not depend on its files."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from crewmix.definitions.check import check_crew
from crewmix.definitions.definition import CrewDefinition
from crewmix.definitions.explain import in_words
from crewmix.definitions.nodes import Node, SourceFile, from_data
from crewmix.definitions.parts import Member, Parts, Work
from crewmix.definitions.spec import (
    ApproveSpec,
    BudgetSpec,
    ChatSpec,
    CrewSpec,
    FailureSpec,
    ModelSpec,
    PlanSpec,
    Role,
    SynthesisSpec,
    Task,
)
from crewmix.definitions.spec_base import NAME, Spec
from crewmix.errors import DefinitionError, Problem, RunFileError

S = TypeVar("S", bound=Spec)

_DEEPEST = 20
"""How deep crews may work within crews."""


def recorded_definition(data: Mapping[str, Any], root: Path) -> CrewDefinition:
    """The definition that `CrewDefinition.as_dict` described.

    What was hidden in it stays hidden. Its parts are read but not held against each other, see
    `check_recorded`: a replay needs neither the tools nor the documents nor the keys that the crew names.

    Args:
        data: A definition as data.
        root: The project's folder, from which relative paths start.

    Raises:
        RunFileError: The data describes no crew, or one of a later version of crewmix.
    """
    try:
        return _crew(data, root, _DEEPEST)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(step) for step in first["loc"])
        what = f"{error.title}{f' `{place}`' if place else ''}: {in_words(error)}"
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        what = f"{type(error).__name__}: {error}"
    hint = "it was written by another version of crewmix, or changed by hand"
    raise RunFileError(f"the recorded definition of the crew cannot be read: {what}", hint=hint)


def _crew(data: Mapping[str, Any], root: Path, deepest: int) -> CrewDefinition:
    if not deepest:
        raise ValueError("crews within crews without end")
    crew = CrewDefinition(
        name=_text(data["name"]),
        description=_text(data["description"]),
        path=None if data["path"] is None else root / _text(data["path"]),
        root=root,
        roles=_specs(Role, data["roles"]),
        planner=_spec(Role, data["planner"]),
        synthesizer=_spec(Role, data["synthesizer"]),
        judge=_spec(Role, data["judge"]),
        plan=_maybe(PlanSpec, data["plan"]),
        tasks=_specs(Task, data["tasks"]),
        chat=_spec(ChatSpec, data["chat"]),
        synthesis=_spec(SynthesisSpec, data["synthesis"]),
        models={_text(name): _spec(ModelSpec, model) for name, model in data["models"].items()},
        knowledge=tuple(root / _text(path) for path in data["knowledge"]),
        inputs={_text(name): None if value is None else _text(value) for name, value in data["inputs"].items()},
        budget=_maybe(BudgetSpec, data["budget"]),
        on_task_failure=_spec(FailureSpec, data["on_task_failure"]),
        review=CrewSpec.model_validate({"roles": ["any"], "review": data.get("review", "none")}).review,
        approve=_specs(ApproveSpec, data["approve"]),
        crews={_text(name): _crew(team, root, deepest - 1) for name, team in data["crews"].items()},
    )
    CrewSpec.model_validate_json(
        json.dumps(_written(crew))
    )  # what its parts alone do not say, e.g. that there is a role
    return crew


def _spec(kind: type[S], data: Any) -> S:
    return kind.model_validate_json(json.dumps(data))


def _maybe(kind: type[S], data: Any) -> S | None:
    return None if data is None else _spec(kind, data)


def _specs(kind: type[S], data: Sequence[Any]) -> tuple[S, ...]:
    return tuple(_spec(kind, entry) for entry in data)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


# -- checking -----------------------------------------------------------------------------------------------------------


def check_recorded(crew: CrewDefinition, label: str, environ: Mapping[str, str] = os.environ) -> None:
    """Hold the parts of a recorded definition against each other, as is done with a crew file.

    Args:
        crew: The definition.
        label: What to call it in messages.
        environ: Where `${NAME}` is looked up.

    Raises:
        DefinitionError: Everything that is wrong with it, and documents that are no longer there.
    """
    source = SourceFile(label)
    problems = [problem for one in crew.everyone() for problem in _problems(one, source, environ)]
    if problems:
        raise DefinitionError(list(dict.fromkeys(problems)))


def as_parts(crew: CrewDefinition, source: SourceFile) -> Parts:
    """A definition in pieces, as if `source` were the file that it was read from."""
    node = from_data(_written(crew), source)
    others = ("planner", "synthesizer", "judge")
    return Parts(
        spec=CrewSpec.model_validate_json(json.dumps(node.plain())),
        node=node,
        roles=tuple(Member(r, node.at("roles", n), node.at("roles", n)) for n, r in enumerate(crew.roles)),
        others=tuple(Member(getattr(crew, name), node.at(name), node.at(name)) for name in others),
        tasks=tuple(Work(t, node.at("tasks", n), node.at("tasks", n)) for n, t in enumerate(crew.tasks)),
        models=crew.models,
        given=frozenset(crew.models),
        root=crew.root,
        complete=True,
    )


def _problems(crew: CrewDefinition, source: SourceFile, environ: Mapping[str, str]) -> Iterator[Problem]:
    parts = as_parts(crew, source)
    yield from check_crew(parts, environ)
    for path in crew.knowledge:
        if not path.exists():
            hint = "put it back, or change `knowledge`"
            yield Node(None, source).problem("no_such_path", f"there is no file or folder {str(path)!r}", hint=hint)


def _written(crew: CrewDefinition) -> dict[str, Any]:
    """The crew as a file would have it: only what differs from the defaults, since a default that nobody wrote is no mistake."""
    data: dict[str, Any] = {
        "name": crew.name,
        "roles": [_short(role) for role in crew.roles],
        "planner": _short(crew.planner),
        "synthesizer": _short(crew.synthesizer),
        "judge": _short(crew.judge),
        "tasks": [_short(task) for task in crew.tasks],
        "chat": _short(crew.chat),
        "synthesis": _short(crew.synthesis),
        "models": {name: _short(model) for name, model in crew.models.items() if NAME.fullmatch(name)},
        "inputs": dict(crew.inputs),
        "budget": crew.budget and _short(crew.budget),
        "on_task_failure": _short(crew.on_task_failure),
        "review": crew.review,
        "approve": [_short(rule) for rule in crew.approve],
    }
    if not crew.tasks:
        data["plan"] = "none" if crew.plan is None else _short(crew.plan)
    return data


def _short(spec: Spec) -> dict[str, Any]:
    return spec.model_dump(mode="json", exclude_defaults=True)
