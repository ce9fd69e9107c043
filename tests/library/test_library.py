"""The built-in crews, roles and tasks: what people read first and copy."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from crewmix import Crew
from crewmix.definitions.load import check_project, load_crew
from crewmix.definitions.project import Project
from crewmix.definitions.spec import Role

ROOT = Path(__file__).parents[2]
CREWS = sorted((ROOT / "crews").glob("*.yaml"))
ROLES = sorted((ROOT / "roles").glob("*.yaml"))
TASKS = sorted((ROOT / "tasks").glob("*.yaml"))
ALWAYS_THERE = {"planner", "synthesizer", "judge"}
FLUFF = re.compile(
    r"world[- ]class|renowned|seasoned|cutting[- ]edge|passionate|expert in|years of experience|leverage|delve",
    re.IGNORECASE,
)


def stem(path: Path) -> str:
    return path.stem


@pytest.fixture
def empty_project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def members(name: str, project: Project) -> set[str]:
    crew = load_crew(name, project)
    return {role.name for role in (*crew.roles, crew.planner, crew.synthesizer, crew.judge)}


def test_the_library_has_no_mistakes():
    assert check_project(Project(ROOT)) == []


@pytest.mark.parametrize("path", CREWS, ids=stem)
def test_a_crew_loads_by_name_from_any_project(path: Path, empty_project: Project):
    crew = load_crew(path.stem, empty_project)
    assert crew.name == path.stem
    assert crew.description.endswith(".")
    assert crew.budget is not None
    assert None not in (crew.budget.usd, crew.budget.calls, crew.budget.tokens, crew.budget.seconds)


@pytest.mark.parametrize("path", CREWS, ids=stem)
def test_a_crew_runs_without_any_input_but_the_goal(path: Path, empty_project: Project):
    assert None not in load_crew(path.stem, empty_project).inputs.values()


@pytest.mark.parametrize("path", CREWS, ids=stem)
def test_a_crew_has_somebody_who_drafts_in_every_task(path: Path, empty_project: Project):
    crew = load_crew(path.stem, empty_project)
    drafters = {role.name for role in crew.roles if not role.approves}
    assert drafters
    for task in crew.tasks:
        assert not task.roles or drafters & set(task.roles), task.id


@pytest.mark.parametrize("path", CREWS, ids=stem)
def test_a_crew_file_says_who_speaks_what_it_costs_and_where_the_idea_comes_from(path: Path):
    comment = "".join(line for line in path.read_text(encoding="utf-8").splitlines(True) if line.startswith("#"))
    for wanted in ("Who speaks when:", "Calls:", "Idea:"):
        assert wanted in comment, f"{path.name} lacks `{wanted}`"
    assert path.read_text(encoding="utf-8").startswith("# ")


@pytest.mark.parametrize("path", CREWS, ids=stem)
def test_the_calls_a_crew_file_promises_are_those_of_the_estimate(path: Path, tmp_path: Path):
    promised = re.search(r"^# Calls: (\d+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    assert promised
    crew = Crew.load(path.stem, project=tmp_path, models={"default": "offline/extractive"})
    estimate = crew.estimate("What is it?")
    assert estimate.expected.calls == int(promised[1])
    assert estimate.expected.calls <= estimate.budget["calls"]


@pytest.mark.parametrize("path", [*ROLES, *TASKS], ids=stem)
def test_a_role_or_task_file_begins_with_what_it_is_for(path: Path):
    first, second = path.read_text(encoding="utf-8").splitlines()[:2]
    assert first.startswith("# ") and first.endswith(".")
    assert not second.startswith("#")


@pytest.mark.parametrize("path", TASKS, ids=stem)
def test_a_task_says_what_to_do_in_one_sentence_that_ends_in_the_goal(path: Path):
    # A goal may be a whole text without a full stop, so nothing can follow it.
    description = YAML(typ="safe").load(path.read_text(encoding="utf-8"))["description"]
    assert description.endswith(": {goal}")
    assert "." not in description


@pytest.mark.parametrize("path", ROLES, ids=stem)
def test_a_role_is_short_specific_and_speaks_to_its_reader(path: Path, role: Role):
    assert 40 <= len(role.backstory.split()) <= 90
    assert len(role.goal.split()) <= 25
    assert len(role.role.split()) <= 5
    assert role.backstory.startswith("You ")
    assert not FLUFF.search(f"{role.role} {role.goal} {role.backstory}")


@pytest.mark.parametrize("path", ROLES, ids=stem)
def test_a_role_leaves_the_verdict_line_to_the_prompt(path: Path, role: Role):
    assert "Verdict:" not in role.backstory


@pytest.fixture
def role(path: Path) -> Role:
    return Role.model_validate({"name": path.stem, **YAML(typ="safe").load(path.read_text(encoding="utf-8"))})


def test_every_role_and_task_is_used_by_a_crew(empty_project: Project):
    crews = [load_crew(path.stem, empty_project) for path in CREWS]
    roles = {name for path in CREWS for name in members(path.stem, empty_project)}
    assert {path.stem for path in ROLES} - ALWAYS_THERE - roles == set()
    assert {path.stem for path in TASKS} - {task.id for crew in crews for task in crew.tasks} == set()


def test_the_reviewers_are_those_whose_word_ends_a_chat(empty_project: Project):
    crews = [load_crew(path.stem, empty_project) for path in CREWS]
    reviewers = {role.name for crew in crews for role in crew.roles if role.approves}
    assert reviewers == {"critic", "reviewer", "editor", "facilitator"}


def test_no_crew_has_two_reviewers_who_would_join_each_others_tasks(empty_project: Project):
    for path in CREWS:
        crew = load_crew(path.stem, empty_project)
        assert sum(role.approves for role in crew.roles) <= 1, path.name


def test_write_code_promises_no_execution(empty_project: Project):
    crew = load_crew("write_code", empty_project)
    assert "nothing is executed" in crew.description
    by_name = {role.name: role.backstory.lower() for role in crew.roles}
    assert all("executed" in by_name[name] for name in ("coder", "tester", "reviewer"))
    assert not any(role.tools for role in crew.roles)
