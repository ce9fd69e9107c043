"""Who said what in a run, how drafts were judged and merged, as lines for `show --drafts`."""

from __future__ import annotations

from collections.abc import Iterator

from crewmix.cli.talks import Merged, Said, Talk, Talks
from crewmix.cli.text import clean, count, indent, one_line
from crewmix.cli.votes import merge_lines


def draft_lines(talks: Talks, place: str = "") -> Iterator[str]:
    """Every task of the crew that works at `place`: its turns in full, its votes and marks, and its answer."""
    for talk in talks.of(place):
        yield from ("", f"Task {talk.task} ({talk.status}): {one_line(talk.description, 400)}")
        attempt = ""
        for turn in sorted(talk.turns.values(), key=lambda turn: turn.attempt):
            if turn.attempt != attempt:
                attempt = turn.attempt
                yield f"  tried again ({attempt}):"
            yield from _turn(talks, turn)
        yield from _outcome(talk)
    merged = talks.merged.get(place)
    if merged is not None:
        yield from ("", *_merge(merged, of="answers of tasks, "))


def _turn(talks: Talks, turn: Said) -> Iterator[str]:
    model = f" ({clean(turn.model)})" if turn.model else ""
    notes = [f"verdict: {turn.verdict}"] if turn.verdict else []
    if turn.draft and turn.text is not None:
        notes.append(f"draft, {count(len(turn.text.split()), 'word')}")
    noted = f" [{', '.join(notes)}]" if notes else ""
    yield f"  {clean(turn.role)}, round {turn.round}{model}{noted}:"
    if turn.replaced is not None:
        yield f"    REPLACED: {clean(turn.model)} took the turn: {one_line(turn.replaced, 400)}"
    for place in talks.within(turn):
        yield from (f"    {line}".rstrip() for line in draft_lines(talks, place))
    if turn.failure is not None:
        yield f"    FAILED: {one_line(turn.failure, 400)}"
    elif turn.text is None:
        yield "    (did not finish)"
    else:
        yield from indent(turn.text)
    if turn.better is not None:
        by = f" by {clean(turn.judge)}" if turn.judge else ""
        yield f"    REVISION {'accepted' if turn.better else 'refused: the draft before stands'}, judged{by}"


def _outcome(talk: Talk) -> Iterator[str]:
    if talk.merged is not None:
        yield from (f"  {line}" for line in _merge(talk.merged))
    if talk.answer is not None or talk.error is not None or talk.status != "unfinished":
        yield f"  answer of {talk.task}:"
        yield from indent(talk.answer or talk.error or "(none)")


def _merge(merged: Merged, of: str = "") -> Iterator[str]:
    lines = merge_lines(merged.how, merged.drafts, confidence=merged.confidence, dissent=merged.dissent)
    yield f"{of}{next(lines)}"
    yield from lines
