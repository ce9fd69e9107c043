"""Goals and questions taken apart by rules: lists, several questions, "first … then …", comparisons."""

from __future__ import annotations

import re
from dataclasses import dataclass

from crewmix.models.offline.sentences import statements
from crewmix.models.offline.words import STOP_WORDS, is_german, words

_ITEM = re.compile(r"^\s*(?:[-*+•]|\(?\d{1,2}[.)])\s+(\S.*)$")
_ASKING = "which|what|who|whom|whose|when|where|why|how|welche[rsnm]?|was|wer|wem|wann|wo|warum|wie|woher|wohin|wieso"
_DOING = (
    "find|list|name|explain|describe|summari[sz]e|compare|analy[sz]e|evaluate|outline|review|check|research|show|tell|"
    "identify|determine|state|give|collect|extract|assess|discuss|recommend|write|propose|"
    "finde|nenne|erkläre|beschreibe|vergleiche|prüfe|fasse|zeige|liste|bewerte|untersuche|schreibe|empfiehl|sammle"
)
_NEXT_QUESTION = re.compile(rf"(?:,\s*(?:and|und|or|oder)?|\s+(?:and|und))\s+(?=(?:{_ASKING})\b)", re.IGNORECASE)
_NEXT_WORK = re.compile(rf"(?:,\s*(?:and|und)?|\s+(?:and|und)|;)\s+(?=(?:{_DOING})\b)", re.IGNORECASE)
_THEN = re.compile(
    r"(?:[,;.]\s*|\s+)(?:and\s+|und\s+)?"
    r"(?:then|after that|afterwards|finally|next|danach|dann|anschließend|schließlich)\b[,:]?\s+",
    re.IGNORECASE,
)
_FIRST = re.compile(r"^\s*(?:first|firstly|to begin with|zuerst|erstens|zunächst)\b[,:]?\s+", re.IGNORECASE)
_COMPARE = re.compile(
    r"^(?:please\s+|bitte\s+)?(compare|vergleiche)\s+(?P<things>.+?)"
    r"(?P<aspect>\s+(?:by|on|with regard to|with respect to|regarding|in terms of|for|as to|"
    r"hinsichtlich|bezüglich|nach|für|in)\s+.+?)?[.!?]*$",
    re.IGNORECASE,
)
_LISTED = re.compile(rf"^(?P<verb>(?:please\s+|bitte\s+)?(?:{_DOING})\s+)(?P<things>[^.?!]+)[.!?]*$", re.IGNORECASE)
_TAIL = re.compile(
    r"\s+(?:of|for|in|from|von|für|aus|bei)\s+(?:the\s+|der\s+|den\s+|die\s+|das\s+)?\S.*$", re.IGNORECASE
)
_LEAD = re.compile(
    rf"^((?:{_ASKING})\s+(?:of\s+(?:the|these|those|all|our|your)\s+\w+|(?:der|dieser)\s+\w+))\b", re.IGNORECASE
)
_BARE = re.compile(rf"^({_ASKING})\s+(?=\w)", re.IGNORECASE)
_NOUN_AFTER = re.compile(rf"^(?:{_ASKING})\s+(\w+)", re.IGNORECASE)
_LEANING = re.compile(
    r"(?<!of )\b(it|its|they|them|their|this|that|these|those|both|er|sie|es|ihn|ihre?|davon|darin|daraus)\b",
    re.IGNORECASE,
)
_AFTER = re.compile(r"\s*\(after: .*\)$", re.DOTALL)
_LONGEST_THING = 8


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a goal, understandable by itself. `follows`: it builds on the piece before it."""

    text: str
    follows: bool = False


def pieces(goal: str) -> list[Piece]:
    """The parts of `goal` that can be worked separately; one when nothing splits it."""
    goal = goal.strip()
    found = _listed(goal) or _steps(goal) or _sentences(goal)
    return found if len(found) > 1 else [Piece(goal)]


def parts(question: str) -> list[str]:
    """The questions within `question`, for searching and for judging what was answered."""
    return [question] if _AFTER.search(question) else [piece.text for piece in pieces(question)]


def asked(question: str) -> str:
    """A piece of a goal without the note on what it builds on."""
    return _AFTER.sub("", question).strip()


def _listed(goal: str) -> list[Piece]:
    """A preamble and bulleted or numbered lines."""
    lines = [line for line in goal.split("\n") if line.strip()]
    items = [match.group(1).strip() for match in map(_ITEM.match, lines) if match]
    if len(items) < 2:
        return []
    preamble = " ".join(line.strip() for line in lines if not _ITEM.match(line)).rstrip(":").strip()
    return [Piece(f"{preamble}: {item}" if preamble else item) for item in items]


def _steps(goal: str) -> list[Piece]:
    """First …, then …: each step builds on the one before."""
    if not (_FIRST.match(goal) or re.search(r"\b(?:then|danach|dann|anschließend)\b", goal, re.IGNORECASE)):
        return []
    steps = [step.strip(" ,;") for step in _THEN.split(_FIRST.sub("", goal)) if step.strip(" ,;.")]
    if len(steps) < 2 or (
        not _FIRST.match(goal) and not all(re.match(rf"(?:{_DOING})\b", s, re.IGNORECASE) for s in steps)
    ):
        return []
    return [Piece(_carrying(steps[0], step) if n else _capital(step), follows=n > 0) for n, step in enumerate(steps)]


def _sentences(goal: str) -> list[Piece]:
    """Several questions or orders; sentences that ask nothing are what the others are about."""
    sentences = [s.text for s in statements(goal)]
    asking = [s for s in sentences if _asks(s)]
    about = " ".join(s for s in sentences if not _asks(s))
    found: list[Piece] = []
    for sentence in asking or sentences[:1] * (len(sentences) == 1):
        for piece in _clauses(sentence):
            text = f"{piece.text} ({about})" if about and asking else piece.text
            leans = bool(found) and _leans(piece.text)
            found.append(Piece(_carrying(found[0].text, text) if leans else text, piece.follows or leans))
    return found


def _asks(sentence: str) -> bool:
    return sentence.endswith("?") or bool(re.match(rf"(?:please\s+|bitte\s+)?(?:{_DOING})\b", sentence, re.IGNORECASE))


def _clauses(sentence: str) -> list[Piece]:
    compared = _COMPARE.match(sentence)
    if compared:
        form = "Was steht über {thing}{tail}?" if is_german(sentence) else "What is said about {thing}{tail}?"
        return _each(form, compared["things"], compared["aspect"] or "", 2) or [Piece(sentence)]
    questions = _NEXT_QUESTION.split(sentence)
    if len(questions) > 1 and re.match(rf"(?:{_ASKING})\b|.*\?$", questions[0], re.IGNORECASE):
        return [Piece(_asked(questions[0], question)) for question in questions]
    works = _NEXT_WORK.split(sentence)
    if len(works) > 1 and re.match(rf"(?:please\s+|bitte\s+)?(?:{_DOING})\b", works[0], re.IGNORECASE):
        return [Piece(_capital(work.strip(" ,;")), follows=n > 0 and _leans(work)) for n, work in enumerate(works)]
    listed = _LISTED.match(sentence)
    if listed:
        tail = _TAIL.search(listed["things"])
        things = listed["things"][: tail.start()] if tail else listed["things"]
        return _each(listed["verb"] + "{thing}{tail}.", things, tail.group() if tail else "", 3) or [Piece(sentence)]
    return [Piece(sentence)]


def _each(form: str, things: str, tail: str, fewest: int) -> list[Piece]:
    """One piece for each of "A, B and C"; none when there are fewer or they are no short names."""
    names = [
        n.strip()
        for n in re.split(r",\s*(?:and\s+|und\s+)?|\s+(?:and|und|with|mit|vs\.?|versus)\s+", things)
        if n.strip()
    ]
    if len(names) < fewest or any(len(name.split()) > _LONGEST_THING for name in names):
        return []
    return [Piece(form.format(thing=name, tail=tail.rstrip(" .?!"))) for name in names]


def _asked(first: str, question: str) -> str:
    """A later question with the subject of the first: "which grant …" becomes "Which of these licences grant …"."""
    question = question.strip(" ,;.")
    if question == first.strip(" ,;."):
        return f"{question.rstrip('?')}?"
    bare, word = _BARE.match(question), _BARE.match(first)
    lead = _LEAD.match(first)
    if bare and word and bare.group(1).lower() == word.group(1).lower() and not _LEAD.match(question):
        noun = _NOUN_AFTER.match(first)
        if lead:
            return _capital(f"{lead.group(1)} {question[bare.end() :].rstrip('?')}?")
        if noun and noun.group(1).lower() not in STOP_WORDS and _verb_like(question[bare.end() :]):
            return _capital(f"{word.group(1)} {noun.group(1)} {question[bare.end() :].rstrip('?')}?")
    return f"{_capital(question.rstrip('?'))}?"


def _verb_like(rest: str) -> bool:
    """Whether what follows a bare "which" starts with a verb: it has no noun of its own before one."""
    following = words(rest)[:2]
    return (
        len(following) < 2 or following[0] in STOP_WORDS or following[1] not in STOP_WORDS or following[1] in _ARTICLES
    )


_ARTICLES = frozenset("a an the any no all der die das den ein eine einen keine alle".split())


def _leans(text: str) -> bool:
    return bool(_LEANING.search(text))


def _carrying(subject: str, text: str) -> str:
    """`text` with what it refers to, so that it can be understood alone."""
    return _capital(text) if not _leans(text) else f"{_capital(text)} (after: {subject.rstrip('.?! ')})"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
