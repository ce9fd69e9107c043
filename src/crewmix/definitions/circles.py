"""Circles in what refers to what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence


def circles(ways: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, ...]]:
    """Every circle that a walk in the order of `ways` closes; each one begins and ends with the same name.

    Args:
        ways: Name -> the names it leads to; names that lead nowhere may be left out.
    """
    done: set[str] = set()
    for start in ways:
        path = [(start, iter(ways[start]))] if start not in done else []
        while path:
            walked = [name for name, _ in path]
            target = next(path[-1][1], None)
            if target is None:
                done.add(walked[-1])
                path.pop()
            elif target in walked:
                yield (*walked[walked.index(target) :], target)
            elif target in ways and target not in done:
                path.append((target, iter(ways[target])))
