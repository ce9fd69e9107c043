"""`offline/extractive`: serves every purpose of a run without a language model, by searching, extracting and rules.

Deterministic: the same request gets the same reply. Honest: it quotes and orders what documents and roles say, cites it,
says "No evidence found" when nothing fits, and declines what only a language model can do. The means are textbook ones:
BM25 over sentences (Robertson and Zaragoza 2009) and maximal marginal relevance (Carbonell and Goldstein 1998).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from crewmix.models.offline.answer import enough, from_passages, from_talk
from crewmix.models.offline.arithmetic import CALCULATE, expression
from crewmix.models.offline.choose import judged, speaker
from crewmix.models.offline.form import filled_form
from crewmix.models.offline.judge import critique, marks, ranking
from crewmix.models.offline.matter import matter
from crewmix.models.offline.merge import merge
from crewmix.models.offline.passages import passages
from crewmix.models.offline.plan import plan
from crewmix.models.offline.review import review
from crewmix.models.offline.search import queries_made, search_arguments, search_tool, searches
from crewmix.models.offline.shorten import shortened
from crewmix.models.offline.texts import declined, wants_creation
from crewmix.models.types import ModelReply, ModelRequest, OnDelta, ToolCall, Usage

NAME = "offline/extractive"
_CHARACTERS_A_TOKEN = 4


class OfflineModel:
    """A `Model` that needs no network and no key."""

    async def complete(self, request: ModelRequest, on_delta: OnDelta | None = None) -> ModelReply:
        """Answer by `request.brief`, `request.tools` and the tool results in `request.messages`; never fails."""
        said = _said(request)
        if isinstance(said, ToolCall):
            return ModelReply("", (said,), "tool_calls", _usage(request, said.arguments), NAME, cost=Decimal(0))
        data: Any = None if isinstance(said, str) else said
        text = said if isinstance(said, str) else json.dumps(said, ensure_ascii=False)
        if on_delta is not None:
            for piece in re.split(r"(?<=[.!?]\s)|(?<=\n)", text):
                if piece:
                    on_delta(piece)
        return ModelReply(text, usage=_usage(request, text), model=NAME, data=data, cost=Decimal(0))


def _usage(request: ModelRequest, reply: str) -> Usage:
    asked = sum(len(message.content) for message in request.messages)
    return Usage(-(-asked // _CHARACTERS_A_TOKEN), -(-len(reply) // _CHARACTERS_A_TOKEN), estimated=True)


def _said(request: ModelRequest) -> str | dict[str, Any] | ToolCall:
    brief = request.brief
    match brief.purpose:
        case "plan":
            return plan(brief)
        case "speak":
            return _turn(replace(request, brief=replace(brief, question=matter(brief))))
        case "select":
            return _picked(request)
        case "synthesize":
            return merge(brief)
        case "rank" if brief.drafts and len(brief.candidates) == len(brief.drafts):
            return ranking(brief)
        case "judge" if brief.drafts and brief.criteria:
            return marks(brief)
        case "critique" if brief.drafts:
            return critique(brief)
        case "summarise" if brief.drafts:
            return shortened(brief)
        case "test":
            return declined("test cases")
        case _:
            return _otherwise(request)


def _turn(request: ModelRequest) -> str | dict[str, Any] | ToolCall:
    brief = request.brief
    said = review(brief) if brief.approves else _spoken(request)
    if request.schema is None or isinstance(said, ToolCall):
        return said
    return filled_form(brief.question, said, request.schema)


def _spoken(request: ModelRequest) -> str | ToolCall:
    question = request.brief.question
    if wants_creation(question):
        return declined(question)
    return _calculated(request) or _searched(request) or from_talk(request.brief)


def _calculated(request: ModelRequest) -> str | ToolCall | None:
    """A sum is worked out by the tool; its result is the answer."""
    wanted = expression(request.brief.question)
    if not wanted or not any(tool.name == CALCULATE for tool in request.tools):
        return None
    result = _result_of(request, CALCULATE)
    if result is None:
        return _call(request, CALCULATE, json.dumps({"expression": wanted}, ensure_ascii=False))
    return f"{wanted} = {result.strip()}"


def _result_of(request: ModelRequest, tool: str) -> str | None:
    calls = {call.id for message in request.messages for call in message.tool_calls if call.name == tool}
    results = (m.content for m in request.messages if m.role == "tool" and (m.name == tool or m.tool_call_id in calls))
    return next(results, None)


def _searched(request: ModelRequest) -> str | ToolCall | None:
    """Searches until the passages answer the question, then answers from them."""
    tool = search_tool(request.tools)
    found = passages(request.messages)
    if tool is None:
        return from_passages(request.brief, found) if found else None
    question = request.brief.question
    made = queries_made(request.messages, tool.name)
    before = sum(name == request.brief.role for name, _ in request.brief.messages)
    query = searches(question, made, bool(made) and enough(question, found), before)
    return _call(request, tool.name, search_arguments(tool, query)) if query else from_passages(request.brief, found)


def _call(request: ModelRequest, tool: str, arguments: str) -> ToolCall:
    number = sum(len(message.tool_calls) for message in request.messages)
    digest = hashlib.sha256(f"{number} {tool} {arguments}".encode()).hexdigest()
    return ToolCall(f"call_{digest[:16]}", tool, arguments)


def _picked(request: ModelRequest) -> str | dict[str, Any]:
    name, reason = speaker(request.brief)
    if request.schema is None:
        return name
    fields: Mapping[str, Any] = request.schema.get("properties", {})
    holder = next((key for key, kind in fields.items() if "enum" in kind), next(iter(fields), "speaker"))
    return {holder: name, **{key: reason for key in fields if key != holder}}


def _otherwise(request: ModelRequest) -> str | dict[str, Any]:
    brief = request.brief
    if request.schema is not None:
        fields = judged(brief, request.schema)
        if fields is not None:
            return fields
    if brief.purpose == "critique":
        return review(brief)
    return declined(brief.question or "a judgement")
