"""Searching the crew's documents."""

from typing import Annotated

from pydantic import Field

from crewmix import ToolContext, ToolResult, tool
from crewmix.tools.documents import as_data


@tool
def knowledge_search(query: str, context: ToolContext, limit: Annotated[int, Field(ge=1, le=20)] = 5) -> ToolResult:
    """Search the crew's documents for passages. Cite what you use by the tag of its passage.

    Args:
        query: Words the passage should contain. Few telling words work best.
        context: Filled in by crewmix, not shown to the model.
        limit: The most passages.
    """
    if context.index is None:
        return ToolResult("This crew has no documents to search.", ok=False)
    hits = context.index.search(query, limit)
    if not hits:
        return ToolResult(f"No passage matches {query!r}. Try other words.")
    passages = [
        f"{number}. {hit.source.tag} {hit.heading}".rstrip() + f"\n{as_data(hit.text.strip())}"
        for number, hit in enumerate(hits, 1)
    ]
    guide = [f"Cite a passage by its tag, e.g. {hits[0].source.tag}"]
    for number, hit in enumerate(hits, 1):
        if hit.same:
            guide.append(f"The text of passage {number} also stands at {', '.join(source.tag for source in hit.same)}")
    sources = tuple(source for hit in hits for source in (hit.source, *hit.same))
    return ToolResult("\n\n".join(["\n".join(guide), *passages]), sources=sources)
