"""A crew with the goal and its inputs in the places that ask for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from crewmix.definitions.definition import CrewDefinition, missing_inputs
from crewmix.definitions.placeholders import fill
from crewmix.definitions.spec import Role, Task
from crewmix.errors import UsageError


def filled(crew: CrewDefinition, goal: str, inputs: Mapping[str, str]) -> CrewDefinition:
    """The crew with the goal and the inputs in the places that ask for them.

    Raises:
        UsageError: An input is unknown, or has no value.
    """
    unknown = sorted(set(inputs) - set(crew.inputs))
    if unknown:
        known = ", ".join(crew.inputs) or "none"
        raise UsageError(f"crew {crew.name} has no input {unknown[0]!r}", hint=f"its inputs: {known}")
    missing = missing_inputs(crew, inputs)
    if missing:
        raise UsageError(
            f"crew {crew.name} needs a value for: {', '.join(missing)}",
            hint=f"`--input {missing[0]}=…`, or inputs={{{missing[0]!r}: …}} in Python",
        )
    values = {**{k: v for k, v in crew.inputs.items() if v is not None}, **inputs, "goal": goal}

    def role(old: Role) -> Role:
        texts = {name: fill(getattr(old, name), values) for name in ("role", "goal", "backstory")}
        rules = tuple(fill(rule, values) for rule in old.guardrails)
        return old.model_copy(update={**texts, "guardrails": rules})

    def task(old: Task) -> Task:
        return old.model_copy(
            update={name: fill(getattr(old, name), values) for name in ("description", "expected_output")}
        )

    return replace(
        crew,
        roles=tuple(role(r) for r in crew.roles),
        planner=role(crew.planner),
        synthesizer=role(crew.synthesizer),
        judge=role(crew.judge),
        tasks=tuple(task(t) for t in crew.tasks),
    )
