"""Reading one of the crew's documents, line by line."""

from typing import Annotated

from pydantic import Field

from crewmix import Source, ToolContext, ToolResult, tool
from crewmix.tools.documents import open_document


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
        lines: How many lines.
    """
    try:
        name, document = open_document(path, context)
    except ValueError as error:
        return ToolResult(f"read_file: {error}", ok=False)
    pages = [(part, part.text.removesuffix("\n").split("\n")) for part in document.parts]
    total = sum(len(page) for _, page in pages)
    end = min(start_line + lines - 1, total)
    sources: list[Source] = []
    before = 0
    for part, page in pages:
        first, last = max(start_line - before, 1), min(end - before, len(page))
        if first <= last:
            sources.append(Source(name, part.place(first, last), "\n".join(page[first - 1 : last])))
        before += len(page)
    if not sources:
        return ToolResult(f"read_file: {name} has only {total} lines", ok=False)
    text = "\n\n".join(f"{source.tag}\n{source.quote}" for source in sources)
    more = f" Go on with start_line={end + 1}." if end < total else ""
    return ToolResult(f"{text}\n\nLines {start_line} to {end} of {total}.{more}", sources=tuple(sources))
