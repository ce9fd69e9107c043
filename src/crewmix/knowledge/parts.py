"""A document as text whose every line knows its place."""

from __future__ import annotations

from dataclasses import dataclass


class Unreadable(Exception):
    """A file holds no text that could be searched; the message says why. Never reaches the user as an error."""


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of text: a page, or the whole document."""

    text: str
    page: int | None = None
    """The page's number from 1; None = places are lines."""
    lines: tuple[int, ...] = ()
    """For each line of `text` its line in the file; empty = the same."""

    def place(self, first: int, last: int) -> str:
        """How lines `first` to `last` (from 1) of the text are cited: `12-18`, `12` or `p3`."""
        if self.page is not None:
            return f"p{self.page}"
        if self.lines:
            first, last = self.lines[first - 1], max(self.lines[first - 1 : last])
        return str(first) if first == last else f"{first}-{last}"


@dataclass(frozen=True, slots=True)
class Document:
    """A file's text."""

    parts: tuple[Part, ...]
    markdown: bool = False
    """Whether headings and lists are marked as in Markdown or reStructuredText."""
    warning: str = ""
    """What the user should know of how it was read."""
