"""A model that says what a script tells it to: for tests, for teaching, and for trying a crew without paying."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, model_validator

from crewmix.definitions.spec_base import Positive, Spec
from crewmix.errors import (
    AuthError,
    BadReplyError,
    BadRequestError,
    ContentFilteredError,
    ContextTooLongError,
    DefinitionError,
    ModelError,
    ModelTimeoutError,
    ModelUnavailableError,
    QuotaError,
    RateLimitedError,
    ToolsUnsupportedError,
    UnknownModelError,
)
from crewmix.models import tokens
from crewmix.models.types import ModelReply, ModelRequest, OnDelta, Purpose, ToolCall, Usage

ErrorName = Literal[
    "unavailable",
    "rate_limit",
    "timeout",
    "bad_reply",
    "context",
    "filtered",
    "quota",
    "auth",
    "unknown_model",
    "no_tools",
    "bad_request",
]
_ERRORS: dict[ErrorName, type[ModelError]] = {
    "unavailable": ModelUnavailableError,
    "rate_limit": RateLimitedError,
    "timeout": ModelTimeoutError,
    "bad_reply": BadReplyError,
    "context": ContextTooLongError,
    "filtered": ContentFilteredError,
    "quota": QuotaError,
    "auth": AuthError,
    "unknown_model": UnknownModelError,
    "no_tools": ToolsUnsupportedError,
    "bad_request": BadRequestError,
}


_SEAT = re.compile(r"[#@]")
"""What divides a role or node from the number of its seat, and of its layer."""


class ScriptedCall(Spec):
    """A tool call a scripted reply makes."""

    name: str
    """The tool's name."""
    arguments: Mapping[str, Any] = Field(default_factory=dict[str, Any])
    """Its arguments."""


class ScriptedUsage(Spec):
    """The tokens a scripted reply says it used."""

    input_tokens: Annotated[int, Field(ge=0)] = 0
    """Tokens read."""
    output_tokens: Annotated[int, Field(ge=0)] = 0
    """Tokens written."""


class Rule(Spec):
    """When to answer, and what. All conditions given must hold."""

    model_config = ConfigDict(populate_by_name=True, str_strip_whitespace=False)

    role: str | None = None
    """Who speaks: a seat of the chat (`solver#2`, `solver#2@1`, the node of a graph), or a role or node for all its seats. A
    rule for the very seat goes before one for all of them."""
    purpose: Purpose | None = None
    """What the call is for."""
    task: str | None = None
    """The task's id."""
    round: Positive | None = None
    """The chat's round."""
    contains: str | None = None
    """Text that the last message must contain."""
    sample: Annotated[int, Field(ge=0)] | None = None
    """Which of several equal requests, from 0: 1 for `solver#2`, or for the second time a judge is asked."""
    model: str | None = None
    """The name the crew gives the model, when one script serves several."""
    times: Positive | None = None
    """How often the rule answers each role in each task; None = always. The count begins anew when a run is resumed."""
    text: str | None = None
    """The answer."""
    tool_calls: tuple[ScriptedCall, ...] = ()
    """Tools to call."""
    data: Any = Field(default=None, alias="json")
    """The answer as JSON, for calls that want it."""
    error: ErrorName | None = None
    """Fail in this way instead of answering."""
    delay: Annotated[float, Field(ge=0)] = 0.0
    """Seconds until the answer."""
    usage: ScriptedUsage | None = None
    """Tokens to report; None = estimated from the text."""
    stream: tuple[str, ...] = ()
    """The answer in the pieces in which it arrives, instead of `text`."""

    @model_validator(mode="after")
    def _answers(self) -> Rule:
        answers = [self.text is not None, bool(self.stream), self.data is not None, self.error is not None]
        if sum(answers) > 1:
            raise ValueError("a rule has one answer: `text`, `stream`, `json` or `error`")
        if not any(answers) and not self.tool_calls:
            raise ValueError("a rule needs an answer: `text`, `stream`, `json`, `tool_calls` or `error`")
        return self

    def matches(self, request: ModelRequest) -> bool:
        """Whether all conditions hold for a request."""
        brief = request.brief
        wanted = (
            (self.purpose, brief.purpose),
            (self.task, brief.task),
            (self.round, brief.round),
            (self.sample, request.sample),
            (self.model, request.model),
        )
        if self.role not in (None, brief.role, _SEAT.split(brief.role)[0]):
            return False
        last = request.messages[-1].content if request.messages else ""
        return all(want in (None, have) for want, have in wanted) and (self.contains or "") in last


