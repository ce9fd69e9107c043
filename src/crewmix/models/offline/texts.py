"""What the offline model says of itself, and how its statements are written down."""

from __future__ import annotations

import re
from collections.abc import Sequence

from crewmix.models.offline.sentences import Statement

NO_EVIDENCE = "No evidence found"
DECLINED = "This needs a language model"
_HOW = (
    "none is configured: the offline model only finds, quotes and ranks sentences of given texts. "
    "Set OPENAI_API_KEY, or start Ollama, or name a model in the crew's `models`."
)
_META = re.compile(
    rf"^(?:{NO_EVIDENCE}|{DECLINED}|Set OPENAI_API_KEY|Not done:|The statements above answer this)", re.IGNORECASE
)
_MAKES = (
    "write|implement|code|program|refactor|debug|develop|generate|create|build|compose|draft|schreibe?|programmiere|"
    "implementiere|entwickle|erstelle|generiere|verfasse"
)
_MADE = (
    "functions?|scripts?|programs?|class|classes|code|methods?|unit tests?|tests?|modules?|apps?|apis?|"
    "applications?|quer(?:y|ies)|regex|algorithms?|poems?|stor(?:y|ies)|songs?|essays?|emails?|letters?|articles?|blog|posts?|speech|slogans?|jokes?|website|page|"
    "funktion|skript|programm|klasse|gedicht|geschichte|lied|aufsatz|e-?mail|brief|artikel|webseite"
)
_CREATIVE = re.compile(
    rf"^(?:\W|please\b|bitte\b|can you\b|could you\b)*(?:(?:{_MAKES})\b(?:\s+[\w'-]+){{0,6}}?\s+(?:{_MADE})\b"
    r"|translate\b|übersetze\b|rewrite\b|paraphrase\b|brainstorm\b|invent\b|imagine\b|erfinde\b)",
    re.IGNORECASE,
)
_FEWEST_BULLETS = 3


def wants_creation(question: str) -> bool:
    """Whether something new is wanted, such as code, a poem or a translation, which no extraction can give."""
    return _CREATIVE.search(question.strip()) is not None


def declined(question: str) -> str:
    """A polite refusal that says what is missing and how to get it."""
    return f"{DECLINED}, and {_HOW} Not done: {_short(question)}"


def all_declined(texts: Sequence[str]) -> bool:
    """Whether nobody could do what was asked, so that nothing was looked for either; also when there is no text at all."""
    return all(text.lstrip().startswith(DECLINED) for text in texts)


def no_evidence(question: str, searched: bool = True) -> str:
    """That nothing in the texts answers `question`."""
    where = "in the documents" if searched else "in what was said so far"
    return f"{NO_EVIDENCE} {where} for: {_short(question)}"


def is_meta(text: str) -> bool:
    """Whether a sentence speaks of the offline model's limits and not of the matter."""
    return _META.match(text.strip()) is not None


def written(found: Sequence[Statement]) -> str:
    """Statements as a reader wants them: one or two as a paragraph, more as a list."""
    lines = [str(_closed(statement)) for statement in found]
    if len(lines) < _FEWEST_BULLETS and not any(statement.label for statement in found):
        return " ".join(lines)
    return "\n".join(f"- {line}" for line in lines)


def _closed(statement: Statement) -> Statement:
    text = statement.text
    done = bool(re.search(r"[.!?…。！？:][\"'”’»)\]*_]*$", text))
    return Statement(text if done else f"{text}.", statement.tags, statement.item, statement.label)


def _short(question: str) -> str:
    line = " ".join(question.split())
    return line if len(line) <= 200 else f"{line[:199]}…"
