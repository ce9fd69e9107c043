"""Habits that keep the code readable and the project honest."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

import crewmix
from support.command import REPOSITORY

SOURCES = [*(REPOSITORY / "src").rglob("*.py"), *(REPOSITORY / "tools").rglob("*.py")]


def tracked() -> list[Path]:
    """The files of the repository: committed or about to be."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    return [path for name in listed.stdout.split("\0") if name and (path := REPOSITORY / name).is_file()]


def test_no_file_is_too_long_to_read() -> None:
    too_big = {str(f.relative_to(REPOSITORY)): size for f in SOURCES if (size := f.stat().st_size) > 25_000}
    assert not too_big


def test_nine_of_ten_files_are_short() -> None:
    sizes = sorted(f.stat().st_size for f in SOURCES)
    assert sizes[int(len(sizes) * 0.9)] <= 12_000


def test_public_names_are_sorted_and_there() -> None:
    assert crewmix.__all__ == sorted(crewmix.__all__)
    for name in crewmix.__all__:
        value = getattr(crewmix, name)
        assert getattr(value, "__doc__", None), f"crewmix.{name} has no docstring"
    assert set(crewmix.__all__) <= set(dir(crewmix))


def test_a_wrong_public_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="Krew"):
        _ = crewmix.Krew


def test_the_version_is_the_packages() -> None:
    declared = re.search(
        r'^version = "(.+)"$', (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert declared is not None
    assert declared[1] == crewmix.__version__
    assert f"## {crewmix.__version__}" in (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8")


# Written in two parts, so that this file does not contain what it looks for.
FORBIDDEN = [
    *(a + b for a, b in (("pypi", ".org"), ("python", "hosted.org"), ("registry.npm", "js.org"), ("--index", "-url"))),
    *(
        a + b
        for a, b in (("--extra-index", "-url"), ("--find", "-links"), ("file:", "///"), ("/opt", "/"), ("/root", "/"))
    ),
]


def test_no_tracked_file_names_a_package_registry_or_a_machine() -> None:
    found: list[str] = []
    for path in tracked():
        text = path.read_bytes().decode("utf-8", errors="replace")
        found += [f"{path.relative_to(REPOSITORY)}: {word}" for word in FORBIDDEN if word in text]
    assert not found


def test_the_lock_holds_every_requirement_with_hashes() -> None:
    lock = (REPOSITORY / "requirements.lock").read_text(encoding="utf-8")
    entries = re.split(r"\n(?=\S)", lock.strip())
    unhashed = [entry.splitlines()[0] for entry in entries if "--hash=sha256:" not in entry]
    assert not unhashed
    locked = {re.split(r"[=\[ ]", entry)[0] for entry in entries}
    project = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    wanted = re.findall(r'^    "([A-Za-z0-9._-]+)[\[=><]', project, re.MULTILINE)
    assert len(wanted) > 15
    assert not {re.sub(r"[._-]+", "-", name).lower() for name in wanted} - locked


def test_every_make_target_is_explained() -> None:
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    phony = re.search(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)
    assert phony is not None
    explained = set(re.findall(r"^([a-z]+):.*## ", makefile, re.MULTILINE))
    assert set(phony[1].split()) == explained
