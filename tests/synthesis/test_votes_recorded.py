"""What the votes make of answers that real models gave.

`recorded_excerpt.json` holds the first 150 problems of WildEval/ZeroEval's result files (Apache-2.0) for GSM8K and MATH level 5,
six models each. `bench/recorded.py` runs all of them.
"""

import json
from pathlib import Path

import pytest

from crewmix import ChatSpec, Record, Role, SynthesisSpec, learn_record
from crewmix.agents.base import Contribution
from crewmix.chat.base import Speakers, Transcript
from crewmix.chat.patterns import make_pattern
from crewmix.definitions.spec_chat import StopSpec
from crewmix.synthesis.answers.closed import answers
from crewmix.synthesis.base import Desk, Draft, Question
from crewmix.synthesis.methods import make_synthesis

ROLE = Role(name="editor", role="Editor", goal="Merge")
MAJORITY = SynthesisSpec(method="majority", answer="number")
WEIGHTED = SynthesisSpec(method="weighted", answer="number", record="record.json")


class Task:
    """One task of the excerpt."""

    def __init__(self, name):
        data = json.loads((Path(__file__).parent / "recorded_excerpt.json").read_text())[name]
        self.gold = answers([f"Answer: {value}" for value in data["gold"]], MAJORITY)
        self.texts = {
            member: ["I do not know." if value is None else f"Answer: {value}" for value in column]
            for member, column in data["members"].items()
        }
        columns = [answers(column, MAJORITY) for column in self.texts.values()]
        self.ballots = [dict(zip(self.texts, row, strict=True)) for row in zip(*columns, strict=True)]

    def alone(self, member):
        return sum(b[member] == g for b, g in zip(self.ballots, self.gold, strict=True))

    async def right(self, spec, folder, problems):
        method = make_synthesis(spec, Desk(None, ROLE, ROLE, folder))
        hits = 0
        for problem in problems:
            drafts = tuple(Draft(member, column[problem]) for member, column in self.texts.items())
            answer = await method.merge(None, Question("", "", ""), drafts)
            hits += answers([answer.text], MAJORITY)[0] == self.gold[problem]
        return hits

    async def held_out(self, folder):
        """How many the learnt weights, and plain majority, get right on the halves nothing was learnt from."""
        weighted = plain = 0
        size = len(self.gold)
        for learn, count in ((range(0, size, 2), range(1, size, 2)), (range(1, size, 2), range(0, size, 2))):
            record = learn_record([self.ballots[p] for p in learn], [self.gold[p] for p in learn])
            record.save(folder / "record.json")
            weighted += await self.right(WEIGHTED, folder, count)
            Record(members=record.members).save(folder / "record.json")
            plain += await self.right(MAJORITY.model_copy(update={"record": "record.json"}), folder, count)
        return weighted, plain


@pytest.fixture(scope="module")
def gsm8k():
    return Task("gsm8k")


@pytest.fixture(scope="module")
def math_l5():
    return Task("math_l5")


async def test_equal_members_vote_better_than_the_best_of_them(gsm8k, tmp_path):
    best = max(map(gsm8k.alone, gsm8k.texts))
    assert await gsm8k.right(MAJORITY, tmp_path, range(len(gsm8k.gold))) > best


async def test_weights_learnt_elsewhere_lose_nothing_to_the_majority_of_equals(gsm8k, tmp_path):
    weighted, plain = await gsm8k.held_out(tmp_path)
    assert weighted >= plain - 1


async def test_where_one_member_dominates_learnt_weights_save_the_vote(math_l5, tmp_path):
    best = max(map(math_l5.alone, math_l5.texts))
    weighted, plain = await math_l5.held_out(tmp_path)
    assert weighted >= best > plain


async def test_three_that_agree_are_asked_for_less_and_say_the_same(gsm8k, tmp_path):
    seats = tuple(f"m{n}" for n in range(6))
    chat = ChatSpec(pattern="vote", stop=StopSpec(agree=3), proposers=seats)
    pattern = make_pattern(chat, [Role(name=n, role=n, goal="Answer") for n in seats], MAJORITY)
    method = make_synthesis(MAJORITY, Desk(None, ROLE, ROLE, tmp_path))
    calls = hits = 0
    for problem, truth in enumerate(gsm8k.gold):
        said = dict(zip(seats, (column[problem] for column in gsm8k.texts.values()), strict=True))
        chat = Transcript(seats)
        while isinstance(step := pattern.next(chat), Speakers):
            chat = chat.with_round(tuple(Contribution(seat, said[seat]) for seat in step.roles))
        drafts = tuple(Draft(m.role, m.text) for m in pattern.drafts(chat))
        answer = await method.merge(None, Question("", "", ""), drafts)
        hits += answers([answer.text], MAJORITY)[0] == truth
        calls += len(chat.messages)
    assert calls / len(gsm8k.gold) < 3.6
    assert hits >= await gsm8k.right(MAJORITY, tmp_path, range(len(gsm8k.gold))) - 1
