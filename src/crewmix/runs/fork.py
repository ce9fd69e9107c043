"""A new run from an old one: what was answered is taken over, and only what changes is asked, and paid, anew."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Unpack

from crewmix.definitions.compare import changes
from crewmix.definitions.definition import CrewDefinition
from crewmix.definitions.edit import edited
from crewmix.definitions.given import ModelSource
from crewmix.definitions.names import nearest
from crewmix.definitions.project import Project
from crewmix.errors import UsageError
from crewmix.journal.rows import Recording, RunRow
from crewmix.options import RunOptions
from crewmix.result import RunResult
from crewmix.runs.crews import crew_as_started
from crewmix.runs.find import find_run, open_runs

if TYPE_CHECKING:
    from crewmix.chat.base import PatternSource

_SETTLED = {"failure", "quorum"}
"""Kinds of effects by which a run goes on without what failed."""


def fork(
    project: Project,
    run_id: str,
    *,
    scope: str = "",
    settings: Sequence[str] = (),
    goal: str = "",
    tools: Sequence[object] = (),
    models: Mapping[str, ModelSource] | None = None,
    pattern: PatternSource | None = None,
    **options: Unpack[RunOptions],
) -> RunResult:
    """Work a run's goal in a new run that pays only for what differs from the old one.

    The crew is the recorded one, with the changes given here; its files are not needed. Every request that is the same as one the
    old run was answered, at the same place, gets that answer. The result's cost is what the fork paid.

    Args:
        project: Where the run's journal is.
        run_id: The run's id, the beginning of it, or `last`.
        scope: A place in the run from which on everything is asked anew, e.g. `task.2/chat/round.1/researcher`.
        settings: Changes of the definition, `PLACE=VALUE`, see `crewmix.definitions.edit.edited`.
        goal: Another goal.
        tools: The tools that were given in Python, if any.
        models: Other models, or those that were given in Python, by name.
        pattern: The chat pattern that was given in Python, if any.
        **options: See `crewmix.RunOptions`.

    Raises:
        NotFoundError: There is no such run.
        UsageError: A setting or the place is wrong, or something that was hidden in the journal or given in Python is missing.
        DefinitionError: The changed definition has mistakes.
    """
    row = find_run(project, run_id)
    scope = scope.strip("/")
    if scope:
        _require_place(project, row, scope)
    definition = edited(row.definition["crew"], settings, project.root)
    crew = crew_as_started(
        project,
        row,
        definition=definition,
        inputs=options.get("inputs"),
        tools=tools,
        models=models,
        pattern=pattern,
    )
    places = changes(row.definition["crew"], crew.definition.as_dict())
    return crew.fork(row, _without(scope, _roles_at(places, crew.definition)), goal, **options)


def _require_place(project: Project, row: RunRow, scope: str) -> None:
    known = {
        "/".join(steps[: count + 1])
        for recording in open_runs(project).recordings(row.run_id)
        for steps in [recording.key.scope.split("/")]
        for count in range(len(steps))
    }
    if scope not in known:
        hint = nearest(scope, known)
        raise UsageError(f"run {row.run_id} has no place {scope!r}", hint=hint)


def _roles_at(places: Sequence[str], crew: CrewDefinition) -> frozenset[str] | None:
    """The roles that a change of a definition concerns; None = it may concern all."""
    changed: set[str] = set()
    for place in places:
        part, _, rest = place.partition(".")
        if part == "roles" and rest:
            changed.add(rest.partition(".")[0])
        elif part in {"planner", "synthesizer", "judge"}:
            changed.add(getattr(crew, part).name)
        elif part not in {"budget", "description", "name"}:
            return None
    return frozenset(changed)


def _without(scope: str, roles: frozenset[str] | None) -> Callable[[Recording], bool]:
    """Says which effects a fork does not take over.

    Those at and below the place, and failures that the old run settled for there or with roles that are no longer as they were.
    """

    def without(recording: Recording) -> bool:
        place, kind = recording.key.scope, recording.key.kind
        if scope and _within(place, scope):
            return True
        if kind == "turn" and scope and _within(scope, place.rpartition("/")[0]):
            return True
        if kind not in _SETTLED:
            return False
        if scope and _within(scope, place):
            return True
        return roles is None or (bool(roles) and recording.role.partition("#")[0] in {*roles, ""})

    return without


def _within(place: str, scope: str) -> bool:
    return place == scope or place.startswith(f"{scope}/")
