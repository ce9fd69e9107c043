"""Models written as Python functions, for tests of everything above the models."""

import asyncio
from collections.abc import Callable

from crewmix.models.types import ModelReply, ModelRequest, Usage


class FunctionModel:
    """A model whose answer is a function of the request. Counts its calls and how many were in flight at once."""

    def __init__(self, answer: Callable[[ModelRequest], str | ModelReply | Exception]) -> None:
        self.answer = answer
        self.requests: list[ModelRequest] = []
        self.in_flight = 0
        self.most_in_flight = 0
        self.gate: asyncio.Event | None = None

    async def complete(self, request, on_delta=None):
        self.requests.append(request)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            if self.gate is not None:
                await self.gate.wait()
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
