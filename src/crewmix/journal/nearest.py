"""What a replay says about an effect that was not recorded."""

from __future__ import annotations

from typing import Any

from crewmix.errors import ReplayMissError
from crewmix.journal.rows import EffectKey
from crewmix.journal.run import Missing
from crewmix.journal.store import SqliteStore


def explain(store: SqliteStore, run_id: str) -> Missing:
    """Makes the error for what run `run_id` in `store` does not hold."""

    def missing(key: EffectKey, request: Any) -> ReplayMissError:
        return ReplayMissError(f"{key.scope}: this {key.kind} call was not recorded")

    return missing
