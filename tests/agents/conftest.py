from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.turns import Stage, open_stage


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """A new run."""
    made = open_stage(tmp_path)
    await made.run.store.create_run("r1", "crew", "goal", {})
    yield made
    made.run.store.close()
