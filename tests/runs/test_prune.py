"""Runs that are no longer wanted are deleted, and only those."""

import json

import pytest

from crewmix.cli.app import run_app
from crewmix.definitions.project import Project
from crewmix.errors import UsageError
from crewmix.journal.lock import lock_run, release_run
from crewmix.journal.open import open_store
from crewmix.runs import find_run, list_runs
from crewmix.runs.prune import prunable_runs, prune_runs
from support.kept_runs import close, run_talk

DAY = 86_400


@pytest.fixture
def project(tmp_path):
    """Five runs, the first 50 days old and failed, the second 20 days old; the last one waits for a person."""
    ids = [run_talk(tmp_path, f"Is it {number}?").run_id for number in range(5)]
    project = Project(tmp_path)
    changes = [
        (
            "update runs set updated=updated-?, created=created-?, status='failed' where run_id=?",
            (50 * DAY, 50 * DAY, ids[0]),
        ),
        ("update runs set updated=updated-?, created=created-? where run_id=?", (20 * DAY, 20 * DAY, ids[1])),
        ("update runs set status='waiting' where run_id=?", (ids[4],)),
    ]
    for sql, values in changes:
        open_store(project.database).submit(lambda db, sql=sql, values=values: db.execute(sql, values)).result()
    yield project
    close(project)


def goals(project: Project, **wish) -> list[str]:
    return [run.row.goal for run in prunable_runs(project, **wish)]


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        ({}, [3, 2, 1, 0]),
        ({"keep": 2}, [2, 1, 0]),
        ({"keep": 9}, []),
        ({"older_than": 30 * DAY}, [0]),
        ({"older_than": 10 * DAY}, [1, 0]),
        ({"older_than": 10 * DAY, "keep": 4}, [0]),
        ({"status": ["failed"]}, [0]),
        ({"status": ["failed"], "older_than": 60 * DAY}, []),
        ({"status": ["waiting"]}, [4]),
        ({"status": ["running"]}, []),
    ],
)
def test_what_is_deleted_fits_all_that_was_said(wish, expected, project):
    assert goals(project, **wish) == [f"Is it {number}?" for number in expected]


def test_deleted_runs_leave_nothing_behind_and_the_others_are_whole(project):
    left = find_run(project, "last")
    pruned = prune_runs(project, prunable_runs(project))
    assert len(pruned.runs) == 4 and all(run.size > 5_000 for run in pruned.runs)
    assert list_runs(project) == [left]
    store = open_store(project.database)
    for table in ("runs", "effects", "events"):
        assert store.read(f"select distinct run_id from {table}") == [(left.run_id,)]
    assert len(store.recordings(left.run_id)) == 6


def test_the_file_becomes_smaller(project):
    store = open_store(project.database)
    text = "x" * 2_000_000
    store.submit(lambda db: db.execute("update runs set goal=? where status='failed'", (text,))).result()
    run_talk(project.root)
    (failed,) = prunable_runs(project, status=["failed"])
    assert failed.size > 2_000_000
    pruned = prune_runs(project, [failed])
    assert pruned.freed > 1_900_000
    assert project.database.stat().st_size < 500_000
    assert run_talk(project.root).status == "done", "the journal is in use as before"


def test_a_run_that_somebody_works_on_stays(project):
    row = find_run(project, "last")
    open_store(project.database).submit(lambda db: db.execute("update runs set status='running'")).result()
    lock = lock_run(project.state, row.run_id)
    try:
        assert len(goals(project)) == 4, "the interrupted ones"
        assert goals(project, status=["interrupted"]) == goals(project)
        store = open_store(project.database)
        late = prunable_runs(project, status=["running", "interrupted"])
    finally:
        release_run(lock)
    taken = lock_run(project.state, late[0].row.run_id)
    try:
        assert late[0].row.run_id not in [run.row.run_id for run in prune_runs(project, late).runs]
    finally:
        release_run(taken)
    assert {row for (row,) in store.read("select run_id from runs")} == {row.run_id, late[0].row.run_id}


def test_a_run_that_was_deleted_cannot_be_found(project):
    rows = list_runs(project)
    prune_runs(project, prunable_runs(project, status=["failed"]))
    with pytest.raises(Exception, match="no run matches"):
        find_run(project, rows[-1].run_id)
    assert not any((project.state / "locks").iterdir())


# -- the command -----------------------------------------------------------------------------------------------------------


def cli(project, *arguments, code=0):
    assert run_app(["runs", "--prune", *arguments, "--project", str(project.root)]) == code


def test_a_dry_run_deletes_nothing(project, capsys):
    cli(project, "--older-than", "10d", "--dry-run")
    shown = capsys.readouterr().out
    assert "Is it 0?" in shown and "Is it 1?" in shown and "Is it 2?" not in shown and "Would delete 2 runs" in shown
    assert len(list_runs(project)) == 5


def test_yes_deletes_and_says_what_and_how_much(project, capsys):
    cli(project, "--keep", "1", "--yes")
    shown = capsys.readouterr().out
    assert "Deleted 4 runs" in shown and "kB" in shown
    assert [row.status for row in list_runs(project)] == ["waiting"]


def test_a_program_gets_json(project, capsys):
    cli(project, "--status", "failed", "--json", "--dry-run")
    data = json.loads(capsys.readouterr().out)
    assert [run["status"] for run in data["runs"]] == ["failed"] and not data["deleted"]
    cli(project, "--status", "failed", "--json", "--yes")
    assert json.loads(capsys.readouterr().out)["deleted"]
    cli(project, "--status", "failed", "--json", "--yes")
    assert json.loads(capsys.readouterr().out)["runs"] == []


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "does not say which runs"),
        (("--older-than", "soon"), "is no age"),
        (("--status", "fialed"), "did you mean `failed`"),
        (("--keep", "0"), "nobody can be asked"),
    ],
)
def test_nothing_is_deleted_by_mistake(arguments, told, project, capsys):
    cli(project, *arguments, code=2)
    assert told in capsys.readouterr().err
    assert len(list_runs(project)) == 5


def test_options_of_prune_alone_are_a_mistake(project, capsys):
    assert run_app(["runs", "--keep", "1", "--project", str(project.root)]) == 2
    assert "go with --prune" in capsys.readouterr().err


@pytest.mark.parametrize(("answer", "left"), [("y\n", 4), ("n\n", 5), ("", 5)])
def test_a_person_is_asked(answer, left, project, capsys, monkeypatch):
    class Terminal:
        def isatty(self):
            return True

        def readline(self):
            return answer

    monkeypatch.setattr("sys.stdin", Terminal())
    cli(project, "--status", "failed", code=0 if left == 4 else 1)
    assert "Delete 1 run, " in capsys.readouterr().err
    assert len(list_runs(project)) == left


def test_an_empty_project_has_nothing_to_delete(tmp_path, capsys):
    cli(Project(tmp_path), "--keep", "0")
    assert "no such run" in capsys.readouterr().out


def test_ages_are_read():
    from crewmix.cli.pruning import read_age

    assert [read_age(text) for text in ("30d", "12h", "45m", "9s", "2w")] == [30 * DAY, 43_200, 2_700, 9, 14 * DAY]
    for wrong in ("", "d", "1", "-1d", "1.5d", "1y", "٣d"):
        with pytest.raises(UsageError, match="is no age"):
            read_age(wrong)
