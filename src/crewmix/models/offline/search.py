"""Which searches a question is worth: a few, in different words, each only while the last brought little."""

from __future__ import annotations

import json
from collections.abc import Sequence

from crewmix.models.offline.questions import parts
from crewmix.models.offline.rank import question_terms
from crewmix.models.offline.related import spoken_forms
from crewmix.models.offline.summary import wants_summary
from crewmix.models.offline.words import acronyms, content_words, names, stem
from crewmix.models.types import ChatMessage, ToolSpec

SEARCH = "knowledge_search"
_MOST = 3
_PASSAGES = 8
_RELATED_EACH = 4
_LONGEST_QUERY = 20
_OVERVIEW = ("overview", "introduction", "about", "purpose", "überblick", "einleitung")


def searches(question: str, asked: Sequence[str], enough: bool, again: int) -> str:
    """The next query for `question`, or empty when no further search is worth it.

    Args:
        question: What is to be found out.
        asked: The queries made so far in this turn.
        enough: Whether what they brought answers the question.
        again: How often this role has answered the question before; a later turn starts with other words.
    """
    planned = _queries(question)
    wanted = [*planned[again:], *planned[:again]] if again < len(planned) else planned
    questions = len(parts(question))
    if len(asked) >= _MOST or (enough and len(asked) >= min(max(questions, 2), _MOST)):
        return ""
    return next((query for query in wanted if query not in asked), "")


def _queries(question: str) -> list[str]:
    """Queries in the order of their promise: each question, its related words, its names alone."""
    asked = parts(question)[:_MOST]
    short = {word.lower(): word for word in acronyms(question)}
    plain = [content_words(part) for part in asked]
    related = [[w for word in _matter(part) for w in (word, *spoken_forms(word)[:_RELATED_EACH])] for part in asked]
    if wants_summary(question):
        related = [[*_matter(question), *_OVERVIEW]]
    found = [list(dict.fromkeys(query))[:_LONGEST_QUERY] for query in [*plain, *related, *map(names, asked)]]
    return list(dict.fromkeys(" ".join(short.get(word, word) for word in query) for query in found if query))


def _matter(question: str) -> list[str]:
    terms = set(question_terms(question))
    return [word for word in content_words(question) if stem(word) in terms]


def search_tool(tools: Sequence[ToolSpec]) -> ToolSpec | None:
    """The tool that searches documents, where the request offers one."""
    return next((t for t in tools if t.name == SEARCH and "query" in t.parameters.get("properties", {})), None)


def search_arguments(tool: ToolSpec, query: str) -> str:
    """The call's arguments as JSON text; as many passages as the tool may give, up to what is useful."""
    wanted: dict[str, object] = {"query": query}
    limit = tool.parameters.get("properties", {}).get("limit")
    if isinstance(limit, dict):
        wanted["limit"] = _PASSAGES
    return json.dumps(wanted, ensure_ascii=False)


def queries_made(messages: Sequence[ChatMessage], tool: str) -> list[str]:
    """The queries of the calls of `tool` in this conversation, in order."""
    return [_argument(call.arguments) for message in messages for call in message.tool_calls if call.name == tool]


def _argument(arguments: str) -> str:
    try:
        return str(json.loads(arguments).get("query", ""))
    except (ValueError, AttributeError):
        return ""
