"""What the journal costs: a write, a recalled effect, a replayed and a carried run, a listed event."""

import asyncio
import statistics
import tempfile
import time
from pathlib import Path

from crewmix import Crew, ModelReply, Role, Task
from crewmix.definitions.project import Project
from crewmix.journal.events import Warned
from crewmix.journal.run import Run
from crewmix.journal.scope import Scope
from crewmix.journal.store import SqliteStore
from crewmix.runs import export_run, import_run, replay, run_events

REQUEST = {"messages": ["x" * 7_600]}
RESPONSE = {"text": "y" * 3_600}


async def measure(folder: Path) -> tuple[float, float, float]:
    """Median seconds of a write (an effect is two), seconds to recall 1,000 effects, and to list 10,000 events."""
    project = Project(folder)
    store = SqliteStore(project.database)
    await store.create_run("run", "crew", "goal", {})
    run = Run("run", store)

    async def perform() -> object:
        return RESPONSE

    times: list[float] = []
    for n in range(1_000):
        started = time.perf_counter()
        await Scope(run, f"s{n}").effect("model", REQUEST, perform)
        times.append(time.perf_counter() - started)
    for n in range(10_000):
        Scope(run, "s").emit(Warned(code="c", message=f"event {n}"))
    await store.flush()
    started = time.perf_counter()
    again = Run("run", store, await store.claim("run"))
    for n in range(1_000):
        await Scope(again, f"s{n}").effect("model", REQUEST, perform)
    recalled = time.perf_counter() - started
    started = time.perf_counter()
    assert len(run_events(project, "run")) == 10_000 and again.recalled == 1_000
    listed = time.perf_counter() - started
    store.close()
    return statistics.median(times) / 2, recalled, listed


class Echo:
    """A model that always says the same."""

    async def complete(self, request: object, on_delta: object = None) -> ModelReply:
        """Answer at once."""
        return ModelReply("Some forty words of an answer, " * 8)


def measure_run(folder: Path) -> tuple[float, float]:
    """Seconds to replay, and to export and import, a run of 1,000 model calls: 20 tasks of 50 turns that see those before."""
    crew = Crew(
        roles=[Role(name=f"role_{n}", role=f"Expert {n}", goal="Answer the question.") for n in range(5)],
        tasks=[Task(id=f"task_{n}", description=f"Do part {n}.") for n in range(20)],
        chat={"max_turns": 50},
        synthesis={"method": "similarity"},
        models={"default": Echo()},
        project=folder,
    )
    assert crew.run("Do it.").calls > 1_000
    project = Project(folder)
    started = time.perf_counter()
    assert replay(project, "last").same
    replayed = time.perf_counter() - started
    started = time.perf_counter()
    assert import_run(project, export_run(project, "last", folder / "run.jsonl.gz"), as_new=True).new
    return replayed, time.perf_counter() - started


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as name:
        write, recalled, listed = asyncio.run(measure(Path(name)))
    with tempfile.TemporaryDirectory() as name:
        replayed, carried = measure_run(Path(name))
    print("| what | measured | wanted |\n|---|---|---|")
    print(
        f"| a write: half of an effect, intent and outcome on disk (7.6 kB, 3.6 kB) | {write * 1000:.2f} ms | ≤ 1 ms |"
    )
    print(f"| a resumed run recalling 1,000 effects | {recalled:.2f} s | ≤ 2 s |")
    print(f"| replaying a whole run of 1,000 model calls | {replayed:.2f} s | ≤ 2 s |")
    print(f"| exporting it into a packed file and importing that | {carried:.2f} s | |")
    print(f"| listing 10,000 events | {listed:.2f} s | ≤ 1 s |")
