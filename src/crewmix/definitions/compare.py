"""What differs between two definitions, by its place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[str, ...]:
    """The places at which two definitions as data differ, e.g. `roles.critic.goal`."""
    return tuple(sorted(k for k in {*before, *after} if before.get(k) != after.get(k)))
