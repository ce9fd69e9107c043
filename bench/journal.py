"""What the journal costs: a write, a recalled effect, a replayed run, a listed event."""

import asyncio
import statistics
import tempfile
import time
from pathlib import Path

from crewmix import Crew, ModelReply, Role, Task
from crewmix.definitions.project import Project
from crewmix.journal.events import Warned
from crewmix.journal.run import Run, Scope
from crewmix.journal.store import SqliteStore
from crewmix.runs import replay

REQUEST = {"messages": ["x" * 7_600]}
RESPONSE = {"text": "y" * 3_600}


async def measure(folder: Path) -> tuple[float, float, float]:
    """Median seconds of an effect (intent and outcome), seconds to recall 1,000, and to list 10,000 events."""
    store = SqliteStore(folder / "crewmix.db")
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
    assert len(store.events("run")) == 10_000 and again.recalled == 1_000
    listed = time.perf_counter() - started
    store.close()
    return statistics.median(times), recalled, listed


class Echo:
    """A model that always says the same."""

    async def complete(self, request: object, on_delta: object = None) -> ModelReply:
        """Answer at once."""
        return ModelReply("Some forty words of an answer, " * 8)


def measure_replay(folder: Path) -> float:
    """Seconds to work a whole run of 1,000 model calls again: 20 tasks of 50 turns, each turn seeing those before it."""
    crew = Crew(
        roles=[Role(name=f"role_{n}", role=f"Expert {n}", goal="Answer the question.") for n in range(5)],
        tasks=[Task(id=f"task_{n}", description=f"Do part {n}.") for n in range(20)],
        chat={"max_turns": 50},
        synthesis={"method": "similarity"},
        models={"default": Echo()},
        project=folder,
    )
    assert crew.run("Do it.").calls > 1_000
    started = time.perf_counter()
    assert replay(Project(folder), "last").same
    return time.perf_counter() - started


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as name:
        write, recalled, listed = asyncio.run(measure(Path(name)))
    with tempfile.TemporaryDirectory() as name:
        replayed = measure_replay(Path(name))
    print("| what | measured | wanted |\n|---|---|---|")
    print(f"| an effect, intent and outcome on disk (7.6 kB in, 3.6 kB out) | {write * 1000:.2f} ms | ≤ 2 ms |")
    print(f"| a resumed run recalling 1,000 effects | {recalled:.2f} s | ≤ 2 s |")
    print(f"| replaying a whole run of 1,000 model calls | {replayed:.2f} s | ≤ 2 s |")
    print(f"| listing 10,000 events | {listed:.2f} s | ≤ 1 s |")
