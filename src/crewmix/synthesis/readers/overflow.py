"""Drafts that outgrow a prompt: cut, split into groups, or read one window after another. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from crewmix.agents import fit
from crewmix.agents.prompts import quote


@dataclass(frozen=True, slots=True)
class Piece:
    """A draft as a prompt shows it."""

    head: str
    """What stands above it, e.g. `Response 2`."""
    text: str
    author: str = ""
    """Whose it is, for messages to the user; prompts do not show it."""
    part: str = ""
    """The part of the goal that it answers, where drafts answer different parts."""

    @property
    def quoted(self) -> str:
        """The text between fences, under its head."""
        return quote(self.head, self.text)

    @property
    def frame(self) -> int:
        """The most tokens of everything but the text."""
        return fit.size(replace(self, text="").quoted) + 2

    @property
    def size(self) -> int:
        """The most tokens that it takes in a prompt."""
        return self.frame + fit.size(self.text)


@dataclass(frozen=True, slots=True)
class Window:
    """Pieces that are read together."""

    shown: tuple[Piece, ...]
    rest: tuple[Piece, ...]
    """What is left for later windows."""


def total(pieces: Sequence[Piece]) -> int:
    """The most tokens that the pieces take."""
    return sum(piece.size for piece in pieces)


def trimmed(pieces: Sequence[Piece], room: int) -> tuple[Piece, ...]:
    """The pieces, the longest cut in the middle until all fit into the room."""
    texts, _ = fit.fitted([piece.text for piece in pieces], room - sum(piece.frame for piece in pieces))
    return tuple(replace(piece, text=text) for piece, text in zip(pieces, texts, strict=True))


def too_long(pieces: Sequence[Piece], room: int) -> tuple[tuple[int, ...], int]:
    """Places of the pieces that must shrink for all to fit into the room, and the tokens that each of them may have."""
    if total(pieces) <= room:
        return (), room
    sizes = [fit.size(piece.text) for piece in pieces]
    limit = fit.share(sizes, room - sum(piece.frame for piece in pieces))
    return tuple(place for place, size in enumerate(sizes) if size > limit), limit


def groups(pieces: Sequence[Piece], room: int) -> tuple[tuple[Piece, ...], ...]:
    """The pieces in as few groups as it takes for each to fit into the room. One that alone is too large for it is cut."""
    found: list[tuple[Piece, ...]] = []
    rest = tuple(pieces)
    while rest:
        count = max(1, _fitting(rest, room))
        found.append(trimmed(rest[:count], room))
        rest = rest[count:]
    return tuple(found)


def next_window(standing: Piece | None, rest: Sequence[Piece], room: int) -> Window:
    """What is read next: what stands from the windows before, and as many more pieces as fit beside it.

    This is the sliding window of Self-MoA-Seq (Li et al., arXiv 2502.00674), where the best answer so far is read again with
    the next candidates. A window holds at least two pieces, cut where they do not fit.

    Args:
        standing: What came of the windows before; None = this is the first.
        rest: What was not read yet.
        room: The tokens that a window's pieces may have together.
    """
    waiting = (*((standing,) if standing else ()), *rest)
    count = min(len(waiting), max(2, _fitting(waiting, room)))
    return Window(trimmed(waiting[:count], room), waiting[count:])


def _fitting(pieces: Sequence[Piece], room: int) -> int:
    """How many of the first pieces fit into the room."""
    for count, piece in enumerate(pieces):
        room -= piece.size
        if room < 0:
            return count
    return len(pieces)
