"""What a replay says of a call that was not recorded: which recording is nearest, and where the two begin to differ."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from crewmix.errors import CrewmixError, ReplayMissError
from crewmix.journal.rows import EffectKey, Recording
from crewmix.journal.run import Json, Missing, canonical
from crewmix.journal.store import SqliteStore

AROUND = 60
"""Characters shown on each side of the first that differs."""
_COMPARED = 20_000
"""Characters of a request that are looked at to find out how alike two are."""
_CANDIDATES = 200
"""The most recordings that are compared."""


def explain(store: SqliteStore, run_id: str) -> Missing:
    """What makes the error for an effect that a replay of a run does not find.

    Args:
        store: Where the run's effects are.
        run_id: The run that is replayed.
    """

    def missing(key: EffectKey, request: Json) -> CrewmixError:
        recordings = [r for r in store.recordings(run_id) if r.key.kind == key.kind]
        what = f"the {key.kind} effect at {key.scope}"
        if any(r.key == key for r in recordings):
            return ReplayMissError(
                f"the recording of run {run_id} ends here: {what} was begun, but never answered",
                hint=f"`crewmix resume {run_id}` goes on with it",
            )
        hint = "a definition, document or tool is not as it was; `crewmix fork` pays for what is asked anew"
        nearest = _nearest(store, run_id, key, request, recordings)
        if nearest is None:
            text = f"run {run_id} holds no answer for {what}, and no {key.kind} effect at all"
            return ReplayMissError(text, hint=hint)
        recording, asked = nearest
        there = "the same place" if recording.key.scope == key.scope else recording.key.scope
        lines = [f"run {run_id} holds no answer for {what}", f"  nearest recording: {there}"]
        found = first_difference(asked, json.loads(canonical(request)))
        if found is None:
            lines.append(f"  it asked the same, but here it is asked {key.occurrence} times")
        else:
            path, before, now = found
            lines += [f"  first difference at {path}:", f"    recorded: {before}", f"    asked:    {now}"]
        return ReplayMissError("\n".join(lines), hint=hint)

    return missing


def _nearest(
    store: SqliteStore, run_id: str, key: EffectKey, request: Json, recordings: Sequence[Recording]
) -> tuple[Recording, Any] | None:
    """A recording and its request: of the same place, else of the same role, else any; of several the most alike."""
    role = key.scope.rpartition("/")[0].rpartition("/")[2]
    here = [r for r in recordings if r.key.scope == key.scope]
    candidates = here or [r for r in recordings if r.role and r.role == role] or list(recordings)
    wanted = canonical(request)
    best: tuple[float, Recording, Any] | None = None
    for recording in candidates[:_CANDIDATES]:
        text = store.request(run_id, recording.key)
        alike = likeness(text, wanted)
        if best is None or alike > best[0]:
            best = (alike, recording, json.loads(text))
    return None if best is None else (best[1], best[2])


def likeness(one: str, other: str) -> float:
    """How alike two texts are, 0 to 1: what they share at both ends counts in full, the words between by chance."""
    one, other = one[:_COMPARED], other[:_COMPARED]
    start = _shared(one, other)
    end = _shared(one[start:][::-1], other[start:][::-1])
    middle = difflib.SequenceMatcher(
        None, one[start : len(one) - end].split(), other[start : len(other) - end].split(), autojunk=False
    )
    longest = max(len(one), len(other)) or 1
    return (start + end) / longest + middle.quick_ratio() * (1 - (start + end) / longest)


def _shared(one: str, other: str) -> int:
    """How many characters two texts share at their start."""
    shortest = min(len(one), len(other))
    low, high = 0, shortest
    while low < high:
        middle = (low + high + 1) // 2
        if one[:middle] == other[:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def first_difference(before: Any, now: Any) -> tuple[str, str, str] | None:
    """Where two pieces of JSON-able data first differ.

    Returns:
        The JSON path (`$.messages[1].content`) and both values there, of long texts what is around the first character that
        differs; None when they are equal.
    """
    return next(_differences(before, now, "$"), None)


def _differences(before: Any, now: Any, path: str) -> Iterator[tuple[str, str, str]]:
    if before == now:
        return
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        yield from _in_fields(cast(Mapping[str, Any], before), cast(Mapping[str, Any], now), path)
    elif isinstance(before, list) and isinstance(now, list):
        yield from _in_items(cast(list[Any], before), cast(list[Any], now), path)
    elif isinstance(before, str) and isinstance(now, str):
        at = _shared(before, now)
        yield path, _around(before, at), _around(now, at)
    else:
        yield path, _shown(before), _shown(now)


def _in_fields(before: Mapping[str, Any], now: Mapping[str, Any], path: str) -> Iterator[tuple[str, str, str]]:
    for name in sorted({*before, *now}):
        if name not in before or name not in now:
            old, new = (_shown(side[name]) if name in side else "nothing" for side in (before, now))
            yield f"{path}.{name}", old, new
        else:
            yield from _differences(before[name], now[name], f"{path}.{name}")


def _in_items(before: list[Any], now: list[Any], path: str) -> Iterator[tuple[str, str, str]]:
    for place, (old, new) in enumerate(zip(before, now, strict=False)):
        yield from _differences(old, new, f"{path}[{place}]")
    if len(before) != len(now):
        place = min(len(before), len(now))
        old, new = (_shown(side[place]) if place < len(side) else "nothing" for side in (before, now))
        yield f"{path}[{place}]", old, new


def _around(text: str, at: int) -> str:
    start, end = max(0, at - AROUND), at + AROUND
    shown = json.dumps(text[start:end], ensure_ascii=False)
    return f"{'…' if start else ''}{shown}{'…' if end < len(text) else ''}"


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 2 * AROUND else f"{text[: 2 * AROUND]}…"
