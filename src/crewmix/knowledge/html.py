"""HTML pages: the main text without navigation (trafilatura), and the line of the file each piece stands on."""

from __future__ import annotations

import html
import re

from crewmix.knowledge.parts import Document, Part, Unreadable

_UNSEEN = re.compile(r"<(script|style|template|head)\b.*?</\1\s*>|<!--.*?-->", re.DOTALL | re.IGNORECASE)
_TAG = re.compile(r"<[^>]*>", re.DOTALL)
_WORD = re.compile(r"\w+")
_ANCHOR = 5
"""Words by which a line of text is found again in the file."""


def html_document(source: str, warning: str) -> Document:
    """The page's main text as Markdown.

    Raises:
        Unreadable: It holds no text.
    """
    import trafilatura

    text = trafilatura.extract(source, output_format="markdown", include_tables=True, include_comments=False) or ""
    if not text.strip():
        text = trafilatura.html2txt(source)
    if not text.strip():
        raise Unreadable("no text in this page")
    return Document((Part(text, lines=_lines(text, source)),), markdown=True, warning=warning)


def _blank(match: re.Match[str]) -> str:
    return "\n" * match.group().count("\n") + " "


def _lines(text: str, source: str) -> tuple[int, ...]:
    """For each line of the extracted text, its line in the file: the next place where its first words stand."""
    seen: list[tuple[str, int]] = []
    for number, line in enumerate(_TAG.sub(_blank, _UNSEEN.sub(_blank, source)).split("\n"), 1):
        seen += [(word, number) for word in _WORD.findall(html.unescape(line).lower())]
    flat = [word for word, _ in seen]
    places: dict[str, list[int]] = {}
    for position, word in enumerate(flat):
        places.setdefault(word, []).append(position)
    at, current, lines = 0, 1, list[int]()
    for line in text.split("\n"):
        anchor = _WORD.findall(line.lower())[:_ANCHOR]
        starts = [p for p in places.get(anchor[0], ()) if flat[p : p + len(anchor)] == anchor] if anchor else []
        found = next((p for p in starts if p >= at), None)
        if found is not None:
            at, current = found + len(anchor), seen[found][1]
        lines.append(current)
    return tuple(lines)
