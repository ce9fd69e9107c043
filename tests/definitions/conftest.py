from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from crewmix.definitions.project import Project

WriteProject = Callable[[Mapping[str, str]], Project]

ROLE = "role: A role\ngoal: Do it\n"


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WriteProject:
    """Writes files into a project of its own, which is the current folder."""
    monkeypatch.chdir(tmp_path)

    def write_files(files: Mapping[str, str]) -> Project:
        for name, text in {"roles/a.yaml": ROLE, "roles/b.yaml": ROLE, **files}.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return Project(tmp_path)

    return write_files
