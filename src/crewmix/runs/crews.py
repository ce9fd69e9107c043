"""The crew of a run, made once more: from its files as they are now, or as it was when the run began."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from crewmix.crew import Crew
from crewmix.definitions.definition import HIDDEN, CrewDefinition
from crewmix.definitions.given import ModelSource, split_models, tool_names
from crewmix.definitions.names import nearest
from crewmix.definitions.project import Project
from crewmix.definitions.recorded import check_recorded, recorded_definition
from crewmix.definitions.spec import ModelSpec
from crewmix.errors import NotFoundError, UsageError
from crewmix.journal.redact import MASK
from crewmix.journal.rows import RunRow
from crewmix.tools.recorded import recorded_tools

if TYPE_CHECKING:
    from crewmix.chat.base import PatternSource

_NONE: Mapping[str, Any] = {}


def crew_now(
    project: Project,
    row: RunRow,
    *,
    tools: Sequence[object] = (),
    models: Mapping[str, ModelSource] | None = None,
    pattern: PatternSource | None = None,
    budget: Mapping[str, Any] = _NONE,
) -> Crew:
    """The crew of a run from its files as they are now.

    Args:
        project: The project.
        row: The run.
        tools: The tools that were given in Python, if any.
        models: Models that were given in Python, or others than the run's.
        pattern: The chat pattern that was given in Python, if any.
        budget: Limits in the places of the run's.

    Raises:
        UsageError: The crew was built in Python, or something that was given in Python is missing.
        NotFoundError: Its file is gone.
        DefinitionError: Its files have mistakes.
    """
    options = row.definition["options"]
    if "name" not in options:
        raise UsageError(
            f"run {row.run_id} was started with a crew built in Python",
            hint="build the same crew and call `crew.resume(find_run(project, run_id))`, or take it `--as-started`",
        )
    specs = {k: v if isinstance(v, str) else ModelSpec.model_validate(v) for k, v in options["models"].items()}
    hidden = {k for k, v in specs.items() if isinstance(v, ModelSpec) and _is_hidden(v.api_key or "")}
    _require({*options["python"], *hidden}, row, tools, models, pattern)
    named = {k: v for k, v in specs.items() if not (isinstance(v, str) and v.startswith("python/"))}
    try:
        return Crew.load(
            options["name"],
            tools=tools,
            models={**named, **(models or {})},
            inputs=options["inputs"],
            knowledge=options["knowledge"],
            budget={**(options["budget"] or {}), **budget} or None,
            pattern=pattern,
            project=project,
        )
    except NotFoundError as error:
        hint = (
            f"`crewmix resume {row.run_id} --as-started` uses the crew as it was when the run began;"
            f" so does `crewmix replay {row.run_id}`"
        )
        raise NotFoundError(error.message, hint=hint) from error


def crew_as_started(
    project: Project,
    row: RunRow,
    *,
    definition: CrewDefinition | None = None,
    inputs: Mapping[str, str] | None = None,
    tools: Sequence[object] = (),
    models: Mapping[str, ModelSource] | None = None,
    pattern: PatternSource | None = None,
) -> Crew:
    """The crew of a run as it was when the run began, ready to call its models and tools. Its files are not needed.

    Args:
        project: The project.
        row: The run.
        definition: The run's definition with changes; None = without.
        inputs: Values for inputs in the places of the run's.
        tools: The tools that were given in Python, if any.
        models: Models that were given in Python, or others than the run's.
        pattern: The chat pattern that was given in Python, if any.

    Raises:
        UsageError: Something that was given in Python, or that was hidden in the journal, is missing.
        DefinitionError: The definition no longer fits to the project or the environment.
    """
    began = row.definition.get("began", row.definition)
    crew = definition or recorded_definition(began["crew"], project.root)
    given, objects = split_models(models)
    known = {name for one in crew.everyone() for name in one.models}
    for name in given:
        if name not in known:
            raise UsageError(f"the crew has no model `{name}`", hint=nearest(name, known))
    crew = _with_models(crew, {name: ModelSpec(model=m) if isinstance(m, str) else m for name, m in given.items()})
    values = {**_inputs(row), **(inputs or {})}
    _require(row.definition["options"].get("python", ()), row, tools, models, pattern)
    hidden = tuple(hidden_places({**_as_it_is(crew), "inputs": {**crew.inputs, **values}}))
    if hidden:
        raise UsageError(
            f"run {row.run_id} was started with secrets that are not kept: {', '.join(hidden)}",
            hint=f"give them again, e.g. `crewmix fork {row.run_id} --set '{hidden[0]}=${{NAME}}'`",
        )
    check_recorded(crew, f"the crew of run {row.run_id}")
    kept = {"python": row.definition["options"].get("python", [])}
    return Crew.from_definition(
        crew, project, tools=tools, models=objects, pattern=pattern, options=kept, inputs=values
    )


def crew_on_record(project: Project, row: RunRow, pattern: PatternSource | None = None) -> Crew:
    """The crew of a run as it was when the run began, good for a replay only: no file, key, model or tool is needed.

    Args:
        project: The project.
        row: The run.
        pattern: The chat pattern that was given in Python, if any.

    Raises:
        UsageError: The run had a chat pattern given in Python, and it is missing.
    """
    if "pattern" in row.definition["options"].get("python", ()):
        _require(["pattern"], row, (), {}, pattern)
    crew = recorded_definition(row.definition["crew"], project.root)
    tools = recorded_tools(row.definition.get("tools", {}))
    return Crew.from_definition(crew, project, tools=tools, pattern=pattern, inputs=_inputs(row))


def _with_models(crew: CrewDefinition, specs: Mapping[str, ModelSpec]) -> CrewDefinition:
    """The crew, and all crews within it, with other models of these names."""
    mine = {name: specs.get(name, model) for name, model in crew.models.items()}
    return replace(crew, models=mine, crews={name: _with_models(c, specs) for name, c in crew.crews.items()})


def _as_it_is(crew: CrewDefinition) -> dict[str, Any]:
    """The crew as data, with the secrets it holds."""
    models = {name: model.model_dump(mode="json") for name, model in crew.models.items()}
    return {**crew.as_dict(), "models": models, "crews": {name: _as_it_is(c) for name, c in crew.crews.items()}}


def _inputs(row: RunRow) -> Mapping[str, str]:
    return row.definition.get("inputs") or {}


def _require(
    names: Iterable[str],
    row: RunRow,
    tools: Sequence[object],
    models: Mapping[str, ModelSource] | None,
    pattern: PatternSource | None,
) -> None:
    given = {*tool_names(tools), *(models or {}), *(["pattern"] if pattern is not None else [])}
    missing = sorted(set(names) - given)
    if missing:
        raise UsageError(
            f"run {row.run_id} was started with tools, models, keys or a pattern given in Python: {', '.join(missing)}",
            hint="give them again in Python: `crewmix.runs.resume(…, tools=[…], models={…}, pattern=…)`, or `fork` likewise",
        )


# -- what was hidden ------------------------------------------------------------------------------------------------------


def hidden_places(data: Any, place: str = "") -> Iterator[str]:
    """Where something was hidden when a definition was recorded, e.g. `models.default.api_key`.

    Args:
        data: A definition as data.
        place: Where the data stands.
    """
    if isinstance(data, str):
        if _is_hidden(data):
            yield place
    elif isinstance(data, Mapping):
        for name, value in cast(Mapping[str, Any], data).items():
            yield from hidden_places(value, f"{place}.{name}" if place else name)
    elif isinstance(data, list | tuple):
        for number, value in enumerate(cast(Sequence[Any], data)):
            name = cast(Mapping[str, Any], value).get("name") if isinstance(value, Mapping) else None
            yield from hidden_places(value, f"{place}.{name or number}")


def _is_hidden(text: str) -> bool:
    return text == HIDDEN or MASK in text or f"://{HIDDEN}@" in text
