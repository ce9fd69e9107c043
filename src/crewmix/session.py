"""One run from opening to closing: its journal, models, tools and documents around `orchestrate`."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from crewmix.chat.base import PatternSource
from crewmix.definitions.definition import CrewDefinition
from crewmix.definitions.filled import filled
from crewmix.definitions.project import Project
from crewmix.definitions.spec import ModelSpec
from crewmix.errors import BudgetExceededError, CrewmixError, FencedError, RunCancelledError, StorageError, UsageError
from crewmix.journal.events import Event, RunFinished, RunStarted, Warned
from crewmix.journal.lock import lock_run, release_run
from crewmix.journal.open import open_store
from crewmix.journal.redact import Redactor
from crewmix.journal.rows import RunRow
from crewmix.journal.run import Run, Scope
from crewmix.journal.store import SqliteStore
from crewmix.ledgers import open_ledger
from crewmix.models.profile import Profile
from crewmix.models.types import Model
from crewmix.orchestrate import orchestrate
from crewmix.result import NOT_KEPT, RunResult
from crewmix.staff import Staff, find_staff
from crewmix.tally import Tally, make_result
from crewmix.tools.base import Approver, Tool
from crewmix.tools.sandbox import require_sandbox
from crewmix.workplace import Means, open_workplace

if TYPE_CHECKING:
    from crewmix.agents.human import Asker


@dataclass(frozen=True, slots=True)
class Launch:
    """What a run is started with, besides its goal.

    `models` are the crew's with Python objects put in, `tools` those its roles name. `row` is the run to resume.
    """

    crew: CrewDefinition
    project: Project
    models: Mapping[str, ModelSpec | Model]
    tools: Mapping[str, Tool]
    inputs: Mapping[str, str] | None = None
    options: Mapping[str, Any] | None = None
    """How `Crew.load` was called, so that `crewmix resume` can call it again."""
    on_event: Callable[[Event], None] | None = None
    deltas: bool = True
    """Whether `on_event` wants text as it arrives."""
    ask: Asker | None = None
    approve: Approver | None = None
    pattern: PatternSource | None = None
    """A chat pattern given in Python."""
    row: RunRow | None = None
    run_id: str = ""


def new_run_id() -> str:
    """A run id that sorts by time: `20260131-235959-a1b2c3`."""
    return f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(3)}"


async def work_run(launch: Launch, goal: str) -> RunResult:
    """Run a goal, or resume a run, and record how it ended.

    Raises:
        UserError: The goal, the inputs, a model or a tool is wrong; nothing was started.
        FencedError: Another process works on the run.
        RunError: The run failed; it can be resumed.
        BudgetExceededError: A budget ended it before there was anything to answer with.
        RunCancelledError: It was cancelled; it can be resumed.
    """
    if not goal.strip():
        raise UsageError("the goal is empty", hint='say what is to be achieved, e.g. crew.run("Compare A and B")')
    crew = filled(launch.crew, goal, launch.inputs or {})
    staff = await find_staff(crew, launch.models, launch.project)
    profiles = [profile for team in staff.everyone() for profile in team.profiles.values()]
    if any(spec.method == "tested" for team in crew.everyone() for spec in team.syntheses()):
        await asyncio.to_thread(require_sandbox)
    run_id = launch.row.run_id if launch.row else launch.run_id or new_run_id()
    with ExitStack() as closing:
        store, store_problem = _open_store(launch, run_id, closing)
        redactor = Redactor(p.api_key for p in profiles if p.api_key)
        started = time.monotonic()
        if launch.row is not None:
            # What a finished run went on without is tried again; a run that was cut off goes on as it did before.
            ended = launch.row.status in {"partial", "failed", "budget"}
            epoch = await store.claim(run_id, forget=("failure", "quorum") if ended else ())
        else:
            epoch = 1
            record = {"crew": crew.as_dict(), "fingerprint": launch.crew.fingerprint(), "options": launch.options or {}}
            await store.create_run(run_id, crew.name, goal, redactor.data(record))
        run = Run(run_id, store, epoch, redactor)
        tally = Tally()
        tally.paid_before(run.recordings("model"))
        run.listen(tally.hear)
        if launch.on_event is not None:
            run.listen(launch.on_event, deltas=launch.deltas)
        ledger = open_ledger("run", crew.budget, run, "")
        root = Scope(run, ledgers=(ledger,))
        models = {name: (p.model, p.why) for name, p in _named(staff)}
        root.emit(RunStarted(run_id=run_id, crew=crew.name, goal=goal, models=models, resumed=epoch > 1))
        if store_problem:
            root.emit(Warned(code="not_kept", message=store_problem))
        means = Means(launch.project, launch.tools, launch.ask, launch.approve)
        try:
            work = await open_workplace(means, staff, crew, root, pattern=launch.pattern)
            outcome = await orchestrate(root, work, goal)
        except BaseException as error:
            raise await _ended(root, tally, time.monotonic() - started, error) from None
        finally:
            for team in staff.everyone():
                await team.gateway.close()
        result = make_result(root, crew.name, goal, outcome, tally, models, time.monotonic() - started)
        _write_outputs(launch.project, crew, root, result)
        result = replace(result, warnings=tuple(tally.warnings))
        status = "budget" if result.stopped_by else result.status
        _finish(root, status, tally, result.seconds, result.output, outcome.stopped and outcome.stopped.message)
        kept = redactor.data(result.as_dict())
        await store.finish_run(run_id, epoch, status, kept, None)
        return RunResult.from_dict(kept)


def _named(staff: Staff, prefix: str = "") -> Iterator[tuple[str, Profile]]:
    """Every model by its name in the crew, `team.name` for those of a crew within it."""
    yield from ((prefix + name, profile) for name, profile in staff.profiles.items())
    for name, team in staff.teams.items():
        yield from _named(team, f"{prefix}{name}.")


# -- the journal ---------------------------------------------------------------------------------------------------------


def _open_store(launch: Launch, run_id: str, closing: ExitStack) -> tuple[SqliteStore, str | None]:
    """The run's store, locked for this process; in memory, with the reason, when the project cannot be written."""
    try:
        store = open_store(launch.project.database)
        closing.callback(release_run, lock_run(launch.project.state, run_id))
    except (StorageError, OSError) as error:
        if launch.row is not None:
            raise
        memory = SqliteStore(None)
        closing.callback(memory.close)
        reason = error.message if isinstance(error, CrewmixError) else str(error)
        return memory, f"{NOT_KEPT}: {reason}"
    return store, None


