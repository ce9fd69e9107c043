"""Whatever stands in a project's files, `crewmix` says what is wrong with it, or works."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest

from support.fuzz import command, mutated_bytes, mutated_text
from support.scripted_project import write_project

LIBRARY = Path(__file__).resolve().parents[1]
FILES = sorted(path for kind in ("crews", "roles", "tasks") for path in (LIBRARY / kind).glob("*.yaml"))
ROUNDS = 5
"""Mutations of each file."""


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREWMIX_MODEL", "offline/extractive")


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_mutated_library_file_is_checked_in_order(path: Path, tmp_path: Path) -> None:
    target = tmp_path / path.parent.name / path.name
    target.parent.mkdir()
    text = path.read_text(encoding="utf-8")
    for number in range(ROUNDS):
        draw = random.Random(f"{path.name}/{number}")
        if number % 3:
            target.write_text(mutated_text(text, draw), encoding="utf-8", errors="replace", newline="")
        else:
            target.write_bytes(mutated_bytes(text.encode(), draw))
        said = command(["check"], tmp_path)
        assert said.code in {0, 2}
        if said.code:
            assert re.search(r"(?m)^\S+\.yaml(:\d+:\d+)?: ", said.stdout), said.stdout
        assert command(["check", "--json"], tmp_path).code == said.code


@pytest.mark.parametrize("number", range(30))
def test_a_mutated_project_is_estimated_and_run_in_order(number: int, tmp_path: Path) -> None:
    folder = write_project(tmp_path / "project")
    draw = random.Random(number)
    files = [
        folder / "crews/solo.yaml",
        folder / "roles/writer.yaml",
        folder / "scripts/talk.yaml",
        folder / "crews/talk.yaml",
    ]
    for path in draw.sample(files, draw.choice([1, 1, 2])):
        path.write_text(
            mutated_text(path.read_text(encoding="utf-8"), draw), encoding="utf-8", errors="replace", newline=""
        )
    command(["estimate", "talk", "Why?"], folder)
    command(["run", "talk", "Why?", *draw.choice([[], ["--json"], ["-q"]])], folder)
    command(["run", "solo", "Why?", "--input", "city=Lyon"], folder)
    command(["show", "last"], folder)
