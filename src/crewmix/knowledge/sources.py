"""Sources: where a statement comes from, and the tags by which answers cite them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Source:
    """A place in a document. Its `tag` is what an answer writes to cite it."""

    document: str
    """Path relative to the project, with `/`."""
    place: str
    """`12-18` for lines, `p3` for a page."""
    quote: str
    """The text found there."""

    @property
    def tag(self) -> str:
        """The citation mark, e.g. `[docs/guide.md:12-18]`."""
        return f"[{self.document}:{self.place}]"


def cited(text: str, known: Iterable[Source]) -> tuple[Source, ...]:
    """The known sources whose tags stand in `text`, in the order of their first mention, each once."""
    found = {source.tag: source for source in known if source.tag in text}
    return tuple(sorted(found.values(), key=lambda source: (text.index(source.tag), source.tag)))