class Script(Spec):
    """A script: the first rule that matches, and is not used up, answers; one for the very seat goes before one for its role."""

    rules: tuple[Rule, ...]
    """The rules, in order."""


class ScriptedModel:
    """Answers by rules. Use it in a crew as `Crew.load(..., models={"default": ScriptedModel([...])})`.

    What is answered depends on the request and on how often the same role of the same task asked before, so roles that
    speak in parallel cannot change each other's answers.

    Args:
        rules: `Rule` objects, or mappings of their fields.
        name: How it is called in messages.
    """

    def __init__(self, rules: Iterable[Rule | Mapping[str, Any]], *, name: str = "scripted") -> None:
        self.rules = tuple(r if isinstance(r, Rule) else Rule.model_validate(r) for r in rules)
        self.name = name
        self.requests: list[ModelRequest] = []
        """What it was asked, in order."""
        self._used: Counter[tuple[int, str, str]] = Counter()

    @classmethod
    def from_file(cls, path: Path) -> ScriptedModel:
        """The model of a script file.

        Raises:
            DefinitionError: Every mistake in the file, with its place.
        """
        from crewmix.definitions.explain import validate
        from crewmix.definitions.yaml_tree import read_yaml

        node, problems = read_yaml(path)
        script = None
        if node is not None:
            script, _, found = validate(Script, node)
            problems = [*problems, *found]
        if problems or script is None:
            raise DefinitionError(problems)
        return cls(script.rules, name=f"scripted/{path.name}")

    async def complete(self, request: ModelRequest, on_delta: OnDelta | None = None) -> ModelReply:
        """The answer of the first rule that matches.

        Raises:
            BadRequestError: No rule matches; the message tells what was asked.
            ModelError: The rule says so.
        """
        self.requests.append(request)
        rule = self._rule(request)
        if rule.delay:
            await asyncio.sleep(rule.delay)
        if rule.error is not None:
            raise _ERRORS[rule.error](f"{self.name}: the script says `error: {rule.error}`", provider="scripted")
        pieces = rule.stream or (rule.text or "",)
        if rule.data is not None:
            pieces = (json.dumps(rule.data, ensure_ascii=False),)
        for piece in pieces if on_delta is not None else ():
            if piece and on_delta is not None:
                on_delta(piece)
        calls = tuple(
            ToolCall(f"call_{place}", call.name, json.dumps(call.arguments, ensure_ascii=False))
            for place, call in enumerate(rule.tool_calls)
        )
        reply = ModelReply("".join(pieces), calls, "tool_calls" if calls else "stop", model=self.name)
        if rule.usage is not None:
            usage = Usage(rule.usage.input_tokens, rule.usage.output_tokens)
        else:
            usage = Usage(tokens.usual_input(request), tokens.usual_output(reply), estimated=True)
        return ModelReply(reply.text, calls, reply.finish_reason, usage, self.name)

    def _rule(self, request: ModelRequest) -> Rule:
        brief = request.brief
        fitting = [
            (place, rule)
            for place, rule in enumerate(self.rules)
            if rule.matches(request) and (rule.times is None or self._used[place, brief.task, brief.role] < rule.times)
        ]
        if fitting:
            place, rule = fitting[0]
            if rule.role not in (None, brief.role):
                place, rule = next(((p, r) for p, r in fitting if r.role == brief.role), (place, rule))
            self._used[place, brief.task, brief.role] += 1
            return rule
        asked = {
            "role": brief.role,
            "purpose": brief.purpose,
            "task": brief.task,
            "round": brief.round,
            "sample": request.sample,
            "model": request.model,
            "last message": request.messages[-1].content[:200] if request.messages else "",
        }
        told = ", ".join(f"{name} {value!r}" for name, value in asked.items() if value)
        raise BadRequestError(
            f"{self.name}: no rule answers this request: {told}",
            hint="add a rule that matches it, or one without conditions at the end",
            provider="scripted",
        )
