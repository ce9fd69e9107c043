"""A role worked by a person."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from crewmix.agents.base import Contribution, Failure, Turn
from crewmix.agents.outcome import failed, spoke

Asker = Callable[[str, Turn], Awaitable[str]]
"""Shows a person a prompt's text and brings the answer; an empty answer skips the turn."""


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
        """Ask and wait.

        The turn fails with `human_skipped` when the answer is empty, with `human_missing` when nobody can be asked.
        """

        async def perform() -> str:
            if self._ask is None:
                raise _NobodyError
            return await self._ask(turn.prompt.user, turn)

        request = {"system": turn.prompt.system, "user": turn.prompt.user}
        try:
            answer, _ = await turn.scope.at("human").effect("human", request, perform)
        except _NobodyError:
            hint = "run it on a terminal, pass `ask=` to `Crew.run`, or take `actor: human` out of the role"
            return failed(
                turn, Failure("human_missing", f"{turn.role.name} is a person, but nobody can be asked: {hint}")
            )
        text = str(answer).strip()
        if not text:
            return failed(turn, Failure("human_skipped", f"{turn.role.name} had nothing to say"))
        if turn.role.approves and text.lower() in {"approve", "revise"}:
            text = f"Verdict: {text}"
        return spoke(turn, text, model="human")
