"""A clock that jumps, during a run or between start and resume, changes nothing but the times that are shown."""

import time

import pytest

from crewmix import Crew, Role
from crewmix.definitions.project import Project
from crewmix.models.types import ModelReply
from crewmix.runs import find_run, list_runs, run_events
from support.crash_crew import Bill, Words, make_crew, told, write_project

HOUR = 3600.0


class Clock:
    """The wall clock; `jump` sets it, as a person, NTP or a suspended machine does. The monotonic one goes on."""

    def __init__(self, monkeypatch) -> None:
        self.ahead = 0.0
        real = time.time
        monkeypatch.setattr(time, "time", lambda: real() + self.ahead)

    def jump(self, seconds: float) -> None:
        self.ahead += seconds


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


class Jumping(Words):
    """The clock jumps at each call, there and back."""

    def __init__(self, bill: Bill, clock: Clock, *jumps: float) -> None:
        super().__init__(bill)
        self.clock, self.jumps, self.made = clock, jumps, 0

    async def complete(self, request, on_delta=None):
        self.made += 1
        if self.jumps:
            self.clock.jump(self.jumps[self.made % len(self.jumps)])
        return await super().complete(request, on_delta)


class Fine:
    async def complete(self, request, on_delta=None):
        return ModelReply("fine")


def one(folder) -> Crew:
    return Crew(roles=[Role(role="A", goal="g")], plan="none", models={"default": Fine()}, project=folder)


def test_the_newest_run_is_the_last_one_also_after_the_clock_was_set_back(clock, tmp_path):
    ids = []
    for jump in (0, -HOUR, 24 * HOUR, -30 * HOUR):
        clock.jump(jump)
        ids.append(one(tmp_path).run("Why?").run_id)
        assert find_run(Project(tmp_path), "last").run_id == ids[-1]
    assert [row.run_id for row in list_runs(Project(tmp_path))] == ids[::-1]
    assert [row.run_id for row in list_runs(Project(tmp_path), limit=2)] == ids[:1:-1]


@pytest.mark.parametrize("jumps", [(-HOUR,), (24 * HOUR,), (HOUR, -2 * HOUR, 30 * HOUR, -40 * HOUR)])
def test_a_run_during_which_the_clock_jumps_ends_as_any_other(jumps, clock, tmp_path):
    crew, people = make_crew(write_project(tmp_path / "steady"), model=Jumping(Bill(tmp_path / "bill"), clock))
    steady = crew.run("Shall we?", **people)
    crew, people = make_crew(
        write_project(tmp_path / "p"), model=Jumping(Bill(tmp_path / "p.bill"), clock, *jumps), budget={"seconds": 300}
    )
    result = crew.run("Shall we?", **people)
    assert told(result) == told(steady)
    assert 0 <= result.seconds < 300
    events = run_events(crew.project, "last")
    assert [e["seq"] for e in events] == list(range(1, len(events) + 1))
    assert all(e.get("seconds", 0) >= 0 for e in events)


@pytest.mark.parametrize("jump", [-HOUR, 24 * HOUR])
def test_a_run_that_is_resumed_after_the_clock_has_jumped_pays_nothing_twice(jump, clock, tmp_path):
    folder = write_project(tmp_path / "p")
    bill = Bill(folder / "bill.txt")

    class Stopping(Words):
        async def complete(self, request, on_delta=None):
            if sum(bill.count().values()) == 30 and not self.stopped:
                running.cancel()
                self.stopped = True
            return await super().complete(request, on_delta)

        stopped = False

    model = Stopping(bill)
    crew, people = make_crew(folder, model=model)
    running = crew.start("Shall we?", **people)
    with pytest.raises(Exception, match="cancelled"):
        running.result(60)
    first = find_run(crew.project, "last")
    clock.jump(jump)
    result = crew.resume(first, **people)
    row = find_run(crew.project, "last")
    assert (result.status, row.status, row.epoch) == ("done", "done", first.epoch + 1)
    again = {line for line, times in bill.count().items() if times > 1}
    assert len(again) <= 3, "only what was in flight"
    events = run_events(crew.project, "last")
    assert [e["seq"] for e in events] == list(range(1, len(events) + 1))
    assert [e["type"] for e in events].count("RunStarted") == 2
