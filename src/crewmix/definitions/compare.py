"""What is different between two definitions, by the places of their fields."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

_NAMES = ("name", "id", "role", "tools")
"""The fields by which the entries of a list are known."""


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[str, ...]:
    """The places at which two definitions differ: `roles.critic.backstory`, `models.default.model`, `budget.usd`.

    A role, task or proposer that is only in one of them is one place, as is a list whose order changed. Where a definition lies
    (`path`) is no part of it.

    Args:
        before: A definition as data, from `CrewDefinition.as_dict`.
        after: The other one.
    """
    return tuple(dict.fromkeys(place for place in _changes(before, after, "") if place != "path"))


def _changes(before: Any, after: Any, place: str) -> Iterator[str]:
    if before == after:
        return
    old, new = by_name(before), by_name(after)
    if old is None or new is None:
        yield place
        return
    common = [name for name in old if name in new]
    if isinstance(before, list) and common != [name for name in new if name in old]:
        yield place
    for name in dict.fromkeys((*old, *new)):
        below = f"{place}.{name}" if place else name
        if name in old and name in new:
            yield from _changes(old[name], new[name], below)
        else:
            yield below


def by_name(value: Any) -> Mapping[str, Any] | None:
    """What a value holds, by the names that `changes` gives them; None for a value that is a whole.

    The entries of a list go by their `name`, `id`, `role` or `tools`, whichever tells them apart.
    """
    if isinstance(value, Mapping):
        return cast(Mapping[str, Any], value)
    if not isinstance(value, list | tuple) or not value:
        return None
    entries = cast(Sequence[Any], value)
    for field in _NAMES:
        names = [cast(Mapping[str, Any], entry).get(field) for entry in entries if isinstance(entry, Mapping)]
        if len({name for name in names if isinstance(name, str)}) == len(entries):
            return {str(name): entry for name, entry in zip(names, entries, strict=True)}
    return None
