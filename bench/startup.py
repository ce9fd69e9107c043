"""CPU from the start of a process to its first useful moment.

Every figure is the user + system CPU of a fresh process, the median of several, bare Python's own taken off where it says so.
"""

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.server import provider

ROUNDS = 7


def cpu(arguments: list[str], **options: object) -> float:
    """Median CPU seconds of a command."""
    spent: list[float] = []
    for _ in range(ROUNDS):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(arguments, check=True, capture_output=True, **options)  # type: ignore[call-overload]
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return statistics.median(spent)


def first_request(folder: Path) -> float:
    """Median seconds from process start to the first request of a one-role run."""
    script = (
        "import time, sys\n"
        "from crewmix import Crew, ModelReply, Role\n"
        "class First:\n"
        "    async def complete(self, request, on_delta=None):\n"
        "        print(time.time(), flush=True)\n"
        "        return ModelReply('done')\n"
        "Crew(roles=[Role(role='Analyst', goal='Answer')], plan='none', models={'default': First()}).run('Why?')\n"
    )
    waits: list[float] = []
    for _ in range(ROUNDS):
        started = time.time()
        done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, cwd=folder)
        waits.append(float(done.stdout.split()[0]) - started)
    return statistics.median(waits)


def first_http_request(folder: Path) -> float:
    """The same through the shell and a real connection: process start to the end of a run whose one call takes no time."""
    (folder / "crews").mkdir()
    with provider(0.0) as url:
        crew = f"roles: [analyst]\nplan: none\nmodels: {{default: openai_compatible/m@{url}}}\n"
        (folder / "crews" / "one.yaml").write_text(crew)
        command = [sys.executable, "-m", "crewmix", "run", "one", "Why?", "--quiet"]
        waits: list[float] = []
        for _ in range(ROUNDS):
            started = time.time()
            subprocess.run(command, check=True, capture_output=True, cwd=folder, env={**os.environ, "NO_COLOR": "1"})
            waits.append(time.time() - started)
    return statistics.median(waits)


def main() -> None:
    """Print the table."""
    bare = cpu([sys.executable, "-c", "pass"])
    crewmix = [sys.executable, "-m", "crewmix"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = [
            ("import crewmix, over bare Python", cpu([sys.executable, "-c", "import crewmix"]) - bare, 0.050),
            ("crewmix --help, over bare Python", cpu([*crewmix, "--help"]) - bare, 0.300),
            ("crewmix check --library", cpu([*crewmix, "check", "--library"], cwd=folder), 0.600),
            ("process start to the first request, one role (s)", first_request(folder), 0.700),
            ("the whole one-role run in the shell over HTTP (s)", first_http_request(folder), None),
        ]
    print("| what | measured | wanted |\n|---|---|---|")
    for what, seconds, wanted in rows:
        print(f"| {what} | {seconds * 1000:.0f} ms | {'' if wanted is None else f'≤ {wanted * 1000:.0f} ms'} |")
