"""Every code block and command of README.md and docs/ works, on a machine without a key or a network."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from support.command import REPOSITORY
from support.pages import blocks, commands, first_missing, follow

PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_what_the_page_says_works(page: Path, tmp_path: Path) -> None:
    follow(page, tmp_path)


def test_there_is_something_to_follow() -> None:
    assert len(blocks((REPOSITORY / "README.md").read_text(encoding="utf-8"))) >= 3


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_make_targets_of_the_page_exist(page: Path) -> None:
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"^(?:\$ | {4})make ([a-z]+)", page.read_text(encoding="utf-8"), re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"there is no `make {target}`"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_of_the_page_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        path, _, anchor = link.partition("#")
        if link.startswith("http"):
            continue
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.name}: {link}"
        if anchor:
            headings = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            anchors = {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}
            assert anchor in anchors, f"{page.name}: {link}"


def test_a_block_that_does_not_work_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    for text in (
        "```python\nraise SystemExit(1)\n```\n",
        "```console\n$ python -c 'print(1)'\n2\n```\n",
        "```console\n$ python -c 'exit(2)'\n```\n",
    ):
        page.write_text(text, encoding="utf-8")
        with pytest.raises(AssertionError):
            follow(page, tmp_path)


def test_a_page_is_followed_from_top_to_bottom(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "```yaml\n# a/b.yaml\nx: 1\n```\n"
        "```python\n# tools/t.py\nopen('made', 'w').write(open('a/b.yaml').read())\n```\n"
        "```console\n$ cat made\n# a/b.yaml\nx: …\n$ false  # exit 1\n$ make nothing\n```\n"
        "```\nnot run\n```\n",
        encoding="utf-8",
    )
    assert follow(page, tmp_path) == 3


def test_shown_output_is_held_against_the_real_one() -> None:
    printed = "run 7\nmodel   default: offline\n\nthe answer\n"
    assert first_missing(("run …", "model default: ...", "the answer"), printed) is None
    assert first_missing(("the answer", "run 7"), printed) == "run 7"
    assert first_missing(("run",), printed) == "run"


def test_exit_codes_are_read() -> None:
    assert [(c.text, c.code) for c in commands("$ a b # exit 2\nout\n$ c # d\n")] == [("a b", 2), ("c # d", 0)]
