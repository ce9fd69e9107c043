"""200 small runs at once in one process, against a provider that takes 200 ms.

Each run is a chat of three roles, four turns, and a synthesis: 5 calls, 5 deep, so 1,000 calls and 1.0 s at best. CPU is that
of this process alone; the provider runs in another.
"""

import asyncio
import resource
import statistics
import tempfile
import time
from pathlib import Path

from bench.overlap import QUESTION, role
from bench.server import provider
from crewmix import ChatSpec, Crew
from crewmix.journal.events import Event, ModelCalled, RunFinished, TurnStarted

RUNS = 200
LATENCY = 0.2


def crew(url: str, folder: Path, actor: str) -> Crew:
    """Three roles, all worked directly or all by crewAI."""
    return Crew(
        roles=[role(name, actor=actor) for name in ("ann", "bob", "cem")],
        synthesizer=role("sue"),
        plan="none",
        chat=ChatSpec(max_turns=4),
        models={"default": {"model": f"openai_compatible/bench@{url}", "concurrency": 1000}},
        project=folder,
    )


def memory() -> int:
    """Resident bytes of this process now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


async def load(team: Crew, runs: int) -> tuple[float, float, int, int, int]:
    """Wall and CPU seconds, calls, most runs in flight, and bytes a run while all are in flight."""
    calls = begun = ended = most = grown = 0
    before = memory()

    def hear(event: Event) -> None:
        nonlocal calls, begun, ended, most, grown
        if isinstance(event, TurnStarted) and event.round == 1:
            begun += 1
            most = max(most, begun - ended)
            if begun == runs:
                grown = memory() - before
        elif isinstance(event, ModelCalled):
            calls += 1
        elif isinstance(event, RunFinished):
            ended += 1

    wall, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(team.arun(QUESTION, on_event=hear) for _ in range(runs)))
    return time.perf_counter() - wall, time.process_time() - cpu, calls, most, grown // runs


def main() -> None:
    """Print the table."""
    print("| roles | runs in flight | calls | wall s (ideal 1.0) | CPU ms a call | wanted | kB a run |")
    print("|---|---|---|---|---|---|---|")
    for actor, wanted in (("direct", 3), ("crewai", 14)):
        with provider(LATENCY) as url, tempfile.TemporaryDirectory() as name:
            team = crew(url, Path(name), actor)
            asyncio.run(load(team, 3))  # imports
            rounds = [asyncio.run(load(team, RUNS)) for _ in range(3)]
        wall = statistics.median(r[0] for r in rounds)
        each = statistics.median(r[1] / r[2] * 1000 for r in rounds)
        print(
            f"| {actor} | {min(r[3] for r in rounds)} | {rounds[0][2]} | {wall:.2f} | {each:.2f} | ≤ {wanted} "
            f"| {max(r[4] for r in rounds) / 1000:.0f} |"
        )
