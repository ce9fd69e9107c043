"""The commands around a run: what is there, what was there, what is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.command import crewmix
from support.provider import Provider
from support.scripted_project import write_project

GOAL = "Is Lyon large enough?"


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a finished run and a failed one; tests only look at it."""
    project = write_project(tmp_path_factory.mktemp("ran"))
    crewmix("run", "talk", GOAL, "-q", cwd=project)
    crewmix("run", "broken", GOAL, "-q", cwd=project, check=1)
    return project


def test_runs_lists_the_newest_first(ran: Path) -> None:
    lines = crewmix("runs", cwd=ran).stdout.splitlines()
    assert [line.split()[3] for line in lines] == ["failed", "done"]
    assert lines[1].endswith("talk: Is Lyon large enough?")
    assert len(crewmix("runs", "-n", "1", cwd=ran).stdout.splitlines()) == 1
    rows = json.loads(crewmix("runs", "--json", cwd=ran).stdout)
    assert [(row["status"], row["calls"]) for row in rows] == [("failed", None), ("done", 6)]
    assert rows[0]["cost"] is None
    assert float(rows[1]["cost"]) == 0


def test_runs_of_a_new_project(tmp_path: Path) -> None:
    assert crewmix("runs", cwd=tmp_path).stdout.startswith("No runs yet.")
    assert json.loads(crewmix("runs", "--json", cwd=tmp_path).stdout) == []
    assert not (tmp_path / ".crewmix").exists()


def test_show_tells_what_a_run_came_to(ran: Path) -> None:
    run_id = json.loads(crewmix("runs", "--json", cwd=ran).stdout)[1]["run_id"]
    shown = crewmix("show", run_id, cwd=ran).stdout
    assert shown.startswith(f"Run {run_id}, ")
    assert "\nLyon has 520,774 people, which is enough.\n" in shown
    assert "Status: done" in shown
    drafts = crewmix("show", run_id, "--drafts", cwd=ran).stdout
    assert "Task verdict (done): Judge them." in drafts
    assert "  critic, round 2 (scripted/scripts/talk.yaml) [verdict: approve]:\n    Nothing is missing." in drafts
    events = crewmix("show", run_id, "--events", cwd=ran).stdout
    assert "writer called scripted/scripts/talk.yaml to speak: " in events
    assert "\x1b" not in drafts + events
    data = json.loads(crewmix("show", run_id, "--json", "--events", cwd=ran).stdout)
    assert data["result"]["output"] == "Lyon has 520,774 people, which is enough."
    assert data["events"][0]["type"] == "RunStarted"


def test_show_of_a_failed_run_says_why(ran: Path) -> None:
    shown = crewmix("show", "last", cwd=ran).stdout
    assert "It has no result: no task has an answer" in shown
    assert "crewmix resume" in shown


def test_check_finds_all_mistakes_at_once(project: Path) -> None:
    done = crewmix("check", cwd=project, check=2)
    assert "crews/wrong.yaml:1:1: unknown key `rolls`" in done.stdout
    assert "crews/wrong.yaml:2:9: there is no role `writter`" in done.stdout
    assert done.stdout.endswith("2 mistakes found\n")
    data = json.loads(crewmix("check", "--json", cwd=project, check=2).stdout)
    assert [(p["line"], p["column"]) for p in data["problems"]] == [(1, 1), (2, 9)]


def test_check_of_what_is_right(project: Path) -> None:
    assert crewmix("check", "talk", "research", cwd=project).stdout == "No mistakes in talk, research.\n"
    assert json.loads(crewmix("check", "talk", "--json", cwd=project).stdout) == {"ok": True, "problems": []}
    (project / "crews/wrong.yaml").unlink()
    assert crewmix("check", cwd=project).stdout.startswith("No mistakes in 6 crews, 3 roles, 0 tasks")


def test_check_of_a_crew_that_does_not_exist(project: Path) -> None:
    assert "did you mean `talk`?" in crewmix("check", "tolk", cwd=project, check=2).stderr


def test_estimate_counts_before_anything_is_paid(project: Path) -> None:
    text = crewmix("estimate", "talk", GOAL, cwd=project).stdout
    assert "worst case" in text
    data = json.loads(crewmix("estimate", "talk", GOAL, "--json", cwd=project).stdout)
    assert 0 < data["expected"]["calls"] <= data["worst"]["calls"]


