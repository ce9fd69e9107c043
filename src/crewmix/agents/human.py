"""A role worked by a person."""

from __future__ import annotations

from crewmix.agents.base import Contribution, Failure, Turn
from crewmix.agents.outcome import failed, spoke
from crewmix.agents.replies import fields_wanted, from_words
from crewmix.errors import PersonMissingError
from crewmix.tools.people import People, Question, ask_person

TRIES = 3
"""How often a person is asked for the fields of one reply."""


class HumanActor:
    """Asks a person to speak. The answer is journaled, so a resumed run does not ask again.

    Args:
        people: How the person is reached.
    """

    def __init__(self, people: People) -> None:
        self._people = people

    async def speak(self, turn: Turn) -> Contribution:
        """Ask and wait; where fields are wanted and something is wrong with them, ask again, three times in all.

        The turn fails with `human_skipped` when the answer is empty, with `human_missing` when nobody can be asked.

        Raises:
            WaitingError: Nobody can be asked, and the run is to wait.
        """
        wanted = "" if turn.schema is None else f"\n\n{fields_wanted(turn.schema)}"
        question = turn.prompt.user + wanted
        problem: str | None = None
        for _ in range(TRIES):
            try:
                text = (await self._answer(turn, question)).strip()
            except PersonMissingError as error:
                return failed(turn, error)
            if not text:
                return failed(turn, Failure("human_skipped", f"{turn.role.name} had nothing to say"))
            if turn.schema is None:
                return _spoke(turn, text)
            data, problem = from_words(text, turn.schema)
            if problem is None:
                return spoke(turn, text, model="human", data=data)
            question = f"This could not be used yet: {problem}.{wanted}"
        return failed(turn, Failure("bad_fields", f"{turn.role.name}'s answers did not have the fields: {problem}"))

    async def _answer(self, turn: Turn, question: str) -> str:
        asked = Question(question, "turn", turn.role.name, turn.scope.task)
        request = {"system": turn.prompt.system, "user": question}
        return await ask_person(turn.scope.at("human"), self._people, asked, request)


def _spoke(turn: Turn, text: str) -> Contribution:
    if turn.role.approves and text.lower() in {"approve", "revise"}:
        text = f"Verdict: {text}"
    return spoke(turn, text, model="human")
