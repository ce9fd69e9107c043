"""A question to the person for whom the crew works."""

from crewmix import ToolContext, ToolResult, tool
from crewmix.errors import PersonMissingError


@tool
async def ask_user(question: str, context: ToolContext) -> str | ToolResult:
    """Ask the person who gave the goal what only they can know: a preference, a missing fact, which of two readings is meant.

    Ask rarely, and everything that is unclear in one question.

    Args:
        question: One clear question, understandable by itself.
        context: Filled in by crewmix, not shown to the model.
    """
    try:
        answer = await context.ask(question)
    except PersonMissingError as error:
        text = f"{error.message}. Go on with what you know, and say in your answer what you assumed."
        return ToolResult(text, ok=False)
    return answer.strip() or "The person gave no answer. Go on with what you know, and say what you assumed."
