"""A run with a real journal file, taken up as often as a test likes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from crewmix.journal.redact import Redactor
from crewmix.journal.run import Run
from crewmix.journal.scope import Scope
from crewmix.journal.store import SqliteStore
from crewmix.tools.base import ToolContext
from support.tool_session import Session, Start


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    """Start the run; called again, resume it as another process would, from the same file."""
    stores: list[SqliteStore] = []
    epoch = 0

    async def begin(secrets: tuple[str, ...] = (), **options: object) -> Session:
        nonlocal epoch
        epoch += 1
        stores.append(store := SqliteStore(tmp_path / "journal.db"))
        if epoch == 1:
            await store.create_run("r1", "crew", "goal", {})
        else:
            assert await store.claim("r1") == epoch
        run = Run("r1", store, epoch, Redactor(secrets))
        context = ToolContext(Scope(run, "task.1/turn", role="coder"), tmp_path, **options)  # type: ignore[arg-type]
        session = Session(context)
        run.listen(session.events.append)
        return session

    yield begin
    for store in stores:
        store.close()
