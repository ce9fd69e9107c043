"""The real votes over recorded answers of real models, beside the reference results of the data's README.

`python -m bench.recorded --data DIR` reads them elsewhere. Intervals are 95 %, from resampling the problems. Weights are learnt
on one half of the problems and counted on the other, both ways round, over 20 random splits; early stop is the average over 10
draws of nine members. Seeds are fixed and nothing is tuned.
"""

import argparse
import asyncio
import json
import random
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, cast

from bench.recorded_code import DATA, humaneval, interval
from crewmix import ChatSpec, Record, Role, SynthesisSpec, learn_record
from crewmix.agents.base import Contribution
from crewmix.chat.base import Speakers, Transcript
from crewmix.chat.patterns import make_pattern
from crewmix.definitions.record import Count
from crewmix.definitions.spec_chat import StopSpec
from crewmix.errors import QuorumError
from crewmix.result import Ballot
from crewmix.synthesis.answers.closed import answers
from crewmix.synthesis.base import Answer, Desk, Draft, Question, Synthesis
from crewmix.synthesis.methods import make_synthesis

SEED = 1
SPLITS = 20
DRAWS = 10
GSM_MID = (
    "claude-3-haiku-20240307",
    "gemma-2-27b-it@together",
    "gemini-1.5-flash",
    "DeepSeek-Coder-V2-0724",
    "claude-3-sonnet-20240229",
    "deepseek-v2.5-0908",
)
MATH_MID = (
    "gemini-1.5-flash",
    "claude-3-opus-20240229",
    "Qwen2-72B-Instruct",
    "Meta-Llama-3.1-70B-Instruct",
    "gemini-1.5-pro",
    "Llama-3.1-405B-Inst@sambanova",
)
MATH_SPREAD = (
    "gemma-2-2b-it",
    "Yi-1.5-9B-Chat",
    "gemma-2-27b-it",
    "claude-3-5-haiku-20241022",
    "gpt-4o-2024-05-13",
    "o1-mini-2024-09-12",
)
FOUR = ("6b_finetuning", "6b_verification", "175b_finetuning", "175b_verification")
NUMBERS = SynthesisSpec(method="majority", answer="number")
WEIGHTED = SynthesisSpec(method="weighted", answer="number", record="record.json")
QUESTION = Question("", "", "")
NOBODY = cast("Any", None)


class Row(NamedTuple):
    """One line of the table."""

    what: str
    hits: Sequence[float]
    """For each problem, how often the answer was right, 0 to 1."""
    reference: str
    calls: float | None = None

    @property
    def percent(self) -> float:
        """How much of it was right."""
        return 100 * statistics.fmean(self.hits)


