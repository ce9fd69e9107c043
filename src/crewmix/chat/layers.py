"""Mixture-of-Agents: each layer of proposers sees the drafts of the layer before (Wang et al. 2024, arXiv:2406.04692).

The last layer is the aggregator, which is the crew's synthesis and not part of the chat. What a layer shows to the next are whole
drafts of all its members, numbered and without names, in the order of the members.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from crewmix.chat.base import Done, Message, Speakers, Transcript, View
from crewmix.chat.setting import Setting
from crewmix.errors import UsageError

ASK = (
    "The drafts are answers of several models to this very question. Weigh them critically: any of them may be wrong, one-sided "
    "or incomplete, also where they agree. Write your own better answer, complete in itself: keep what holds, correct what "
    "does not, add what is missing. Do not merely repeat one of them, and do not speak about them."
)
"""What a proposer is asked from the second layer on."""


@dataclass(frozen=True, slots=True)
class Layers:
    """Parallel rounds, each seeing only the one before.

    Args:
        layers: Who proposes in each round.
        quorums: The fewest drafts of each round.
        shuffle: Show every proposer the drafts in an order of its own, which depends on nothing but its round and name.
    """

    layers: tuple[tuple[str, ...], ...]
    quorums: tuple[int, ...]
    shuffle: bool = False

    def next(self, chat: Transcript) -> Speakers | Done:
        """The next layer."""
        if chat.round == len(self.layers):
            return Done("1 layer of proposers" if chat.round == 1 else f"{chat.round} layers of proposers")
        return Speakers(self.layers[chat.round], self.quorums[chat.round])

    def view(self, chat: Transcript, role: str) -> View:
        """The drafts of the layer before."""
        if chat.round == 0:
            return View()
        drafts = list(_brought(chat, chat.round))
        if self.shuffle:
            random.Random(f"{chat.round + 1}/{role}").shuffle(drafts)
        return View(drafts=tuple(drafts), ask=ASK)

    def drafts(self, chat: Transcript) -> tuple[Message, ...]:
        """The drafts of the last layer that met its quorum. A budget may have ended the chat within a later one."""
        enough = (n for n in range(chat.round, 0, -1) if len(_brought(chat, n)) >= self.quorums[n - 1])
        return _brought(chat, next(enough, chat.round))


def layers(setting: Setting) -> Layers:
    """As many rounds of proposers as the crew file has layers, less the aggregator.

    Raises:
        UsageError: Nobody proposes in one of the layers.
    """
    chat = setting.chat
    rounds = range(1, chat.layers)
    speakers = tuple(tuple(seat.name for seat in setting.seats if seat.layer in {0, n}) for n in rounds)
    for number, names in enumerate(speakers, 1):
        if not names:
            raise UsageError(f"nobody proposes in layer {number}", hint="name roles of this task in its `proposers`")
    own = [layer.quorum for layer in chat.per_layer] or [None] * len(speakers)
    quorums = tuple(own[n - 1] or chat.quorum or 1 for n in rounds)
    return Layers(speakers, quorums, chat.shuffle)


def _brought(chat: Transcript, number: int) -> tuple[Message, ...]:
    return tuple(m for m in chat.spoken if m.round == number)