# -- how a run ends ------------------------------------------------------------------------------------------------------


def _write_outputs(project: Project, crew: CrewDefinition, root: Scope, result: RunResult) -> None:
    """Write answers of tasks with an `output_file`. A file that cannot be written is a warning, not a lost run."""
    files = {task.id: task.output_file for task in crew.tasks}
    for task in result.tasks:
        name = files.get(task.id)
        if name is None or not task.output:
            continue
        path = project.root / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(task.output + "\n", encoding="utf-8")
        except OSError as error:
            message = f"{name} of task {task.id} was not written: {error.strerror}"
            root.emit(Warned(code="output_file", message=message))


async def _ended(root: Scope, tally: Tally, seconds: float, error: BaseException) -> BaseException:
    """Record that the run ended without a result, and give the error to raise."""
    run = root.run
    if isinstance(error, asyncio.CancelledError | RunCancelledError):
        run.cancel()
        status, message = "cancelled", "cancelled"
    elif isinstance(error, BudgetExceededError):
        status, message = "budget", error.message
    else:
        status, message = (
            "failed",
            error.message if isinstance(error, CrewmixError) else f"{type(error).__name__}: {error}",
        )
    message = run.redactor.text(message)
    if not isinstance(error, FencedError):
        _finish(root, status, tally, seconds, "", message)
        with suppress(StorageError):
            await run.store.finish_run(run.run_id, run.epoch, status, None, message)
    return error


def _finish(root: Scope, status: str, tally: Tally, seconds: float, output: str, error: str | None) -> None:
    cost = None if tally.cost is None else float(tally.cost)
    root.emit(RunFinished(status=status, output=output, cost=cost, calls=tally.calls, seconds=seconds, error=error))
