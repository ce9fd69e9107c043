"""Reading one of the crew's documents, line by line."""

from itertools import accumulate, groupby
from typing import Annotated, NamedTuple

from pydantic import Field

from crewmix import Source, ToolContext, ToolResult, tool
from crewmix.knowledge.parts import Part
from crewmix.tools.documents import as_data, open_document

MAX_CHARACTERS = 12_000
"""The most text at once; longer results of tools are clipped in the middle."""


@tool
def read_file(
    path: str,
    context: ToolContext,
    start_line: Annotated[int, Field(ge=1)] = 1,
    lines: Annotated[int, Field(ge=1, le=1000)] = 200,
) -> ToolResult:
    """Read lines of one of the documents. Cite what you use by the tag above it.

    Args:
        path: The document's name as `list_files` and citations show it, e.g. docs/guide.md.
        context: Filled in by crewmix.
        start_line: The first line, from 1. The pages of a PDF are counted through.
        lines: The most lines.
    """
    try:
        name, document = open_document(path, context)
    except ValueError as error:
        return ToolResult(f"read_file: {error}", ok=False)
    rows = [Row(part, n, line) for part in document.parts for n, line in enumerate(_lines(part), 1)]
    wanted = rows[start_line - 1 : start_line - 1 + lines]
    if not wanted:
        return ToolResult(f"read_file: {name} has only {len(rows)} lines", ok=False)
    ends = accumulate(len(row.line) + 1 for row in wanted)
    wanted = [row for row, end in zip(wanted, ends, strict=True) if end <= MAX_CHARACTERS] or wanted[:1]
    sources = tuple(_source(name, list(group)) for _, group in groupby(wanted, lambda row: row.part.page))
    text = "\n\n".join(f"{source.tag}\n{as_data(source.quote)}" for source in sources)
    end = start_line + len(wanted) - 1
    more = f" Go on with start_line={end + 1}." if end < len(rows) else ""
    return ToolResult(f"{text}\n\nLines {start_line} to {end} of {len(rows)}.{more}", sources=sources)


class Row(NamedTuple):
    """A line and where it stands."""

    part: Part
    number: int
    line: str


def _lines(part: Part) -> list[str]:
    return part.text.removesuffix("\n").split("\n")


def _source(name: str, rows: list[Row]) -> Source:
    place = rows[0].part.place(rows[0].number, rows[-1].number)
    return Source(name, place, "\n".join(row.line for row in rows))
