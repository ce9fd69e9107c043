"""Chooses among recorded programs: the real scoring of `tested` over HumanEval, against picking at random or by majority.

The recorded table says which program passes which generated test; it was made in the sandbox. Figures are averages over many
draws of samples, since one draw alone moves by some points; the 95 % intervals come from resampling the problems. Seeds are
fixed and nothing is tuned: the scoring is the published one.
"""

import json
import random
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from crewmix.synthesis.programs.agreement import agreement

DATA = Path(__file__).parents[2] / "shared" / "data" / "recorded"
TABLE = "humaneval_codegen16b_exec.json"
SOLUTIONS = "humaneval_codegen16b_solutions.jsonl"
SAMPLES = 40
DRAWS = 200
RESAMPLES = 2_000
SEED = 1


class Program(NamedTuple):
    """One recorded program."""

    text: str
    right: bool
    """Whether it passes the hidden tests."""
    passed: tuple[bool, ...]
    """For each generated test."""


class Row(NamedTuple):
    """One line of the table. Shares, 0 to 1."""

    method: str
    share: float
    low: float
    high: float
    reference: float | None


def problems(folder: Path = DATA) -> list[list[Program]]:
    """The recorded programs of each problem whose table is complete."""
    table = json.loads((folder / TABLE).read_text(encoding="utf-8"))
    lines = (folder / SOLUTIONS).read_text(encoding="utf-8").splitlines()
    texts = [json.loads(line)["samples"] for line in lines]
    return [
        [
            Program(text.strip(), bool(right), tuple(map(bool, passed)))
            for text, (_, right, passed) in zip(texts[int(number)], rows, strict=False)
        ]
        for number, rows in table.items()
        if rows
    ]


def at_random(programs: Sequence[Program]) -> float:
    """The chance that one of the programs is right."""
    return statistics.fmean(program.right for program in programs)


def by_majority(programs: Sequence[Program]) -> float:
    """Whether the most frequent text is right; ties go to the first."""
    texts = [program.text for program in programs]
    return float(max(programs, key=lambda program: texts.count(program.text)).right)


def by_tests(programs: Sequence[Program]) -> float:
    """Whether the program that `tested` chooses is right."""
    return float(programs[agreement([program.passed for program in programs])[0].programs[0]].right)


def by_oracle(programs: Sequence[Program]) -> float:
    """Whether any of the programs is right."""
    return float(any(program.right for program in programs))


METHODS: dict[str, tuple[Callable[[Sequence[Program]], float], float]] = {
    "one at random": (at_random, 0.225),
    "majority, exact": (by_majority, 0.172),
    "tested": (by_tests, 0.368),
    "oracle": (by_oracle, 0.647),
}
"""Each way of choosing, and the reference result of the data's README."""


def humaneval(folder: Path = DATA, samples: int = SAMPLES, draws: int = DRAWS) -> list[Row]:
    """How often each way of choosing among so many samples picks a right program.

    Raises:
        FileNotFoundError: The recorded answers are not in that folder.
    """
    recorded = problems(folder)
    rows: list[Row] = []
    for name, (choose, reference) in METHODS.items():
        chance = random.Random(SEED)
        shares = [
            statistics.fmean(choose(chance.sample(programs, min(samples, len(programs)))) for _ in range(draws))
            for programs in recorded
        ]
        low, high = interval(shares)
        rows.append(Row(name, statistics.fmean(shares), low, high, reference if samples == SAMPLES else None))
    return rows


def interval(shares: Sequence[float]) -> tuple[float, float]:
    """The 95 % bootstrap interval of a mean over problems."""
    chance = random.Random(SEED)
    means = sorted(statistics.fmean(chance.choices(shares, k=len(shares))) for _ in range(RESAMPLES))
    return means[int(RESAMPLES * 0.025)], means[int(RESAMPLES * 0.975)]


def main() -> None:
    """Print the table."""
    if not (DATA / TABLE).exists():
        print(f"skipped: the recorded answers ({TABLE}) are not on this machine")
        return
    print(f"| HumanEval, CodeGen-16B | samples | right | 95 % interval | reference |\n|{'---|' * 5}")
    for samples in (5, SAMPLES):
        for row in humaneval(samples=samples):
            reference = "" if row.reference is None else f"{row.reference:.1%}"
            print(f"| {row.method} | {samples} | {row.share:.1%} | {row.low:.1%} to {row.high:.1%} | {reference} |")


if __name__ == "__main__":
    main()
