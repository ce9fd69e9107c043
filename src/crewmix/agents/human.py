"""A role worked by a person."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from crewmix.agents.base import Contribution, Failure, Turn
from crewmix.agents.outcome import failed, spoke
from crewmix.agents.replies import fields_wanted, from_words

Asker = Callable[[str, Turn], Awaitable[str]]
"""Shows a person a prompt's text and brings the answer; an empty answer skips the turn."""

TRIES = 3
"""How often a person is asked for the fields of one reply."""


class _NobodyError(Exception):
    """There is nobody to ask."""


class HumanActor:
    """Asks a person to speak. The answer is journaled, so a resumed run does not ask again.

    Args:
        ask: How the person is reached; None = nobody can be asked.
    """

    def __init__(self, ask: Asker | None) -> None:
        self._ask = ask

    async def speak(self, turn: Turn) -> Contribution:
        """Ask and wait; where fields are wanted and something is wrong with them, ask again, three times in all.

        The turn fails with `human_skipped` when the answer is empty, with `human_missing` when nobody can be asked.
        """
        wanted = "" if turn.schema is None else f"\n\n{fields_wanted(turn.schema)}"
        question = turn.prompt.user + wanted
        problem: str | None = None
        for _ in range(TRIES):
            try:
                text = (await self._answer(turn, question)).strip()
            except _NobodyError:
                hint = "run it on a terminal, pass `ask=` to `Crew.run`, or take `actor: human` out of the role"
                message = f"{turn.role.name} is a person, but nobody can be asked: {hint}"
                return failed(turn, Failure("human_missing", message))
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
        async def perform() -> str:
            if self._ask is None:
                raise _NobodyError
            return await self._ask(question, turn)

        request = {"system": turn.prompt.system, "user": question}
        answer, _ = await turn.scope.at("human").effect("human", request, perform)
        return str(answer)


def _spoke(turn: Turn, text: str) -> Contribution:
    if turn.role.approves and text.lower() in {"approve", "revise"}:
        text = f"Verdict: {text}"
    return spoke(turn, text, model="human")
