"""A crew, ready to work: load, estimate, run, stream, resume."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from crewmix.definitions.definition import CrewDefinition
from crewmix.definitions.given import ModelSource, from_python, split_models, tool_names, with_free_tools
from crewmix.definitions.load import define_crew, load_crew
from crewmix.definitions.project import Project
from crewmix.definitions.raised import raised
from crewmix.definitions.spec import BudgetSpec, CrewSpec
from crewmix.errors import UsageError
from crewmix.loop import at_home, wait_for
from crewmix.options import RunOptions, checked

if TYPE_CHECKING:
    from crewmix.chat.base import PatternSource
    from crewmix.journal.rows import Recording, RunRow
    from crewmix.launch import Fork
    from crewmix.models.types import Model
    from crewmix.planning.estimate import Estimate
    from crewmix.result import RunResult
    from crewmix.running import Running
    from crewmix.stream import RunStream
    from crewmix.tools.base import Tool


class Crew:
    """Roles, a plan, a way of talking and a way of merging: ready to work goals.

    Built from a file by `Crew.load`, or in Python:

    ```python
    crew = Crew(roles=[Role(role="Analyst", goal="Weigh the options")], plan="none")
    ```

    Args:
        tools: Tools given in Python: functions decorated with `@tool` or plain typed ones, `Tool`s, crewAI tools. They go before
            others of the same name; one that no role names is given to every role that works with tools or could.
        models: Models by name, over the crew's own: a model string, a `ModelSpec` or its fields, or any object with an
            async `complete(request, on_delta)`.
        pattern: A chat pattern of one's own, instead of `chat.pattern`: a function of the transcript that names the next
            speaker, or an object or class with `next` and, if wanted, `view` and `drafts` (see `crewmix.Pattern`).
        project: The project's folder; by default the nearest one around the current folder.
        **fields: The fields of `CrewSpec`: `roles` (required), `name`, `plan`, `tasks`, `chat`, `synthesis`, `knowledge`,
            `budget` …

    Raises:
        DefinitionError: Everything that is wrong with the crew.
    """

    def __init__(
        self,
        *,
        tools: Sequence[object] = (),
        models: Mapping[str, ModelSource] | None = None,
        pattern: PatternSource | None = None,
        project: str | Path | Project | None = None,
        **fields: Any,
    ) -> None:
        place = _project(project)
        strings, objects = split_models(models)
        spec = from_python(CrewSpec, {"name": "crew", **fields}, "Crew(…)")
        definition = define_crew(spec, place, extra_tools=tool_names(tools), models=strings)
        self._set(definition, place, tools, objects, pattern, {"python": _given(tools, objects, pattern)})

    @classmethod
    def load(
        cls,
        name: str | Path,
        *,
        tools: Sequence[object] = (),
        models: Mapping[str, ModelSource] | None = None,
        inputs: Mapping[str, str] | None = None,
        knowledge: Sequence[str | Path] | None = None,
        budget: BudgetSpec | Mapping[str, Any] | None = None,
        pattern: PatternSource | None = None,
        project: str | Path | Project | None = None,
    ) -> Crew:
        """Load a crew by name (the project's own first, then the built-in ones) or from a file.

        Args:
            name: A crew's name, or the path of a `.yaml` file.
            tools: See `Crew`.
            models: See `Crew`.
            inputs: Values for the crew's inputs; more can be given to `run`.
            knowledge: Folders or files to search, instead of the crew's own; relative to the current folder.
            budget: Limits that replace the crew's own, e.g. `{"usd": 0.5}`.
            pattern: See `Crew`.
            project: See `Crew`. By default the project around the crew's file, else around the current folder.

        Raises:
            DefinitionError: Everything that is wrong in the crew's files, each with file, line and column.
            NotFoundError: There is no such crew.
        """
        path = Path(name)
        beside = path if path.suffix in {".yaml", ".yml"} and path.exists() else None
        place = _project(project if project is not None else beside)
        strings, objects = split_models(models)
        definition = load_crew(name, place, extra_tools=tool_names(tools), models=strings, inputs=inputs)
        if knowledge is not None:
            paths = tuple(Path(folder).expanduser().resolve() for folder in knowledge)
            _require(paths)
            definition = replace(definition, knowledge=paths)
        if budget is not None:
            definition = with_budget(definition, budget, definition.budget)
        crew = cls.__new__(cls)
        options = {
            "name": str(definition.path or name),
            "models": {k: v if isinstance(v, str) else v.model_dump(mode="json") for k, v in strings.items()},
            "inputs": dict(inputs or {}),
            "knowledge": None if knowledge is None else [str(p) for p in definition.knowledge],
            "budget": None if budget is None else definition.budget and definition.budget.model_dump(mode="json"),
            "python": _given(tools, objects, pattern),
        }
        crew._set(definition, place, tools, objects, pattern, options)
        crew._inputs = dict(inputs or {})
        return crew

    @classmethod
    def from_definition(
        cls,
        definition: CrewDefinition,
        project: Project,
        *,
        tools: Sequence[object] = (),
        models: Mapping[str, Model] | None = None,
        pattern: PatternSource | None = None,
        inputs: Mapping[str, str] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> Crew:
        """A crew from a checked definition, e.g. one that a journal holds.

        Args:
            definition: The crew.
            project: The project it works in.
            tools: See `Crew`.
            models: Python objects in the places of the definition's models of these names.
            pattern: See `Crew`.
            inputs: Values for the crew's inputs.
            options: How the crew was loaded when the definition was made.
        """
        crew = cls.__new__(cls)
        given = {"python": _given(tools, models or (), pattern), **(options or {})}
        crew._set(definition, project, tools, models or {}, pattern, given)
        crew._inputs = dict(inputs or {})
        return crew

    def _set(
        self,
        definition: CrewDefinition,
        project: Project,
        tools: Sequence[object],
        objects: Mapping[str, Model],
        pattern: PatternSource | None,
        options: Mapping[str, Any],
    ) -> None:
        self._definition = with_free_tools(definition, tool_names(tools))
        self._project = project
        self._tools = tuple(tools)
        self._objects = objects
        self._pattern = pattern
        self._options = options
        self._inputs: dict[str, str] = {}
        self._loaded: Mapping[str, Tool] | None = None
        self._loading = asyncio.Lock()

    @property
    def definition(self) -> CrewDefinition:
        """The crew, checked and with all names resolved."""
        return self._definition

    @property
    def project(self) -> Project:
        """The project it works in: where documents, the journal and output files are."""
        return self._project

    # -- working -------------------------------------------------------------------------------------------------------

    def estimate(self, goal: str, *, inputs: Mapping[str, str] | None = None) -> Estimate:
        """What a goal will take before it starts: calls, depth, tokens, cost, expected and at worst.

        Raises:
            UsageError: An input is unknown or has no value.
            ModelSetupError: A model cannot be used as configured.
        """
        from crewmix.definitions.filled import filled
        from crewmix.models.prices import cost
        from crewmix.planning.estimate import estimate
        from crewmix.staff import find_staff

        crew = filled(self._definition, goal, {**self._inputs, **(inputs or {})})
        staff = wait_for(find_staff(crew, {**self._definition.models, **self._objects}, self._project))
        return estimate(crew, goal, staff.profiles, cost, teams=staff.teams, pattern=self._pattern)

    def run(self, goal: str, **options: Unpack[RunOptions]) -> RunResult:
        """Work a goal and wait for the result. Ctrl-C stops it within a second and leaves a run that can be resumed.

        Args:
            goal: What is to be achieved.
            **options: See `crewmix.RunOptions`.

        Raises:
            RunError: The run failed; `crewmix resume` can take it up again.
            BudgetExceededError: A budget ended it before there was anything to answer with.
        """
        return wait_for(self._work(goal, checked(options, "run")))

    async def arun(self, goal: str, **options: Unpack[RunOptions]) -> RunResult:
        """The same as `run`, for async code. Cancelling the task cancels the run."""
        return await at_home(self._work(goal, checked(options, "arun")))

    def start(self, goal: str, **options: Unpack[RunOptions]) -> Running:
        """The same as `run`, but without waiting: gives a handle that any thread can ask, wait for, or cancel."""
        from crewmix.running import Running

        given = checked(options, "start")
        return Running(lambda run_id: self._work(goal, given, run_id=run_id))

    def stream(self, goal: str, **options: Unpack[RunOptions]) -> RunStream:
        """Work a goal and go over its events as they happen: `async for event in crew.stream(goal)`.

        Leaving the loop early cancels the run; the stream's `result` is there when it has ended. Models stream, too.
        """
        from crewmix.stream import RunStream

        given = checked(options, "stream")
        return RunStream(lambda hear: at_home(self._work(goal, {**given, "on_event": hear, "deltas": True})))

    def resume(self, row: RunRow, *, given: Collection[str] = (), **options: Unpack[RunOptions]) -> RunResult:
        """Take up a run of this crew again: what was answered comes from the journal, the rest is done now.

        Args:
            row: The run, from `crewmix.runs.find_run`.
            given: Places of the crew's definition that were changed on purpose since the run began, e.g. `budget`.
            **options: See `crewmix.RunOptions`.
        """
        return wait_for(self._work(row.goal, checked(options, "resume"), resumes=row, given=given))

    def replay(self, row: RunRow, **options: Unpack[RunOptions]) -> RunResult:
        """Repeat a run with this crew, from the journal alone: no model, tool or person is asked, and nothing is written.

        Args:
            row: The run, from `crewmix.runs.find_run`.
            **options: See `crewmix.RunOptions`.

        Raises:
            ReplayMissError: This crew asks something that was not recorded; it shows what differs.
        """
        return wait_for(self._work(row.goal, checked(options, "replay"), replays=row))

    def fork(
        self, row: RunRow, without: Callable[[Recording], bool], goal: str = "", **options: Unpack[RunOptions]
    ) -> RunResult:
        """Work a goal in a new run that takes over what another one was answered, and pays only for what differs.

        Args:
            row: The run to take over from.
            without: Says which of its effects are to be performed anew.
            goal: Another goal.
            **options: See `crewmix.RunOptions`.
        """
        from crewmix.launch import Fork

        return wait_for(self._work(goal or row.goal, checked(options, "fork"), forks=Fork(row, without)))

    # -- inside --------------------------------------------------------------------------------------------------------

    async def _work(
        self,
        goal: str,
        options: RunOptions,
        *,
        run_id: str = "",
        given: Collection[str] = (),
        resumes: RunRow | None = None,
        replays: RunRow | None = None,
        forks: Fork | None = None,
    ) -> RunResult:
        from crewmix.journal.shared import Budget
        from crewmix.launch import Launch
        from crewmix.session import work_run
        from crewmix.tools.people import People

        inputs = {**self._inputs, **(options.get("inputs") or {})}
        kept: dict[str, Any] = {**self._options, "inputs": inputs}
        crew, budget = self._definition, options.get("budget")
        shared = budget if isinstance(budget, Budget) else None
        if budget is not None and not isinstance(budget, Budget):
            before = resumes.definition["crew"]["budget"] if resumes is not None else crew.budget
            crew = with_budget(crew, budget, before)
            kept["budget"] = crew.budget and crew.budget.model_dump(mode="json")
        launch = Launch(
            crew=crew,
            project=self._project,
            models={**self._definition.models, **self._objects},
            tools=await self._loaded_tools(),
            inputs=inputs,
            options=kept,
            given=given,
            on_event=options.get("on_event"),
            deltas=options.get("deltas", False),
            people=People(
                ask=options.get("ask"),
                approve=options.get("approve"),
                review=options.get("review"),
                wait=options.get("wait", resumes is not None and resumes.status == "waiting"),
            ),
            pattern=self._pattern,
            shared=shared,
            resumes=resumes,
            replays=replays,
            forks=forks,
            run_id=run_id,
        )
        return await work_run(launch, goal)

    async def _loaded_tools(self) -> Mapping[str, Tool]:
        """The tools that roles name, loaded once; in a thread, since a tool's file may import anything."""
        async with self._loading:
            if self._loaded is None:
                names = {name for crew in self._definition.everyone() for role in crew.roles for name in role.tools}
                self._loaded = await asyncio.to_thread(_load_tools, names, self._project, self._tools) if names else {}
        return self._loaded


def _given(tools: Sequence[object], objects: Iterable[str], pattern: PatternSource | None) -> list[str]:
    """The names of what only Python can give again."""
    return sorted([*tool_names(tools), *objects, *(["pattern"] if pattern is not None else [])])


def with_budget(
    definition: CrewDefinition,
    budget: BudgetSpec | Mapping[str, Any],
    before: BudgetSpec | Mapping[str, Any] | None,
) -> CrewDefinition:
    """The crew with other limits in the places of those of its own budget that `budget` names; `"+0.20"` adds to `before`."""
    own = definition.budget or BudgetSpec()
    return replace(definition, budget=own.model_copy(update=raised(budget, before)))


def _project(place: str | Path | Project | None) -> Project:
    if isinstance(place, Project):
        return place
    return Project.find(None if place is None else Path(place))


def _load_tools(names: Iterable[str], project: Project, extra: Sequence[object]) -> Mapping[str, Tool]:
    from crewmix.tools.registry import load_tools

    return load_tools(names, project, extra)


def _require(paths: Sequence[Path]) -> None:
    for path in paths:
        if not path.exists():
            raise UsageError(f"the knowledge path {path} does not exist")
