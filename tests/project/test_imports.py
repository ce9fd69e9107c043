"""What stays light stays light: the modules a command loads, looked at in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from support.command import environment
from support.scripted_project import write_project

GOAL = "Is Lyon large enough?"
FRAMEWORKS = {"crewai", "autogen_core", "autogen_agentchat", "autogen_ext", "autogen"}
HEAVY = {
    "pydantic",
    "aiohttp",
    "rich",
    "loguru",
    "ruamel",
    "typer",
    "genai_prices",
    "trafilatura",
    "pypdfium2",
    "sqlite3",
}
DOCUMENTS = {"trafilatura", "pypdfium2", "semantic_text_splitter"}

_REPORT = """
import json, sys
before = set(sys.modules)
{work}
loaded = {{name.partition(".")[0] for name in set(sys.modules) - before}}
print("\\n" + json.dumps({{"code": code, "loaded": sorted(loaded)}}))
"""


def loaded_by(work: str, folder: Path) -> set[str]:
    """Top-level names of the modules that `work` loads; it sets `code`, which must be 0."""
    done = subprocess.run(
        [sys.executable, "-c", _REPORT.format(work=work)],
        cwd=folder, env=environment(), capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout.splitlines()[-1])
    assert report["code"] == 0, done.stdout + done.stderr
    return set(report["loaded"])


def loaded_by_command(*arguments: str, folder: Path) -> set[str]:
    return loaded_by(f"from crewmix.cli.app import run_app\ncode = run_app({arguments!r})", folder)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with one run."""
    folder = write_project(tmp_path_factory.mktemp("project"))
    (folder / "crews/wrong.yaml").unlink()
    loaded_by_command("run", "solo", GOAL, "--input", "city=Lyon", folder=folder)
    return folder


def test_import_crewmix_loads_next_to_nothing(tmp_path: Path) -> None:
    loaded = loaded_by("import crewmix\ncode = 0", tmp_path)
    assert loaded & (HEAVY | FRAMEWORKS | {"asyncio"}) == set()
    assert len(loaded) < 10


@pytest.mark.parametrize("arguments", [("--help",), ("run", "--help"), ("version",)], ids=" ".join)
def test_help_loads_typer_and_what_typer_loads(arguments: tuple[str, ...], tmp_path: Path) -> None:
    loaded = loaded_by_command(*arguments, folder=tmp_path)
    assert loaded & ((HEAVY - {"typer", "pydantic"}) | FRAMEWORKS | {"asyncio"}) == set()


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "--library"),
        ("estimate", "talk", GOAL),
        ("estimate", "research", GOAL),
        ("schema",),
        ("runs",),
        ("show", "last"),
        ("show", "last", "--events", "--drafts"),
        ("show", "last", "--cost"),
        ("replay", "last"),
        ("diff", "last", "last"),
        ("export", "last", "-o", "-"),
        ("models",),
        ("tools",),
        ("doctor",),
    ],
    ids=" ".join,
)
def test_looking_loads_no_framework(arguments: tuple[str, ...], project: Path) -> None:
    loaded = loaded_by_command(*arguments, folder=project)
    assert loaded & (FRAMEWORKS | DOCUMENTS | {"rich"}) == set()


def test_a_run_loads_only_the_framework_it_needs(project: Path) -> None:
    alone = loaded_by_command("run", "solo", GOAL, "--input", "city=Lyon", folder=project)
    assert alone & (FRAMEWORKS | DOCUMENTS | {"rich", "aiohttp"}) == set()
    talking = loaded_by_command("run", "talk", GOAL, folder=project)
    assert "crewai" not in talking
    assert "autogen_core" in talking
