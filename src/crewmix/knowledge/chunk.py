"""Documents cut into passages at their own seams: headings, paragraphs, sentences (semantic-text-splitter)."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from crewmix.knowledge.parts import Document

CHUNK_CHARACTERS = 1000
"""The longest passage. About 250 tokens: several fit into a prompt, and one holds a whole thought."""
_HEADING = re.compile(r"^(#{1,6})[ \t]+(.+?)[ \t#]*$|^(\S[^\n]{0,120})\n([=\-~^\"*+])\4{2,}[ \t]*$", re.MULTILINE)
_NO_TITLE = re.compile(
    r"[=(){};<>]|[.,:。！？]$|^\W*(copyright|import|from|package|using|include|http|all rights)\b", re.IGNORECASE
)
_LONGEST_TITLE = 80
_RULE = re.compile(r"^[ \t]*([-=*#_~])\1{19,}[ \t]*$", re.MULTILINE)
_FENCE = re.compile(r"^(```|~~~).*?^\1[ \t]*$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Chunk:
    """A passage of a document and where it stands."""

    text: str
    place: str
    heading: str
    """The document's title and the heading the passage stands under: `Guide › Install`."""


def chunk(document: Document) -> Iterator[Chunk]:
    """The passages of `document` in order; they do not overlap."""
    from semantic_text_splitter import MarkdownSplitter, TextSplitter

    splitter = MarkdownSplitter(CHUNK_CHARACTERS) if document.markdown else TextSplitter(CHUNK_CHARACTERS)
    title = ""
    for part in document.parts:
        headings = _headings(part.text) if document.markdown else []
        title = title or (headings[0][1] if headings else _title(part.text))
        newlines = [match.start() for match in re.finditer("\n", part.text)]
        for start, text in splitter.chunk_indices(part.text):
            first = bisect_right(newlines, start - 1) + 1
            last = first + text.rstrip().count("\n")
            yield Chunk(text, part.place(first, last), _under(title, headings, start + _leading(text)))


def _under(title: str, headings: list[tuple[int, str]], at: int) -> str:
    number = bisect_right(headings, (at, "\U0010ffff")) - 1
    heading = headings[number][1] if number >= 0 else ""
    return " › ".join(dict.fromkeys(part for part in (title, heading) if part))


def _leading(text: str) -> int:
    return len(text) - len(text.lstrip())


def _headings(text: str) -> list[tuple[int, str]]:
    """(offset, words) of each heading outside code."""
    code = [match.span() for match in _FENCE.finditer(text)]
    found = ((m.start(), (m.group(2) or m.group(3)).strip()) for m in _HEADING.finditer(text))
    return [(at, words) for at, words in found if not any(start <= at < end for start, end in code)]


def _title(text: str) -> str:
    """The first line of a plain text where it looks like a title, e.g. "Apache License"; else nothing."""
    if _RULE.search(text):  # several texts in one file
        return ""
    lines = [line.strip() for line in text.lstrip().split("\n", 2)[:2]]
    fits = [0 < len(line) <= _LONGEST_TITLE and not _NO_TITLE.search(line) for line in lines]
    followed = len(lines) < 2 or not lines[1] or fits[1] or set(lines[1]) <= set("=-~*")
    return lines[0].strip("*#=- ") if fits[0] and followed and re.search(r"[^\W\d]{2}", lines[0]) else ""
