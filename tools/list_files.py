"""What the crew may read."""

from typing import Annotated

from pydantic import Field

from crewmix import ToolContext, tool
from crewmix.tools.documents import list_documents


@tool
def list_files(context: ToolContext, beginning: str = "", limit: Annotated[int, Field(ge=1, le=1000)] = 200) -> str:
    """List the documents of this crew by name, with their sizes. `read_file` reads them, `knowledge_search` searches them.

    Args:
        context: Filled in by crewmix, not shown to the model.
        beginning: Only names that begin so, e.g. docs/.
        limit: The most names.
    """
    documents = {name: path for name, path in list_documents(context).items() if name.startswith(beginning)}
    if not documents:
        return f"No document's name begins with {beginning!r}." if beginning else "This crew has no documents."
    shown = [f"{name} ({path.stat().st_size:,} bytes)" for name, path in list(documents.items())[:limit]]
    more = len(documents) - len(shown)
    return "\n".join(shown) + (f"\n… and {more} more; ask with a longer `beginning`." if more else "")
