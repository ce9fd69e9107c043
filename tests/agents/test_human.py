"""A person in the chat."""

from __future__ import annotations

import pytest

from crewmix.agents.human import HumanActor
from crewmix.definitions.spec import Role
from crewmix.tools.people import NOBODY, People, Question
from support.turns import Stage, open_stage

ANNA = Role(name="anna", role="Product owner", goal="Decide.", actor="human")
BOSS = Role(name="boss", role="Boss", goal="Decide.", actor="human", approves=True)


class Person:
    """Answers in turn and remembers what was shown."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.shown: list[str] = []

    async def ask(self, question: Question) -> str:
        self.shown.append(question.text)
        return self.answers.pop(0)


async def test_a_person_sees_the_prompt_and_speaks(stage: Stage):
    person = Person("  Take Lyon. ")
    turn = stage.turn(ANNA)

    said = await HumanActor(People(person.ask)).speak(turn)

    assert (said.text, said.model, said.ok) == ("Take Lyon.", "human", True)
    assert person.shown == [turn.prompt.user]


async def test_an_empty_answer_skips_the_turn(stage: Stage):
    said = await HumanActor(People(Person("  ").ask)).speak(stage.turn(ANNA))

    assert said.failure is not None
    assert said.failure.code == "human_skipped"


async def test_with_nobody_to_ask_the_failure_says_what_to_do(stage: Stage):
    said = await HumanActor(NOBODY).speak(stage.turn(ANNA))

    assert said.failure is not None
    assert said.failure.code == "human_missing"
    assert "ask=" in said.failure.message


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [("approve", "approve"), ("Revise", "revise"), ("ok\nVerdict: approve", "approve"), ("hm", "revise")],
)
async def test_a_person_who_reviews_may_just_say_the_word(stage: Stage, answer: str, verdict: str):
    assert (await HumanActor(People(Person(answer).ask)).speak(stage.turn(BOSS))).verdict == verdict


async def test_a_resumed_run_keeps_the_answer_even_with_nobody_there(stage: Stage):
    await HumanActor(People(Person("Take Lyon.").ask)).speak(stage.turn(ANNA))
    again = open_stage(stage.project, epoch=2)

    said = await HumanActor(NOBODY).speak(again.turn(ANNA))

    again.run.store.close()
    assert said.text == "Take Lyon."