@dataclass(frozen=True)
class Recorded:
    """What several members answered to the problems of a task."""

    gold: tuple[str, ...]
    """The right answers in normal form."""
    texts: Mapping[str, tuple[str, ...]]
    """Member -> its draft for each problem."""

    def choices(self, name: str) -> tuple[str, ...]:
        """A member's answers in normal form."""
        return answers(self.texts[name], NUMBERS)

    def hits(self, name: str) -> list[float]:
        """Where a member was right."""
        return [float(choice == truth) for choice, truth in zip(self.choices(name), self.gold, strict=True)]

    def record(self, names: Sequence[str]) -> Record:
        """How the members did over the whole task: the reference breaks ties by it."""
        return Record(members={n: Count(right=int(sum(self.hits(n))), asked=len(self.gold)) for n in names})

    def ballots(self, names: Sequence[str]) -> list[dict[str, str]]:
        """For each problem, member -> answer in normal form."""
        columns = [self.choices(name) for name in names]
        return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]

    def drafts(self, names: Sequence[str], problem: int) -> tuple[Draft, ...]:
        """What the members drafted for a problem."""
        return tuple(Draft(name, self.texts[name][problem], model=name, role=name) for name in names)

    def middle(self) -> list[str]:
        """The middle half by accuracy, the worst first; of those that answer 99 % of the problems where these are many."""
        steady = [n for n in self.texts if sum(map(bool, self.choices(n))) >= 0.99 * len(self.gold)]
        names = steady if len(steady) > len(self.texts) // 2 else list(self.texts)
        ranked = sorted(names, key=lambda name: sum(self.hits(name)))
        return ranked[len(ranked) // 4 : len(ranked) - len(ranked) // 4]


def zeroeval(path: Path) -> Recorded:
    """Final answers of many models, as drafts that end in them."""
    data = json.loads(path.read_text(encoding="utf-8"))
    texts = {
        name: tuple("I do not know." if value is None else f"Answer: {value!r}" for value in column)
        for name, column in data["models"].items()
    }
    return Recorded(answers([f"Answer: {value!r}" for value in data["gold"]], NUMBERS), texts)


def synthesis(spec: SynthesisSpec, record: Record | None = None) -> Synthesis:
    """The synthesis a crew file asks for, with its record in a file; it has no door to any model."""
    with tempfile.TemporaryDirectory() as folder:
        if record is not None:
            record.save(Path(folder) / "record.json")
            spec = spec.model_copy(update={"record": "record.json"})
        return make_synthesis(spec, Desk(NOBODY, NOBODY, NOBODY, Path(folder)))


async def elected(merge: Synthesis, drafts: tuple[Draft, ...]) -> Ballot:
    """The ballot of the draft that a vote chooses; an empty one when no draft holds an answer."""
    try:
        answer: Answer = await merge.merge(NOBODY, QUESTION, drafts)
    except QuorumError:
        return Ballot("", "")
    return next(ballot for ballot in answer.ballots if ballot.voter == answer.chosen)


async def vote(recorded: Recorded, names: Sequence[str], merge: Synthesis, problems: Sequence[int]) -> list[float]:
    """Where the vote of some members is right."""
    found = [await elected(merge, recorded.drafts(names, problem)) for problem in problems]
    return [float(ballot.choice == recorded.gold[p]) for ballot, p in zip(found, problems, strict=True)]


async def four_models(path: Path) -> list[Row]:
    """Whole worked solutions of four models on GSM8K, read by the real extraction."""
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    single = {name: [float(line[name]["is_correct"]) for line in lines] for name in FOUR}
    record = Record(members={n: Count(right=int(sum(single[n])), asked=len(lines)) for n in FOUR})

    async def hits(merge: Synthesis) -> list[float]:
        right: list[float] = []
        for line in lines:
            drafts = tuple(Draft(name, line[name]["solution"]) for name in FOUR)
            voter = (await elected(merge, drafts)).voter
            right.append(float(bool(voter) and line[voter]["is_correct"]))
        return right

    title = "GSM8K, four models, whole solutions"
    singles = " / ".join(f"{100 * statistics.fmean(single[n]):.1f}" for n in FOUR)
    return [
        Row(f"{title}: best single (all: {singles})", single[FOUR[-1]], "56.3"),
        Row(f"{title}: majority, ties to the first", await hits(synthesis(NUMBERS)), "44.3"),
        Row(f"{title}: majority, ties to the best record", await hits(synthesis(NUMBERS, record)), "56.3"),
    ]


async def six(title: str, recorded: Recorded, names: Sequence[str], best: str, majority: str) -> list[Row]:
    """A set of six: the best member, plain majority, and weights learnt on the other half."""
    everything = range(len(recorded.gold))
    leader = max(names, key=lambda name: sum(recorded.hits(name)))
    plain = await vote(recorded, names, synthesis(NUMBERS, recorded.record(names)), everything)
    rows = [
        Row(f"{title}: best member", recorded.hits(leader), best),
        Row(f"{title}: majority, ties to the best record", plain, majority),
    ]
    weighted, halved = await halves(recorded, names)
    gain = [w - p for w, p in zip(weighted, halved, strict=True)]
    over = [w - b for w, b in zip(weighted, recorded.hits(leader), strict=True)]
    return [
        *rows,
        Row(f"{title}: majority on the held-out half, ties by the other half's record", halved, ""),
        Row(f"{title}: weights learnt on the other half", weighted, ""),
        Row(f"{title}: … against that majority", gain, "≥ 0, or noise"),
        Row(f"{title}: … against the best member", over, ""),
    ]


async def random_sets(title: str, recorded: Recorded) -> list[Row]:
    """Weights against majority and against the best member, over sets of six drawn from all members."""
    gain, over = [0.0] * len(recorded.gold), [0.0] * len(recorded.gold)
    for draw in range(SPLITS):
        names = random.Random(SEED + draw).sample(sorted(recorded.texts), 6)
        leader = max(names, key=lambda name: sum(recorded.hits(name)))
        weighted, plain = await halves(recorded, names, splits=1)
        for problem, best in enumerate(recorded.hits(leader)):
            gain[problem] += (weighted[problem] - plain[problem]) / SPLITS
            over[problem] += (weighted[problem] - best) / SPLITS
    title = f"{title}, 20 random sets of six: learnt weights"
    return [Row(f"{title} against majority", gain, "≥ 0, or noise"), Row(f"{title} against the best member", over, "")]


async def halves(recorded: Recorded, names: Sequence[str], splits: int = SPLITS) -> tuple[list[float], list[float]]:
    """Where learnt weights, and where plain majority, are right on problems that nothing was learnt from."""
    ballots, size = recorded.ballots(names), len(recorded.gold)
    weighted, plain = [0.0] * size, [0.0] * size
    for split in range(splits):
        order = random.Random(SEED + split).sample(range(size), size)
        for learn, count in ((order[::2], order[1::2]), (order[1::2], order[::2])):
            record = learn_record([ballots[p] for p in learn], [recorded.gold[p] for p in learn])
            majority = synthesis(NUMBERS, Record(members=record.members))
            for total, merge in ((weighted, synthesis(WEIGHTED, record)), (plain, majority)):
                for problem, hit in zip(count, await vote(recorded, names, merge, count), strict=True):
                    total[problem] += hit / splits
    return weighted, plain


async def stopping(title: str, recorded: Recorded, agree: int | None, *, best_first: bool, reference: str) -> Row:
    """Nine of the middle half by accuracy, asked until enough agree, through the real pattern."""
    middle = recorded.middle()
    size, calls = len(recorded.gold), 0
    hits = [0.0] * size
    stop = StopSpec(agree=agree) if agree else None
    seats = tuple(f"m{n}" for n in range(9))
    chat = ChatSpec(pattern="vote", stop=stop, proposers=seats)
    pattern = make_pattern(chat, [Role(name=n, role=n, goal="Answer") for n in seats], NUMBERS)
    merge = synthesis(NUMBERS)
    for draw in range(DRAWS):
        shuffled = random.Random(SEED + draw)
        nine = shuffled.sample(middle, 9)
        for problem in range(size):
            order = sorted(nine, key=middle.index, reverse=True) if best_first else shuffled.sample(nine, 9)
            said = {seat: recorded.texts[name][problem] for seat, name in zip(seats, order, strict=True)}
            transcript = Transcript(seats)
            while isinstance(step := pattern.next(transcript), Speakers):
                transcript = transcript.with_round(tuple(Contribution(seat, said[seat]) for seat in step.roles))
            calls += len(transcript.messages)
            drafts = tuple(Draft(m.role, m.text) for m in pattern.drafts(transcript))
            hits[problem] += ((await elected(merge, drafts)).choice == recorded.gold[problem]) / DRAWS
    order_name = "best first" if best_first else "random order"
    until = f"until {agree} agree" if agree else "all nine"
    return Row(f"{title}, nine mid-field, {order_name}, {until}", hits, reference, calls / (size * DRAWS))


async def everything(folder: Path) -> list[Row]:
    """Every line of the table."""
    gsm = zeroeval(folder / "zeroeval_gsm_answers.json")
    maths = zeroeval(folder / "zeroeval_math-l5_answers.json")
    rows = await four_models(folder / "gsm8k_four_models.jsonl")
    rows += await six("GSM8K, six mid-field", gsm, GSM_MID, "92.5", "95.7")
    rows += await six("MATH-L5, six mid-field", maths, MATH_MID, "44.7", "55.1")
    rows += await six("MATH-L5, six weak to strong", maths, MATH_SPREAD, "89.3", "78.2")
    rows += await random_sets("GSM8K", gsm)
    rows += await random_sets("MATH-L5", maths)
    for title, recorded, agree, best_first, reference in (
        ("GSM8K", gsm, 3, False, "95.8 at 3.36"),
        ("GSM8K", gsm, None, False, "96.0 at 9"),
        ("GSM8K", gsm, 2, True, "96.5 at 2.11"),
        ("GSM8K", gsm, None, True, "96.4 at 9"),
        ("MATH-L5", maths, 3, False, "53.8 at 6.39"),
        ("MATH-L5", maths, 3, True, "61.7 at 5.58"),
        ("MATH-L5", maths, None, False, "54.1 at 9"),
        ("MATH-L5", maths, None, True, "61.6 at 9"),
    ):
        rows.append(await stopping(title, recorded, agree, best_first=best_first, reference=reference))
    return rows


def speed() -> Iterator[tuple[str, float, float]]:
    """CPU seconds of the votes: what, measured, wanted."""
    words = [f"word{n}" for n in range(400)]
    chance = random.Random(SEED)

    def text(count: int, end: str) -> str:
        return "\n".join(" ".join(chance.choices(words, k=10)) for _ in range(count // 10)) + f"\n{end}"

    closed = tuple(Draft(f"m#{n}", text(500, f"Answer: {n % 7}")) for n in range(1000))
    loose = tuple(Draft(f"m#{n}", text(500, f"In all it comes to {n % 7} pieces.")) for n in range(1000))
    opened = tuple(Draft(f"m#{n}", text(500, "")) for n in range(100))
    cases: tuple[tuple[str, SynthesisSpec, tuple[Draft, ...], float], ...] = (
        ("majority, 1,000 drafts of 500 words", SynthesisSpec(method="majority"), closed, 1.0),
        ("majority, the same without an answer line, `number`", NUMBERS, loose, 1.0),
        ("similarity, BLEU, 100 drafts of 500 words", SynthesisSpec(method="similarity"), opened, 10.0),
        ("similarity, TF-IDF, the same", SynthesisSpec(method="similarity", measure="tfidf"), opened, 10.0),
    )
    for what, spec, drafts, wanted in cases:
        merge = synthesis(spec)
        started = time.process_time()
        asyncio.run(cast("Any", merge.merge(NOBODY, QUESTION, drafts)))
        yield what, time.process_time() - started, wanted


def main(folder: Path = DATA) -> None:
    """Print the tables."""
    print("| what | CPU | wanted |\n|---|---|---|")
    for what, seconds, wanted in speed():
        print(f"| {what} | {seconds:.2f} s | ≤ {wanted:g} s |", flush=True)
    if not (folder / "zeroeval_gsm_answers.json").is_file():
        print(
            f"\nSkipped: there are no recorded answers in {folder}; `python -m bench.recorded --data DIR` reads them elsewhere."
        )
        return
    print("\n| what | right, % | 95 % interval | reference |\n|---|---|---|---|")
    for row in asyncio.run(everything(folder)):
        low, high = interval(row.hits)
        calls = "" if row.calls is None else f" at {row.calls:.2f} calls"
        print(f"| {row.what} | {row.percent:.1f}{calls} | {100 * low:.1f} to {100 * high:.1f} | {row.reference} |")
    for row in humaneval(folder):
        title, low, high = f"HumanEval, 40 programs of CodeGen-16B: {row.method}", 100 * row.low, 100 * row.high
        print(f"| {title} | {100 * row.share:.1f} | {low:.1f} to {high:.1f} | {100 * (row.reference or 0):.1f} |")


if __name__ == "__main__":
    options = argparse.ArgumentParser(description="Votes over recorded answers.")
    options.add_argument("--data", type=Path, default=DATA, help="the folder with the recorded answers")
    main(options.parse_args().data)
