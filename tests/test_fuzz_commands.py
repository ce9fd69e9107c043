"""Whatever is typed after `crewmix`, it does something, or says what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crewmix.cli.app import app
from support.fuzz import command
from support.scripted_project import write_project

COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]
GOOD = [
    "talk",
    "solo",
    "wrong",
    "nobody",
    "Why?",
    "last",
    "-",
    "2026",
    "default=scripted/scripts/talk.yaml",
    "city=Lyon",
]
GOOD += [
    "calls=3",
    "usd=0.1",
    "tokens=5",
    "seconds=9",
    "calls=+2",
    "crews",
    "crews/talk.yaml",
    "roles/writer.yaml",
    "scripts",
]
ODD = [
    "",
    " ",
    "--",
    "-x",
    "--nothing",
    "=",
    "a=",
    "=b",
    "calls=",
    "calls=-1",
    "calls=x",
    "usd=1e999",
    "usd=nan",
    "usd=inf",
]
ODD += [
    "tokens=1.5",
    "seconds=0",
    "calls=9" * 9,
    "default=",
    "default=auto",
    "default=x/y",
    "default=openai/x@http://",
    "x=offline",
]
ODD += [
    "no/such/file",
    "crews/none.yaml",
    "%",
    "_",
    "*",
    "é𝔘\u202e",
    "\udcff\udcfe",
    "\x1b[2J",
    "'; drop table runs; --",
    "a" * 5000,
]
ODD += [
    "../out",
    "-1",
    "0",
    "999999999999999999999",
    "1e5",
    "NaN",
    "null",
    "{}",
    "[",
    "30d",
    "-1d",
    "9999999d",
    "roles.writer.llm=x",
]
BASE = {
    **{name: ["last"] for name in ("show", "resume", "replay", "fork", "export", "answer")},
    **{name: ["talk", "Why?"] for name in ("run", "estimate")},
    "diff": ["last", "last"],
    "import": ["run.jsonl"],
    "init": ["new"],
}
"""Words with which a command works; odd ones come behind them."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = write_project(tmp_path_factory.mktemp("fuzz") / "project")
    (place / "crews/slow.yaml").unlink()
    command(["run", "talk", "Why?"], place)
    assert command(["export", "last", "-o", "run.jsonl"], place).code == 0
    return place


@pytest.fixture(scope="module", autouse=True)
def no_keys() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CREWMIX_MODEL", "offline/extractive")
        yield


def words(name: str) -> st.SearchStrategy[list[str]]:
    """Arguments for a command: its own options, with values or without, and words."""
    options = [option for each in COMMANDS[name].params for option in each.opts if option.startswith("-")]
    word = st.one_of(st.sampled_from(GOOD), st.sampled_from(ODD), st.text(st.characters(codec="utf-8"), max_size=12))
    word = word.filter(lambda text: "\0" not in text and not text.startswith("/"))
    option = st.sampled_from([*options, "--json"])
    with_value = st.tuples(option, word).map(list)
    joined = st.tuples(option, word).map(lambda pair: ["=".join(pair)])
    part = st.one_of(word.map(lambda text: [text]), option.map(lambda text: [text]), with_value, with_value, joined)
    more = st.lists(part, max_size=3).map(lambda parts: [text for part in parts for text in part])
    return st.tuples(st.sampled_from([BASE.get(name, []), BASE.get(name, []), []]), more).map(
        lambda both: [*both[0], *both[1]]
    )


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_no_arguments_break_a_command(name: str, folder: Path) -> None:
    @settings(
        max_examples=35,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(words(name), st.sampled_from(["", "y\n", "What is it?\n", "\x00\n"]))
    def attempt(arguments: list[str], stdin: str) -> None:
        command([name, *arguments], folder, stdin)

    attempt()


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--help"],
        ["-h"],
        ["--version"],
        ["nothing"],
        ["--", "run"],
        ["run", "run", "run"],
        ["models", "--project", "a" * 5000],
    ],
)
def test_odd_command_lines(arguments: list[str], folder: Path) -> None:
    command(arguments, folder)
