"""What a role has found so far: the passages in the results of its tool calls."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from crewmix.models.offline.sentences import TAG, Statement, statements
from crewmix.models.types import ChatMessage

_HEAD = re.compile(rf"^[ \t]*(?:(\d+)\.[ \t]+)?({TAG.pattern})(?:[ \t]+(.*))?$", re.MULTILINE)
_ALSO = re.compile(r"^The text of passage (\d+) also stands at (.+)$", re.MULTILINE)
_CONTINUED = re.compile(r"[;,]\s*(?:and|or|und|oder)?$")
_ENDED = re.compile(r"[.!?…][\"'”’»)\]]*$")
_USUAL_NAME = re.compile(r"(licen[cs]e|copying|notice|readme|index|__init__|main|authors|changelog)s?\b", re.IGNORECASE)
_SHORTEST = 25
_FEWEST_WORDS = 5
_FEWEST_BEFORE_LIST = 12
_LONGEST = 330
_SHOUTED = 0.5


@dataclass(frozen=True, slots=True)
class Passage:
    """A stretch of a document as a tool gave it."""

    tags: tuple[str, ...]
    """Where it stands; several where the same text is in several documents."""
    heading: str
    text: str

    @property
    def label(self) -> str:
        """A short name of its document, from the first tag."""
        *folders, name = self.tags[0][1:-1].rpartition(":")[0].split("/")
        return "/".join([*folders[-1:], name]) if _USUAL_NAME.match(name) else name


def passages(messages: Sequence[ChatMessage]) -> list[Passage]:
    """Every passage in the tool results of `messages`, each once."""
    found: dict[str, Passage] = {}
    for message in messages:
        if message.role == "tool":
            for passage in _of_result(message.content):
                found.setdefault(passage.tags[0], passage)
    return list(found.values())


def _of_result(text: str) -> Iterator[Passage]:
    also = {int(number): tuple(TAG.findall(tags)) for number, tags in _ALSO.findall(text)}
    heads = list(_HEAD.finditer(text))
    for head, after in zip_longest(heads, heads[1:]):
        number, tag, heading = head.groups()
        tags = (tag, *also.get(int(number or 0), ()))
        yield Passage(tags, (heading or "").strip(), text[head.end() : after.start() if after else None])


def quotable(passage: Passage) -> list[Statement]:
    """The whole sentences of a passage: no fragments where it was cut, no headings.

    An item that goes on from the words before its list ("… grants you a license: (a) under …") gets them put before it.
    """
    found: list[Statement] = []
    lead = ""
    for statement in statements(passage.text):
        if not statement.item:
            lead = statement.text if statement.text.endswith(":") else ""
        text = _CONTINUED.sub("", statement.text)
        if statement.item and lead and text[:1].islower():
            if found and found[-1].text == _shortened(f"{lead} […]"):
                found.pop()
            text = f"{lead} […] {text}"
        ended = " […] " in text or (text == statement.text and (statement.item or _ENDED.search(text) is not None))
        if text.endswith(":") and len(text.split()) >= _FEWEST_BEFORE_LIST:
            text, ended = f"{text} […]", True
        if _whole(text, statement.item, ended):
            found.append(Statement(_shortened(text), passage.tags, statement.item, passage.label, passage.heading))
    return found


def _whole(text: str, item: bool, ended: bool) -> bool:
    """Whether `text` can stand alone: a sentence, or a list item that is no part of a longer sentence."""
    if re.search(r"[。！？]$", text):
        return True
    if len(text) < _SHORTEST or len(text.split()) < _FEWEST_WORDS or not re.search(r"[^\W\d_]{2}", text):
        return False
    if all(word[:1].isupper() for word in text.split() if len(word) > 3 and word[0].isalpha()) and not text.isupper():
        return False
    capital = bool(re.match(r"[\"'“‘„«(`*\[]*[A-ZÀ-ÖØ-Þ0-9]", text))
    return capital and (item or ended)


def _shortened(text: str) -> str:
    """A very long sentence up to the end of a clause, with a mark that it goes on."""
    if len(text) <= _LONGEST:
        return text
    ends = [match.start() for match in re.finditer(r"[,;:](?=\s)|\s(?=\()", text[:_LONGEST])]
    cut = ends[-1] if ends and ends[-1] > _LONGEST // 2 else text.rfind(" ", 0, _LONGEST)
    return f"{text[:cut].rstrip()} […]"


def shouted(text: str) -> bool:
    """Whether most of `text` is in capitals, as disclaimers are."""
    letters = [c for c in text if c.isalpha()]
    return sum(c.isupper() for c in letters) > _SHOUTED * len(letters)
