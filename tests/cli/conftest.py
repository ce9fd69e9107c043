"""What the tests of the command share."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.scripted_project import write_project


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project whose crews are played by scripts."""
    return write_project(tmp_path)
