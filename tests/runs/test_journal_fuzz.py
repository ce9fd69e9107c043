"""Damaged, foreign and old journals: every command says what is wrong, and what is whole can still be used."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from crewmix.definitions.project import Project
from crewmix.journal.reading import DAMAGED
from crewmix.journal.schema import VERSION
from crewmix.runs import find_run, list_runs
from support.commands_in_process import command
from support.kept_runs import GOAL, close, run_talk, tampered
from support.scripted_project import write_project

LOOKING = (
    ("runs", "--json"),
    ("show", "last", "--events", "--drafts"),
    ("show", "last", "--cost"),
    ("export", "last", "-o", "-"),
)
WORKING = (
    ("runs",),
    ("show", "last"),
    ("show", "last", "--json", "--events", "--drafts"),
    ("export", "--all", "--format", "training", "-o", "-"),
    ("replay", "last"),
    ("diff", "last", "last"),
    ("fork", "last"),
    ("resume", "last"),
    ("runs", "--prune", "--keep", "0", "--yes"),
)
NASTY: tuple[object, ...] = (
    "",
    "no json {",
    "[1, 2]",
    '"text"',
    "{}",
    '{"type": "TurnStarted", "task": 1, "role": null, "round": "x", "model": []}',
    '{"type": "Synthesised", "task": "a", "method": "m", "drafts": 1, "text": "", "ballots": [{}]}',
    '{"crew": {"roles": 1, "tasks": [2]}, "options": {"python": []}}',
    '{"code": "budget", "message": null, "hint": 1}',
    '{"calls": "x", "tokens": -1, "usd": "NaN", "by": null}',
    "[" * 20_000,
    "9" * 5_000,
    -1,
    10**15,
    1.5,
    "1e999",
    b"\xff\xfe",
    "a\x00b/../../c",
    None,
)
COLUMNS = {
    "runs": ("run_id", "crew", "goal", "definition", "status", "epoch", "created", "updated", "result", "error"),
    "effects": (
        *("run_id", "scope", "kind", "key", "occurrence", "epoch", "request", "response", "started", "finished"),
        *("task", "role", "failure", "spent"),
    ),
    "events": ("run_id", "seq", "event"),
}
NEWEST = "run_id=(select run_id from runs order by created desc limit 1)"
ONE_ROW = {"runs": "1", "effects": "scope='task.facts/chat/round.1/writer/model'", "events": "seq=5"}


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A project with two runs."""
    folder = tmp_path_factory.mktemp("kept")
    for number in range(2):
        run_talk(folder, f"Is it {number}?")
    yield Project(folder)
    close(Project(folder))


@pytest.mark.parametrize(("table", "column"), [(t, c) for t, columns in COLUMNS.items() for c in columns])
def test_a_nasty_value_in_any_column_is_told(table: str, column: str, kept: Project, tmp_path: Path) -> None:
    chosen = random.Random(f"{table}.{column}")
    for number, value in enumerate(chosen.sample(NASTY, 5)):
        with tampered(kept, tmp_path / f"{number}") as (project, db):
            try:
                where = f"{NEWEST} and {ONE_ROW[table]}"
                changed = db.execute(f"update {table} set {column}=? where {where}", (value,)).rowcount
            except sqlite3.IntegrityError:
                continue
            assert changed == 1
            for arguments in (*LOOKING, WORKING[(number + len(column)) % len(WORKING)]):
                command(*arguments, project=project.root)


def test_one_damaged_run_leaves_the_others_usable(kept: Project, tmp_path: Path) -> None:
    with tampered(kept, tmp_path / "copy") as (project, db):
        db.execute(f"update runs set definition='{{' where {NEWEST}")
        newest, other = list_runs(project)
        assert (newest.status, other.status) == (DAMAGED, "done")
        code, told = command("show", "last", project=project.root)
        assert (
            code == 1 and newest.run_id in told and "`definition` is no JSON" in told and project.database.name in told
        )
        assert command("show", other.run_id, project=project.root)[0] == 0
        assert command("resume", other.run_id, project=project.root)[0] == 0
        command("runs", "--prune", "--status", DAMAGED, "--yes", project=project.root)
        assert [row.run_id for row in list_runs(project)] == [other.run_id]


def test_a_damaged_event_is_shown_as_it_is(kept: Project, tmp_path: Path) -> None:
    with tampered(kept, tmp_path / "copy") as (project, db):
        db.execute("update events set event='not an event' where seq=4")
        code, told = command("show", "last", "--events", project=project.root)
        assert code == 0 and "not an event" in told and "(damaged, or of another version of crewmix)" in told
        db.execute("""update events set event='{"type": "Sung", "seq": 4, "song": "la"}' where seq=4""")
        code, told = command("show", "last", "--events", "--drafts", project=project.root)
        assert code == 0 and "'song': 'la'" in told


@pytest.mark.parametrize(
    "content",
    [b"", b"SQLite format 3\0", b"once upon a time\n" * 500, bytes(4096), random.Random(1).randbytes(8192)],
    ids=["empty", "header", "text", "zeros", "random"],
)
def test_a_file_that_is_no_journal_is_told(content: bytes, kept: Project, tmp_path: Path) -> None:
    for number, arguments in enumerate((*LOOKING, *WORKING)):
        project = Project(write_project(tmp_path / f"{number}"))
        project.state.mkdir()
        project.database.write_bytes(content)
        code, told = command(*arguments, project=project.root)
        if content and arguments[0] != "fork":
            assert code == 1 and str(project.database) in told
        assert not content or project.database.read_bytes() == content, "nobody overwrites what is not ours"
        close(project)


