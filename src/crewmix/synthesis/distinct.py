"""Drafts that say the same, word for word, are shown once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from crewmix.journal.events import Warned
from crewmix.journal.scope import Scope
from crewmix.synthesis.base import Draft


@dataclass(frozen=True, slots=True)
class Distinct:
    """Each text once, in the order of the first draft that has it."""

    shown: tuple[Draft, ...]
    place: tuple[int, ...]
    """For each of all drafts, the place in `shown` of the one with its text."""


def distinct(scope: Scope, drafts: Sequence[Draft]) -> Distinct:
    """The drafts without repetitions; a `Warned` event with code `same_draft` names who gave the same as whom.

    Blanks do not make a difference.
    """
    groups: dict[str, list[int]] = {}
    for number, draft in enumerate(drafts):
        groups.setdefault(" ".join(draft.text.split()), []).append(number)
    place = [0] * len(drafts)
    for shown, numbers in enumerate(groups.values()):
        for number in numbers:
            place[number] = shown
        if len(numbers) > 1:
            first, *others = (drafts[number].author for number in numbers)
            text = f"{', '.join(others)} gave the same draft as {first}; it is shown once"
            scope.emit(Warned(code="same_draft", message=text))
    return Distinct(tuple(drafts[numbers[0]] for numbers in groups.values()), tuple(place))
