"""Models written as Python functions, for tests of everything above the models."""

import asyncio
from collections.abc import Callable

from crewmix.models.types import ModelReply, ModelRequest, Usage


class FunctionModel:
    """A model whose answer is a function of the request. Keeps its calls, and counts those under way."""

    def __init__(self, answer: Callable[[ModelRequest], str | ModelReply | Exception]) -> None:
        self.answer = answer
        self.requests: list[ModelRequest] = []
        self.in_flight = 0
        self.gate: asyncio.Event | None = None
        self._crowd: tuple[str, int] | None = None
        self._crowded: asyncio.Event | None = None

    def answer_together(self, purpose: str, count: int) -> None:
        """Answer no call for `purpose` before so many were made: calls that are not made side by side hang."""
        self._crowd, self._crowded = (purpose, count), None

    async def complete(self, request, on_delta=None):
        self.requests.append(request)
        self.in_flight += 1
        try:
            if self.gate is not None:
                await self.gate.wait()
            await self._gather(request)
            await asyncio.sleep(0)
            answer = self.answer(request)
        finally:
            self.in_flight -= 1
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, str):
            if on_delta is not None:
                on_delta(answer)
            answer = ModelReply(text=answer, usage=Usage(100, 20), model="python/test")
        return answer

    async def _gather(self, request):
        purpose, count = self._crowd or ("", 0)
        if request.brief.purpose == purpose:
            self._crowded = self._crowded or asyncio.Event()
            if len(self.asked(purpose)) >= count:
                self._crowded.set()
            await self._crowded.wait()

    def asked(self, purpose: str) -> list[ModelRequest]:
        """The requests made for a purpose, in order."""
        return [request for request in self.requests if request.brief.purpose == purpose]


def speaking(request: ModelRequest) -> str:
    """An answer that names who speaks about what; reviewers approve, everything is merged by counting."""
    brief = request.brief
    if brief.purpose == "synthesize":
        return f"merged {len(brief.drafts)} of {brief.question}"
    if brief.approves:
        return "Fine.\nVerdict: approve"
    return f"{brief.role} on {brief.question}"