def test_models_says_what_serves_and_why(project: Path) -> None:
    with Provider() as provider:
        env = {"CREWMIX_MODEL": "", "OPENAI_BASE_URL": provider.url, "OPENAI_MODEL": "tiny", "OPENAI_API_KEY": "k" * 20}
        done = crewmix("models", cwd=project, env=env)
        data = json.loads(crewmix("models", "--json", cwd=project, env=env).stdout)
    assert done.stdout == "model default: openai/tiny (OPENAI_BASE_URL is set)\n"
    assert data["default"]["why"] == "OPENAI_BASE_URL is set"
    assert "k" * 20 not in str(data)
    assert provider.calls == 0
    assert "scripted/scripts/talk.yaml" in crewmix("models", "talk", cwd=project).stdout


def test_tools_lists_what_roles_can_be_given(project: Path) -> None:
    (project / "tools").mkdir()
    (project / "tools/own.py").write_text(
        'from crewmix import tool\n\n\n@tool\ndef double(x: int) -> int:\n    """Twice as much."""\n    return 2 * x\n'
    )
    assert "double\n    [read] Twice as much." in crewmix("tools", cwd=project).stdout
    names = [tool["name"] for tool in json.loads(crewmix("tools", "--json", cwd=project).stdout)]
    assert {"double", "knowledge_search", "calculate"} <= set(names)


def test_doctor_looks_at_everything_and_shows_no_key(project: Path) -> None:
    (project / "crews/wrong.yaml").unlink()
    done = crewmix("doctor", cwd=project, env={"MISTRAL_API_KEY": "sesame-open-sesame-open"})
    for what in ("python", "packages", "project", "files", "keys", "servers", "model", "journal", "sandbox"):
        assert f" {what} " in done.stdout
    assert "set: MISTRAL_API_KEY" in done.stdout
    assert "sesame" not in done.stdout
    assert not (project / ".crewmix").exists()


def test_doctor_says_what_is_wrong(project: Path) -> None:
    found = json.loads(crewmix("doctor", "--json", cwd=project, check=1).stdout)
    assert {f["what"]: f["ok"] for f in found}["files"] is False
    done = crewmix("doctor", cwd=project, env={"CREWMIX_MODEL": "nobody/nothing"}, check=1)
    assert "BAD model " in done.stdout
    assert "unknown model provider 'nobody'" in done.stdout


def test_schema_writes_what_editors_read(project: Path) -> None:
    paths = crewmix("schema", cwd=project).stdout.splitlines()
    assert [Path(path).name for path in paths] == ["crew.schema.json", "role.schema.json", "task.schema.json"]
    assert "roles" in json.loads(Path(paths[0]).read_text())["properties"]
    (project / "file").touch()
    assert "file/x cannot be written: Not a directory" in crewmix("schema", "file/x", cwd=project, check=2).stderr


def test_nothing_offers_to_look_up_a_run_that_was_not_kept(tmp_path: Path) -> None:
    (tmp_path / "crews").mkdir()
    (tmp_path / ".crewmix").touch()
    done = crewmix("run", "summarise", "What is it?", cwd=tmp_path)
    assert "this run is kept in memory only" in done.stdout
    assert "crewmix show" not in done.stdout
    assert "CANNOT be written" in crewmix("doctor", cwd=tmp_path, check=1).stdout


def test_init_starts_a_project_that_works(tmp_path: Path) -> None:
    done = crewmix("init", "mine", cwd=tmp_path)
    assert "Next: cd mine && crewmix check" in done.stdout
    crew = done.stdout.rpartition("crewmix run ")[2].split()[0]
    assert "No mistakes" in crewmix("check", cwd=tmp_path / "mine").stdout
    again = crewmix("init", "mine", cwd=tmp_path, check=2)
    assert "mine already has crews/" in again.stderr
    assert (tmp_path / "mine/crews" / f"{crew}.yaml").is_file()


def test_init_from_crewai_says_what_was_lost(tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.mkdir()
    (old / "agents.yaml").write_text(
        "analyst:\n  role: Analyst of {topic}\n  goal: Find out.\n  backstory: None.\n  memory: true\n"
    )
    (old / "tasks.yaml").write_text(
        "look:\n  description: Look at {topic}.\n  expected_output: Words.\n  agent: analyst\n"
    )
    done = crewmix("init", "new", "--from-crewai", "old", cwd=tmp_path)
    assert "not carried over: " in done.stdout
    assert "agents.yaml:5:" in done.stdout
    assert "No mistakes" in crewmix("check", cwd=tmp_path / "new").stdout
    assert "no agents.yaml" in crewmix("init", "x", "--from-crewai", "new", cwd=tmp_path, check=2).stderr


def test_version(tmp_path: Path) -> None:
    from crewmix import __version__

    assert crewmix("version", cwd=tmp_path).stdout == f"crewmix {__version__}\n"
    assert json.loads(crewmix("version", "--json", cwd=tmp_path).stdout) == {"version": __version__}
