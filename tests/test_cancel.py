"""A cancelled run stops at once, wherever it is: requests in flight are closed, nothing further starts, and it can be resumed."""

import asyncio
import json
import sqlite3
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from crewmix import Crew, Role, tool
from crewmix.definitions.spec import ModelSpec
from crewmix.errors import RunCancelledError, UsageError
from crewmix.journal.events import ModelRetried, RunFinished, TurnStarted
from crewmix.journal.lock import is_worked
from crewmix.runs import find_run, run_events
from support.gate import LONG, Gate
from support.provider import Fault, Provider, Reply


@dataclass
class Stage:
    """Where a run is when it is cancelled."""

    fields: dict
    gate: Gate
    calls: int
    """How many calls are answered in all, once the run was resumed."""
    cut: int
    """How many requests are in flight."""
    reached: threading.Event | None = None
    """None = when the gate holds its last request back."""
    model: dict = field(default_factory=dict)
    options: dict = field(default_factory=dict)
    tools: tuple = ()
    open: Callable[[], object] = lambda: None


def roles(*names, **fields):
    return [Role(name=name, role=name, goal="Answer.", **fields) for name in names]


def plan(body):
    if "Split the goal" not in json.dumps(body["messages"]):
        return Reply("fine")
    task = {"id": "a", "description": "What?", "expected_output": "", "roles": [], "needs": []}
    return Reply(json.dumps({"tasks": [task]}))


def planning():
    return Stage({"roles": roles("ann"), "plan": {"max_tasks": 2}}, Gate(1, answer=plan), calls=2, cut=1)


def parallel_round():
    chat = {"pattern": "vote", "samples": 3}
    return Stage({"roles": roles("ann", "bob"), "chat": chat}, Gate(2, 3, 4, 5, 6), calls=7, cut=5)


def synthesis():
    return Stage({"roles": roles("ann", "bob")}, Gate(3), calls=3, cut=1)


def crewai_turn():
    return Stage({"roles": roles("ann", actor="crewai")}, Gate(1), calls=1, cut=1)


def calling(name):
    def answer(body):
        asked = any(m["role"] == "tool" for m in body["messages"])
        return Reply("fine") if asked else Reply(tool_calls=[(name, {})])

    return answer


def async_tool():
    reached, opened = threading.Event(), threading.Event()

    @tool
    async def look() -> str:
        """Look."""
        reached.set()
        if not opened.is_set():
            await asyncio.Event().wait()
        return "seen"

    fields = {"roles": roles("ann", tools=("look",))}
    return Stage(fields, Gate(answer=calling("look")), 2, 0, reached, tools=(look,), open=opened.set)


def blocking_tool():
    reached, opened = threading.Event(), threading.Event()

    @tool
    def look() -> str:
        """Look."""
        reached.set()
        assert opened.wait(LONG)
        return "seen"

    fields = {"roles": roles("ann", tools=("look",))}
    return Stage(fields, Gate(answer=calling("look")), 2, 0, reached, tools=(look,), open=opened.set)


def retry_wait():
    reached = threading.Event()
    busy = [Fault("status", status=429, headers={"retry-after": "40"})]
    gate = Gate(answer=lambda body: busy.pop() if busy else Reply("fine"))
    options = {"on_event": lambda event: reached.set() if isinstance(event, ModelRetried) else None}
    return Stage({"roles": roles("ann")}, gate, 1, 0, reached, options=options)


def when_second_starts(reached):
    def hear(event):
        if isinstance(event, TurnStarted) and event.role == "bob":
            reached.set()

    return {"on_event": hear}


def requests_a_minute():
    reached = threading.Event()
    chat = {"pattern": "round_robin"}
    fields = {"roles": roles("ann", "bob"), "chat": chat, "synthesis": {"method": "similarity"}}
    return Stage(fields, Gate(), 2, 0, reached, {"rpm": 1}, when_second_starts(reached))


def waiting_for_budget():
    fields = {"roles": roles("ann", "bob"), "chat": {"pattern": "vote"}, "synthesis": {"method": "similarity"}}
    budget = {"tokens": 1800, "keep_for_synthesis": 0}
    return Stage({**fields, "budget": budget}, Gate(1), 2, 1, model={"max_output_tokens": 1000})


def waiting_for_a_person():
    reached, opened = threading.Event(), threading.Event()

    async def ask(question):
        reached.set()
        if not opened.is_set():
            await asyncio.Event().wait()
        return "mine"

    fields = {"roles": roles("ann", actor="human")}
    return Stage(fields, Gate(), 0, 0, reached, options={"ask": ask}, open=opened.set)


STAGES = [
    planning,
    parallel_round,
    synthesis,
    crewai_turn,
    async_tool,
    blocking_tool,
    retry_wait,
    requests_a_minute,
    waiting_for_budget,
    waiting_for_a_person,
]


