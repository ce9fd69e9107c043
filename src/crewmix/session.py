"""One run from opening to closing: its journal, models, tools and documents around `orchestrate`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace

from crewmix.definitions.definition import CrewDefinition
from crewmix.definitions.filled import filled
from crewmix.definitions.project import Project
from crewmix.errors import (
    BudgetExceededError,
    CrewmixError,
    FencedError,
    RunCancelledError,
    StorageError,
    UsageError,
    WaitingError,
)
from crewmix.journal.events import RunFinished, RunStarted, Warned
from crewmix.journal.redact import Redactor, learn
from crewmix.journal.run import Run
from crewmix.journal.scope import Scope
from crewmix.journal.secret_values import secrets_in
from crewmix.launch import Launch
from crewmix.ledgers import open_crew_ledger
from crewmix.models.profile import Profile
from crewmix.opening import open_run
from crewmix.orchestrate import orchestrate
from crewmix.planning.turns import Cast
from crewmix.result import NOT_KEPT, RunResult
from crewmix.staff import Staff, find_staff, replayed_staff
from crewmix.tally import Tally, make_result
from crewmix.tools.sandbox import require_sandbox
from crewmix.workplace import Means, open_workplace


async def work_run(launch: Launch, goal: str) -> RunResult:
    """Run a goal, resume, fork or replay a run, and record how it ended.

    Raises:
        UserError: The goal, the inputs, a model or a tool is wrong; nothing was started.
        FencedError: Another process works on the run.
        RunError: The run failed; it can be resumed.
        WaitingError: It waits for a person who is not there.
        BudgetExceededError: A budget ended it before there was anything to answer with.
        RunCancelledError: It was cancelled; it can be resumed.
        ReplayMissError: It was to be repeated, and asked something that was not recorded.
    """
    if not goal.strip():
        raise UsageError("the goal is empty", hint='say what is to be achieved, e.g. crew.run("Compare A and B")')
    learn(secrets_in(launch.crew.as_dict()))
    goal, inputs = Redactor().data((goal, launch.inputs))
    crew = filled(launch.crew, goal, inputs)
    staff = await _staff(launch, crew)
    learn(profile.api_key for _, profile in _named(staff) if profile.api_key)
    with ExitStack() as closing:
        opened = await open_run(launch, crew, goal, staff, closing)
        run, started = opened.run, time.monotonic()
        tally = Tally()
        tally.paid_before(run.recordings("model"))
        run.listen(tally.hear)
        if launch.on_event is not None:
            run.listen(launch.on_event, deltas=launch.deltas)
        root = _root(launch, crew, staff, run, closing)
        models = {name: (p.model, p.why) for name, p in _named(staff)}
        root.emit(
            RunStarted(
                run_id=run.run_id,
                crew=crew.name,
                goal=goal,
                models=models,
                resumed=launch.resumes is not None,
                forked_from=launch.forks.row.run_id if launch.forks else "",
            )
        )
        for code, message in opened.notices:
            root.emit(Warned(code=code, message=message))
        means = Means(launch.project, launch.tools, launch.people)
        try:
            work = await open_workplace(means, staff, crew, root, pattern=launch.pattern)
            outcome = await orchestrate(root, work, goal)
        except BaseException as error:
            raise await _ended(root, tally, time.monotonic() - started, error) from None
        finally:
            # Whatever was left behind, e.g. in a thread, starts nothing any more.
            run.cancel()
            gateways = [team.gateway for team in staff.everyone()]
            await asyncio.gather(*(gateway.close() for gateway in gateways), return_exceptions=True)
        if run.store.lost:
            root.emit(Warned(code="not_kept", message=f"{NOT_KEPT}: its journal was deleted or replaced meanwhile"))
        result = make_result(root, crew.name, goal, outcome, tally, models, time.monotonic() - started)
        if not run.replaying:
            _write_outputs(launch.project, crew, root, result)
        result = replace(result, warnings=tuple(tally.warnings))
        status = "budget" if result.stopped_by else result.status
        _finish(root, status, tally, result.seconds, result.output, outcome.stopped and outcome.stopped.message)
        kept = run.redactor.data(result.as_dict())
        await run.store.finish_run(run.run_id, run.epoch, status, kept, None)
        return RunResult.from_dict(kept)


async def _staff(launch: Launch, crew: CrewDefinition) -> Staff:
    if launch.replays is not None:
        recorded = launch.replays.definition
        if "staff" not in recorded:
            raise UsageError(
                f"run {launch.replays.run_id} was recorded by an earlier crewmix, which kept too little for a replay"
            )
        return await replayed_staff(crew, launch.models, recorded["crew"], recorded["staff"], launch.project)
    staff = await find_staff(crew, launch.models, launch.project)
    if any(spec.method == "tested" for team in crew.everyone() for spec in team.syntheses()):
        await asyncio.to_thread(require_sandbox)
    return staff


def _root(launch: Launch, crew: CrewDefinition, staff: Staff, run: Run, closing: ExitStack) -> Scope:
    """The root of the run's tree, with the budgets that pay for all of it; the run's own comes last."""
    own = open_crew_ledger(Cast(crew, staff.profiles, staff.teams), "run", run, "")
    shared = closing.enter_context(launch.shared.charged(run)) if launch.shared is not None else None
    root = Scope(run).charged_to(shared).charged_to(own)
    return root if own.share else root.merging()


def _named(staff: Staff, prefix: str = "") -> Iterator[tuple[str, Profile]]:
    """Every model by its name in the crew, `team.name` for those of a crew within it."""
    yield from ((prefix + name, profile) for name, profile in staff.profiles.items())
    for name, team in staff.teams.items():
        yield from _named(team, f"{prefix}{name}.")


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
    message = run.redactor.text(_message(error))
    match error:
        case asyncio.CancelledError() | RunCancelledError():
            run.cancel()
            status = "cancelled"
        case BudgetExceededError():
            status = "budget"
        case WaitingError():
            status = "waiting"
        case _:
            status = "failed"
    if isinstance(error, CrewmixError):
        error.message = message
        error.hint = error.hint and run.redactor.text(error.hint)
        error.args = (message,)
    if not isinstance(error, FencedError):
        _finish(root, status, tally, seconds, "", message)
        with suppress(StorageError):
            await run.store.finish_run(run.run_id, run.epoch, status, None, message)
    return error


def _message(error: BaseException) -> str:
    if isinstance(error, asyncio.CancelledError):
        return "the run was cancelled"
    return error.message if isinstance(error, CrewmixError) else f"{type(error).__name__}: {error}"


def _finish(root: Scope, status: str, tally: Tally, seconds: float, output: str, error: str | None) -> None:
    cost = None if tally.cost is None else float(tally.cost)
    root.emit(RunFinished(status=status, output=output, cost=cost, calls=tally.calls, seconds=seconds, error=error))
