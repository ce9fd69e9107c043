"""Where in a run something happened, in a reader's words."""

from __future__ import annotations

import re

_MEMBER = re.compile(r"(?:^|/)round\.\d+/([^/]+)/(?:[^/]+/)*?crew(?=/)")
"""In a scope: a member of a chat whose turn is worked by a crew."""


def members_around(scope: str, end: str = " / ") -> str:
    """The members within whose crews an event happened, outermost first: `house / analyst / `.

    Args:
        scope: The event's scope.
        end: What follows the last one.

    Returns:
        Nothing when it happened in the run's own crew.
    """
    names = _MEMBER.findall(scope)
    return " / ".join(names) + end if names else ""