def make_crew(stage: Stage, provider: Provider, folder) -> Crew:
    model = ModelSpec(model=provider.model, **stage.model)
    fields = {"plan": "none", **stage.fields}
    return Crew(**fields, models={"default": model}, tools=stage.tools, project=folder)


def functions_at_work() -> set[str]:
    """The names of the functions that run on any thread."""
    names = set()
    for top in sys._current_frames().values():
        frame = top
        while frame is not None:
            names.add(frame.f_code.co_name)
            frame = frame.f_back
    return names


def turns_under_way() -> list[str]:
    """The threads on which crewAI is at work."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    busy = []
    for ident, top in sys._current_frames().items():
        frame = top
        while frame is not None and "/crewai/" not in frame.f_code.co_filename:
            frame = frame.f_back
        if frame is not None and names.get(ident, "").startswith("crewmix-turn"):
            busy.append(names[ident])
    return busy


def until(condition: Callable[[], bool]) -> None:
    """Wait for something that tells nobody when it happens."""
    pause = threading.Event()
    for _ in range(LONG * 100):
        if condition():
            return
        pause.wait(0.01)
    raise AssertionError("it never happened")


@pytest.mark.parametrize("make", STAGES, ids=lambda make: make.__name__)
def test_a_run_is_cancelled_at_any_stage_and_goes_on_from_there(make, tmp_path):
    stage = make()
    with Provider(stage.gate) as provider:
        crew = make_crew(stage, provider, tmp_path)
        running = crew.start("Why?", **stage.options)
        reached = stage.reached or stage.gate.reached
        assert reached.wait(LONG)
        asked = len(provider.bodies)
        running.cancel()
        with pytest.raises(RunCancelledError, match=running.run_id) as cancelled:
            running.result(timeout=LONG)
        assert running.done and f"crewmix resume {running.run_id}" in str(cancelled.value)
        provider.wait_until(lambda p: p.in_flight == 0)
        assert provider.disconnects == stage.cut
        until(lambda: not turns_under_way() or make is blocking_tool)
        assert len(provider.bodies) == asked, "nothing further was asked"
        row = find_run(crew.project, "last")
        assert (row.run_id, row.status) == (running.run_id, "cancelled")
        assert not is_worked(crew.project.state, row.run_id)
        last = run_events(crew.project, "last")[-1]
        assert (last["type"], last["status"]) == ("RunFinished", "cancelled")
        stage.gate.open()
        stage.open()
        stage.model.pop("rpm", None)
        more = (
            {"budget": {"tokens": 9000}} if "budget" in stage.fields else {}
        )  # the call that was cut is booked at its worst
        result = make_crew(stage, provider, tmp_path).resume(row, **stage.options, **more)
        assert result.status == "done" and result.output
        assert provider.calls == stage.calls, "no answered call is made again"
        assert find_run(crew.project, "last").status == "done"


def test_a_run_is_cancelled_while_another_program_holds_the_journal(tmp_path):
    stage = synthesis()
    with Provider(stage.gate) as provider:
        crew = make_crew(stage, provider, tmp_path)
        running = crew.start("Why?")
        assert stage.gate.reached.wait(LONG)
        other = sqlite3.connect(crew.project.database, isolation_level=None)
        other.execute("begin immediate")
        running.cancel()
        with pytest.raises(TimeoutError, match=running.run_id):
            running.result(timeout=0.05)
        provider.wait_until(lambda p: p.in_flight == 0)
        other.execute("rollback")
        other.close()
        with pytest.raises(RunCancelledError):
            running.result(timeout=LONG)
        assert find_run(crew.project, "last").status == "cancelled"


def test_a_run_that_is_cancelled_while_its_journal_is_opened_holds_no_lock(tmp_path):
    with Provider() as provider:
        crew = make_crew(synthesis(), provider, tmp_path)
        crew.project.database.parent.mkdir()
        other = sqlite3.connect(crew.project.database, isolation_level=None)
        other.execute("begin exclusive")
        running = crew.start("Why?")
        until(lambda: "open_store" in functions_at_work())
        running.cancel()
        with pytest.raises(RunCancelledError):
            running.result(LONG)
        other.close()
        until(lambda: "open_store" not in functions_at_work())
        assert not is_worked(crew.project.state, running.run_id)
        assert provider.bodies == []
        assert crew.run("Why?").status == "done"


# -- ways to cancel --------------------------------------------------------------------------------------------------------


async def by_timeout(crew, gate):
    async with asyncio.timeout(None) as limit:
        task = asyncio.create_task(crew.arun("Why?"))
        await asyncio.to_thread(gate.reached.wait, LONG)
        limit.reschedule(0)
        await task


async def by_wait_for(crew, gate):
    await asyncio.wait_for(crew.arun("Why?"), 0.3)


async def by_task(crew, gate):
    task = asyncio.create_task(crew.arun("Why?"))
    await asyncio.to_thread(gate.reached.wait, LONG)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def by_leaving_the_stream(crew, gate):
    async with crew.stream("Why?") as stream:
        async for _ in stream:
            if gate.reached.is_set() or await asyncio.to_thread(gate.reached.wait, LONG):
                break


async def by_closing_the_stream(crew, gate):
    stream = crew.stream("Why?")

    async def read():
        return [event async for event in stream]

    reading = asyncio.create_task(read())
    await asyncio.to_thread(gate.reached.wait, LONG)
    await stream.aclose()
    with pytest.raises(asyncio.CancelledError):
        await reading


async def by_cancelling_the_stream(crew, gate):
    stream, seen = crew.stream("Why?"), []
    threading.Thread(target=lambda: gate.reached.wait(LONG) and stream.cancel()).start()
    with pytest.raises(RunCancelledError, match="cancelled"):
        async for event in stream:
            seen.append(event)
    assert isinstance(seen[-1], RunFinished) and seen[-1].status == "cancelled"
    stream.cancel()


async def by_the_handle(crew, gate):
    running = crew.start("Why?")
    await asyncio.to_thread(gate.reached.wait, LONG)
    running.cancel()
    running.cancel()
    with pytest.raises(RunCancelledError):
        await asyncio.to_thread(running.result, LONG)


WAYS = [
    by_timeout,
    by_wait_for,
    by_task,
    by_leaving_the_stream,
    by_closing_the_stream,
    by_cancelling_the_stream,
    by_the_handle,
]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
async def test_every_way_to_cancel_closes_the_request_and_leaves_a_run_to_resume(way, tmp_path):
    stage = synthesis()
    with Provider(stage.gate) as provider:
        crew = make_crew(stage, provider, tmp_path)
        try:
            await way(crew, stage.gate)
        except TimeoutError:
            assert "time" in way.__name__ or "wait" in way.__name__
        provider.wait_until(lambda p: p.in_flight == 0)
        row = find_run(crew.project, "last")
        assert row.status == "cancelled"
        asked = len(provider.bodies)
        stage.gate.open()
        result = await asyncio.to_thread(crew.resume, row)
        assert result.status == "done"
        assert provider.calls == stage.calls
        assert len(provider.bodies) == asked + stage.calls - (asked - provider.disconnects)


async def test_a_stream_that_is_cancelled_before_it_is_read_starts_nothing(tmp_path):
    with Provider() as provider:
        crew = make_crew(synthesis(), provider, tmp_path)
        stream = crew.stream("Why?")
        stream.cancel()
        with pytest.raises(RunCancelledError):
            async for _ in stream:
                pass
        assert provider.bodies == []


# -- the handle ------------------------------------------------------------------------------------------------------------


def test_a_started_run_can_be_waited_for_and_cancelling_it_then_changes_nothing(tmp_path):
    with Provider() as provider:
        crew = make_crew(synthesis(), provider, tmp_path)
        running = crew.start("Why?")
        result = running.result()
        running.cancel()
        assert running.done and running.result() == result and result.run_id == running.run_id
        assert find_run(crew.project, running.run_id).status == "done"


def test_waiting_for_a_started_run_can_end_before_the_run_does(tmp_path):
    stage = synthesis()
    with Provider(stage.gate) as provider:
        running = make_crew(stage, provider, tmp_path).start("Why?")
        assert stage.gate.reached.wait(LONG)
        with pytest.raises(TimeoutError, match=running.run_id):
            running.result(timeout=0.01)
        assert not running.done
        running.cancel()
        with pytest.raises(RunCancelledError):
            running.result(LONG)


def test_mistakes_in_what_a_run_is_started_with_are_told_by_its_result(tmp_path):
    with Provider() as provider:
        crew = make_crew(synthesis(), provider, tmp_path)
        with pytest.raises(UsageError, match="goal is empty"):
            crew.start("  ").result()
        with pytest.raises(TypeError, match="bugdet"):
            crew.start("Why?", bugdet={})


def test_waiting_for_a_run_on_crewmixs_own_thread_is_refused(tmp_path):
    told = []
    with Provider() as provider:
        crew = make_crew(synthesis(), provider, tmp_path)
        known = {}

        def hear(_event):
            if "running" in known and not told:
                try:
                    known["running"].result()
                except UsageError as error:
                    told.append(error.message)

        known["running"] = crew.start("Why?", on_event=hear)
        known["running"].result()
    assert "own event loop" in told[0]


def test_many_runs_are_cancelled_from_many_threads(tmp_path):
    gate = Gate(*range(1, 1000))
    with Provider(gate) as provider:
        crew = make_crew(Stage({"roles": roles("ann")}, gate, 0, 0), provider, tmp_path)
        started = [crew.start("Why?") for _ in range(20)]
        provider.wait_until(lambda p: p.in_flight == 20)
        threads = [threading.Thread(target=run.cancel) for run in started]
        for thread in threads:
            thread.start()
        for run in started:
            with pytest.raises(RunCancelledError):
                run.result(LONG)
        provider.wait_until(lambda p: p.in_flight == 0)
        assert provider.disconnects == len(provider.bodies) == 20
