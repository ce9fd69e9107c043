"""Documents cut into passages at their own seams: headings, paragraphs, sentences (semantic-text-splitter)."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from crewmix.knowledge.parts import Document, Part

CHUNK_CHARACTERS = 1200
"""The longest passage. About 300 tokens: several fit into a prompt, and one holds a whole thought."""
_HEADING = re.compile(r"^(#{1,6})[ \t]+(.+?)[ \t#]*$|^(\S[^\n]{0,120})\n([=\-~^\"*+])\4{2,}[ \t]*$", re.MULTILINE)
_FENCE = re.compile(r"^(```|~~~).*?^\1[ \t]*$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Chunk:
    """A passage of a document and where it stands."""

    text: str
    place: str
    heading: str


def chunk(document: Document) -> Iterator[Chunk]:
    """The passages of `document` in order; they do not overlap."""
    from semantic_text_splitter import MarkdownSplitter, TextSplitter

    splitter = MarkdownSplitter(CHUNK_CHARACTERS) if document.markdown else TextSplitter(CHUNK_CHARACTERS)
    for part in document.parts:
        headings = _headings(part.text) if document.markdown else []
        newlines = [match.start() for match in re.finditer("\n", part.text)]
        for start, text in splitter.chunk_indices(part.text):
            yield _chunk(part, headings, newlines, start, text)


def _chunk(part: Part, headings: list[tuple[int, str]], newlines: list[int], start: int, text: str) -> Chunk:
    first = bisect_right(newlines, start - 1) + 1
    last = first + text.rstrip().count("\n")
    under = bisect_right(headings, (start + _leading(text), "\U0010ffff")) - 1
    return Chunk(text, part.place(first, last), headings[under][1] if under >= 0 else "")


def _leading(text: str) -> int:
    return len(text) - len(text.lstrip())


def _headings(text: str) -> list[tuple[int, str]]:
    """(offset, words) of each heading outside code."""
    code = [match.span() for match in _FENCE.finditer(text)]
    found = ((m.start(), (m.group(2) or m.group(3)).strip()) for m in _HEADING.finditer(text))
    return [(at, words) for at, words in found if not any(start <= at < end for start, end in code)]
