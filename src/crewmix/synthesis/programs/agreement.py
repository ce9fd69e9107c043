"""Dual execution agreement: programs and tests vouch for each other.

Chen et al., "CodeT: Code Generation with Generated Tests", arXiv 2207.10397: programs that pass exactly the same tests form a
group; a group scores the number of its programs times the number of tests they pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Group:
    """Programs that pass exactly the same tests."""

    programs: tuple[int, ...]
    """Their places among all programs, ascending."""
    tests: int
    """How many tests they pass."""

    @property
    def score(self) -> int:
        """Programs times tests; 0 = they pass nothing."""
        return len(self.programs) * self.tests


def agreement(passed: Sequence[Sequence[bool]]) -> tuple[Group, ...]:
    """The groups of programs, best first; of equal scores, the one with the earliest program first.

    Args:
        passed: For each program, whether it passes each test.
    """
    members: dict[tuple[bool, ...], list[int]] = {}
    for place, row in enumerate(passed):
        members.setdefault(tuple(map(bool, row)), []).append(place)
    groups = [Group(tuple(places), sum(row)) for row, places in members.items()]
    return tuple(sorted(groups, key=lambda group: (-group.score, group.programs)))