def test_a_journal_that_was_cut_off_anywhere_is_told(kept: Project, tmp_path: Path) -> None:
    with tampered(kept, tmp_path / "whole") as (project, db):
        db.execute("pragma journal_mode=delete")
    whole = project.database.read_bytes()
    chosen = random.Random(2)
    sizes = {1, 99, 100, 512, len(whole) - 1, *(chosen.randrange(len(whole)) for _ in range(12))}
    for number, size in enumerate(sorted(sizes)):
        cut = Project(write_project(tmp_path / f"{number}"))
        cut.state.mkdir()
        cut.database.write_bytes(whole[:size])
        for arguments in (*LOOKING, WORKING[number % len(WORKING)]):
            command(*arguments, project=cut.root)
        close(cut)


def test_a_journal_with_random_bytes_in_it_is_told(kept: Project, tmp_path: Path) -> None:
    with tampered(kept, tmp_path / "whole") as (project, db):
        db.execute("pragma journal_mode=delete")
    whole = project.database.read_bytes()
    for seed in range(25):
        chosen = random.Random(seed)
        spoilt = bytearray(whole)
        for _ in range(chosen.choice([1, 3, 30])):
            spoilt[chosen.randrange(len(spoilt))] = chosen.randrange(256)
        other = Project(write_project(tmp_path / f"{seed}"))
        other.state.mkdir()
        other.database.write_bytes(spoilt)
        for arguments in (*LOOKING, WORKING[seed % len(WORKING)]):
            command(*arguments, project=other.root)
        close(other)


@pytest.mark.parametrize(
    "damage",
    [
        "drop table runs",
        "drop table effects",
        "drop table events",
        "alter table runs drop column goal",
        "alter table effects drop column spent",
        "alter table events rename column event to happening",
    ],
)
def test_a_missing_table_or_column_is_told(damage: str, kept: Project, tmp_path: Path) -> None:
    for number, arguments in enumerate((*LOOKING, *WORKING)):
        with tampered(kept, tmp_path / f"{number}") as (project, db):
            db.execute(damage)
            command(*arguments, project=project.root)


def test_a_journal_of_a_later_version_is_left_alone(kept: Project, tmp_path: Path) -> None:
    for number, arguments in enumerate((*LOOKING, *WORKING)):
        with tampered(kept, tmp_path / f"{number}") as (project, db):
            db.execute(f"pragma user_version={VERSION + 1}")
            code, told = command(*arguments, project=project.root)
            assert code == 1 and f"schema {VERSION + 1}" in told and "upgrade crewmix" in told
            assert db.execute("select count(*) from runs").fetchone() == (2,)


# -- old journals ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def old(tmp_path: Path) -> Iterator[Project]:
    """A project with a journal that an earlier version wrote: a run that is done, and one that its budget ended."""
    project = Project(write_project(tmp_path / "old"))
    project.state.mkdir()
    sql = (Path(__file__).parent / "schema_1.sql").read_text(encoding="utf-8")
    with sqlite3.connect(project.database) as db:
        db.executescript(sql.replace("/project", str(project.root)))
        assert db.execute("pragma user_version").fetchone() == (1,)
    db.close()
    yield project
    close(project)


def test_a_journal_of_an_earlier_version_is_read(old: Project) -> None:
    assert [(row.crew, row.status) for row in list_runs(old)] == [("poor", "budget"), ("solo", "done")]
    for run_id in (row.run_id for row in list_runs(old)):
        code, told = command("show", run_id, "--events", "--drafts", project=old.root)
        assert code == 0 and "Lyon is large enough." in told
        code, told = command("show", run_id, "--cost", project=old.root)
        assert code == 0 and "scripted/scripts/talk.yaml" in told
    with sqlite3.connect(old.database) as db:
        assert db.execute("pragma user_version").fetchone() == (VERSION,)
    db.close()


def test_a_run_of_an_earlier_version_is_resumed_and_carried_away(old: Project, tmp_path: Path) -> None:
    poor = list_runs(old)[0]
    code, told = command("resume", poor.run_id, "--budget", "calls=9", project=old.root)
    assert code == 0, told
    assert find_run(old, poor.run_id).status == "done"
    file = tmp_path / "run.jsonl"
    assert command("export", poor.run_id, "-o", str(file), project=old.root)[0] == 0
    other = Project(write_project(tmp_path / "other"))
    assert command("import", str(file), project=other.root)[0] == 0
    assert command("replay", poor.run_id, project=other.root)[0] == 0
    close(other)


def test_an_empty_file_becomes_a_journal(tmp_path: Path) -> None:
    project = Project(write_project(tmp_path))
    project.state.mkdir()
    project.database.touch()
    assert command("runs", project=project.root) == (0, 'No runs yet. `crewmix run CREW "GOAL"` makes one.\n')
    assert run_talk(tmp_path, GOAL).kept
    assert len(list_runs(project)) == 1
    close(project)
    shutil.rmtree(project.state)
