"""Real licence texts and the real tools for the offline model."""

from importlib.metadata import distribution
from pathlib import Path

import pytest

from crewmix.definitions.project import Project
from crewmix.knowledge.index import Index
from crewmix.tools.registry import load_tools
from support.desk import Desk

PACKAGES = {"aiohttp": "Apache-2.0", "pydantic": "MIT", "starlette": "BSD-3-Clause", "hypothesis": "MPL-2.0"}


@pytest.fixture(scope="session")
def licences(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Licence texts that installed packages ship, one file each."""
    folder = tmp_path_factory.mktemp("project") / "licences"
    folder.mkdir()
    for name, kind in PACKAGES.items():
        texts = [
            f
            for f in distribution(name).files or []
            if f.name.split(".")[0] == "LICENSE" and f.parent.name == "licenses"
        ]
        (folder / f"{name}-{kind}.txt").write_text(texts[0].read_text(encoding="utf-8"), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def desk(licences: Path) -> Desk:
    tools = load_tools(["knowledge_search", "calculate"], Project(licences.parent))
    return Desk(licences.parent, Index.open([licences], licences.parent, None), tools)
