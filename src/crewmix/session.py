"""One run from opening to closing: its journal, models, tools and documents around `orchestrate`."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from crewmix.agents.factory import make_actors
from crewmix.definitions.definition import CrewDefinition
from crewmix.definitions.filled import filled
from crewmix.definitions.project import Project
from crewmix.definitions.spec import BudgetSpec, ModelSpec
from crewmix.errors import BudgetExceededError, CrewmixError, FencedError, RunCancelledError, StorageError, UsageError
from crewmix.journal.budget import Amount, Ledger, Limits
from crewmix.journal.events import BudgetWarning, Event, RunFinished, RunStarted, Warned
from crewmix.journal.lock import lock_run, release_run
from crewmix.journal.open import open_store
from crewmix.journal.redact import Redactor
from crewmix.journal.run import Run, Scope
from crewmix.journal.store import RunRow, SqliteStore
from crewmix.models.gateway import Gateway
from crewmix.models.resolve import resolve
from crewmix.models.types import Model, ModelReply
from crewmix.orchestrate import Workplace, orchestrate
from crewmix.result import NOT_KEPT, RunResult
from crewmix.tally import Tally, make_result
from crewmix.tools.base import Approver, Tool, ToolContext

if TYPE_CHECKING:
    from crewmix.agents.human import Asker
    from crewmix.knowledge.index import Index


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
    profiles = await resolve(launch.models, folder=launch.project.root)
    gateway = Gateway(profiles, cache_path=launch.project.state / "cache.db")
    run_id = launch.row.run_id if launch.row else launch.run_id or new_run_id()
    with ExitStack() as closing:
        store, store_problem = _open_store(launch, run_id, closing)
        redactor = Redactor(p.api_key for p in profiles.values() if p.api_key)
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
        run.listen(tally.hear)
        if launch.on_event is not None:
            run.listen(launch.on_event, deltas=launch.deltas)
        ledger = _ledger("run", crew.budget, run, "")
        root = Scope(run, ledgers=(ledger,))
        models = {name: (p.model, p.why) for name, p in profiles.items()}
        root.emit(RunStarted(run_id=run_id, crew=crew.name, goal=goal, models=models, resumed=epoch > 1))
        if store_problem:
            root.emit(Warned(code="not_kept", message=store_problem))
        try:
            work = await _workplace(launch, crew, gateway, root)
            outcome = await orchestrate(root, work, goal)
        except BaseException as error:
            raise await _ended(root, tally, time.monotonic() - started, error) from None
        finally:
            await gateway.close()
        result = make_result(root, crew.name, goal, outcome, tally, models, time.monotonic() - started)
        _write_outputs(launch.project, crew, root, result)
        result = replace(result, warnings=tuple(tally.warnings))
        status = "budget" if result.stopped_by else result.status
        _finish(root, status, tally, result.seconds, result.output, outcome.stopped and outcome.stopped.message)
        kept = redactor.data(result.as_dict())
        await store.finish_run(run_id, epoch, status, kept, None)
        return RunResult.from_dict(kept)


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


# -- what a run works with -----------------------------------------------------------------------------------------------


async def _workplace(launch: Launch, crew: CrewDefinition, gateway: Gateway, root: Scope) -> Workplace:
    index = await _index(launch.project, crew, root)

    def context(scope: Scope) -> ToolContext:
        return ToolContext(
            scope=scope,
            project=launch.project.root,
            folders=crew.knowledge,
            index=index,
            approve=launch.approve,
            rules=crew.approve,
        )

    roles = (*crew.roles, crew.synthesizer)
    return Workplace(
        crew=crew,
        gateway=gateway,
        actors=make_actors(crew.roles, gateway, launch.tools, context, launch.ask),
        task_ledger=lambda scope, task: (
            _ledger(f"task {task.id}", task.budget, root.run, scope.path) if task.budget else None
        ),
        role_ledgers={r.name: _ledger(f"role {r.name}", r.budget, root.run, "", r.name) for r in roles if r.budget},
    )


async def _index(project: Project, crew: CrewDefinition, root: Scope) -> Index | None:
    if not crew.knowledge:
        return None
    from crewmix.knowledge.index import Index

    index = await asyncio.to_thread(Index.open, crew.knowledge, project.root, project.state / "knowledge.db")
    for path, reason in index.skipped:
        root.emit(Warned(code="document_skipped", message=f"{path} was not read: {reason}"))
    for warning in index.warnings:
        root.emit(Warned(code="document_warning", message=warning))
    if not index.documents:
        places = ", ".join(str(p) for p in crew.knowledge)
        root.emit(Warned(code="no_documents", message=f"there is no readable document in {places}"))
    return index


def _ledger(owner: str, budget: BudgetSpec | None, run: Run, scope: str, role: str = "") -> Ledger:
    """A ledger in which everything the run has already paid for at this place is booked."""
    spec = budget or BudgetSpec()
    limits = Limits(spec.usd, spec.calls, spec.tokens, spec.seconds, spec.unpriced == "deny")

    def warn(name: str, limit: str, used: float, allowed: float, mark: float) -> None:
        run.emit(BudgetWarning(owner=name, limit=limit, used=used, allowed=allowed, share=mark), scope)

    ledger = Ledger(owner, limits, warn)
    for place, response in run.answered("model"):
        if place.startswith(scope) and (not role or f"/{role}/" in place):
            reply = ModelReply.from_dict(response)
            cost = Decimal(0) if reply.cached else reply.cost
            calls = 0 if reply.cached else reply.attempts
            ledger.spend(Amount(calls, 0 if reply.cached else reply.usage.total_tokens, cost))
    return ledger


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
