"""The chat patterns by name, each a pure function of the transcript."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from crewmix.chat.base import Pattern, PatternSource
from crewmix.chat.custom import custom
from crewmix.chat.debate import debate
from crewmix.chat.graph.pattern import graph
from crewmix.chat.handoff import handoff
from crewmix.chat.in_turn import round_robin, selector
from crewmix.chat.layers import layers
from crewmix.chat.setting import Setting
from crewmix.chat.vote import vote
from crewmix.definitions.names import nearest
from crewmix.definitions.seats import seats
from crewmix.definitions.spec import ChatSpec, Role, SynthesisSpec
from crewmix.errors import UsageError

PATTERNS: Mapping[str, Callable[[Setting], Pattern]] = {
    "round_robin": round_robin,
    "selector": selector,
    "layers": layers,
    "vote": vote,
    "debate": debate,
    "graph": graph,
    "handoff": handoff,
}
"""Every pattern by its name in crew files; a name with a colon is a Python function or class."""


def make_pattern(
    chat: ChatSpec,
    roles: Sequence[Role],
    synthesis: SynthesisSpec | None = None,
    *,
    own: PatternSource | None = None,
    every_way: bool = False,
    root: Path | None = None,
) -> Pattern:
    """The pattern a crew file asks for.

    Args:
        chat: Who speaks when, as written.
        roles: The roles that work on the task, in crew order.
        synthesis: What an answer is, for patterns that stop when drafts agree.
        own: A pattern given in Python; goes before `chat.pattern`.
        every_way: For estimates: take every way of a graph, whatever its conditions.
        root: The project's folder, where a pattern of the user's own is looked for first.

    Raises:
        UsageError: There is no such pattern, or nobody to speak.
    """
    setting = Setting(chat, seats(chat, roles), synthesis or SynthesisSpec(), every_way, root)
    if not setting.seats:
        raise UsageError("a chat needs at least one role")
    if own is not None or ":" in chat.pattern:
        return custom(setting, own)
    if chat.pattern not in PATTERNS:
        raise UsageError(f"there is no chat pattern {chat.pattern!r}", hint=nearest(chat.pattern, PATTERNS))
    return PATTERNS[chat.pattern](setting)
