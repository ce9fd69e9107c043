"""The closed lists of names a definition may use, and the nearest one to a misspelt name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Literal

Kind = Literal["crews", "roles", "tasks", "tools"]
"""The folders of a project and of the built-in library."""

PATTERNS = ("round_robin", "selector", "layers", "vote", "debate", "graph", "handoff")
"""Chat patterns that `chat.pattern` may name."""

METHODS = ("aggregate", "critique_combine", "majority", "weighted", "similarity", "rank", "judge", "tested")
"""Syntheses that `synthesis.method` may name."""

PROVIDERS = (
    "anthropic",
    "cerebras",
    "deepseek",
    "gemini",
    "groq",
    "litellm",
    "llamacpp",
    "lmstudio",
    "mistral",
    "offline",
    "ollama",
    "openai",
    "openai_compatible",
    "openrouter",
    "replay",
    "scripted",
    "together",
    "vllm",
    "xai",
)
"""What a model string may begin with."""


def nearest(name: str, choices: Iterable[str]) -> str | None:
    """A hint that leads from a wrong name to a right one.

    Args:
        name: What the user wrote.
        choices: What would have been right.

    Returns:
        "did you mean …?", or a list of the choices when none is similar; None when there is no choice.
    """
    known = sorted(set(choices))
    lowered = {choice.lower(): choice for choice in known}
    close = difflib.get_close_matches(name.lower()[:200], lowered, n=1, cutoff=0.6)
    if close:
        return f"did you mean `{lowered[close[0]]}`?"
    if not known:
        return None
    more = f" and {len(known) - 12} more" if len(known) > 12 else ""
    return f"choose from {', '.join(f'`{choice}`' for choice in known[:12])}{more}"
