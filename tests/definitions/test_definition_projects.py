"""New projects: from scratch and from crewAI's files."""

from pathlib import Path

import pytest

from crewmix.definitions import names
from crewmix.definitions.from_crewai import convert
from crewmix.definitions.load import check_project, load_crew
from crewmix.definitions.project import Project
from crewmix.definitions.scaffold import init_project
from crewmix.errors import DefinitionError, NotFoundError, UserError
from crewmix.models import providers
from crewmix.models.resolve import WITHOUT_SERVER
from definitions.conftest import ROLE, WriteProject

AGENTS = """\
researcher:
  role: >
    {topic} Senior Data Researcher
  goal: >
    Uncover cutting-edge developments in {topic}
  backstory: >
    You're a seasoned researcher.
  llm: gpt-4o
  verbose: true
  allow_delegation: false
  tools: [SerperDevTool, calculate]
  max_iter: 20
  max_rpm: 10
reporting analyst:
  role: Analyst for {current-year}
  goal: "Create: reports"
  backstory: x
  llm: {model: openai/gpt-5, temperature: 0.1, top_p: 1}
"""
TASKS = """\
research_task:
  description: >
    Conduct research about {topic}
  expected_output: >
    A list with 10 bullet points
  agent: researcher
  async_execution: true
reporting_task:
  description: |
    Expand each topic.

    Be thorough.
  expected_output: A report
  agent: reporting analyst
  output_file: ./report.md
last_task:
  description: Close
  expected_output: The end
  agent: researcher
  context: [reporting_task, nope]
  output_file: /etc/passwd
"""


def test_a_new_project_is_right_and_can_be_loaded(tmp_path: Path) -> None:
    written = init_project(tmp_path / "new", name="My Garden")
    project = Project.find(tmp_path / "new")
    assert check_project(project) == []
    crew = load_crew("my_garden", project)
    assert [role.name for role in crew.roles] == ["finder", "checker"]
    assert crew.knowledge == (tmp_path / "new/docs",)
    assert crew.roles[0].tools == ("knowledge_search", "days_between")
    for path in written:
        if path.suffix == ".yaml":
            schema = path.read_text().splitlines()[0].partition("$schema=")[2]
            assert (path.parent / schema).is_file()
    assert ".crewmix/" in (tmp_path / "new/.gitignore").read_text().splitlines()


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "roles").mkdir()
    (tmp_path / "roles/finder.yaml").write_text("mine")
    (tmp_path / ".gitignore").write_text("dist")
    with pytest.raises(UserError, match=r"roles/finder\.yaml"):
        init_project(tmp_path, name="x")
    assert (tmp_path / "roles/finder.yaml").read_text() == "mine"
    assert not (tmp_path / "crews").exists()
    (tmp_path / "roles/finder.yaml").unlink()
    init_project(tmp_path, name="x")
    assert (tmp_path / ".gitignore").read_text() == "dist\n.crewmix/\n.env\n"


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match="cannot be written"):
        init_project(tmp_path / "file", name="x")


@pytest.mark.parametrize("inside", ["", "config", "src/latest_ai/config"])
def test_crewai_files_become_a_crew_that_checks(tmp_path: Path, inside: str) -> None:
    config = tmp_path / "latest_ai" / inside
    config.mkdir(parents=True)
    (config / "agents.yaml").write_text(AGENTS)
    (config / "tasks.yaml").write_text(TASKS)
    (config.parent / "crew.py").write_text("x = 1\n")
    report = convert(tmp_path / "latest_ai", tmp_path / "new")
    project = Project(tmp_path / "new")
    assert check_project(project) == []
    crew = load_crew("latest_ai", project)
    assert crew.inputs == {"topic": None, "current_year": None}
    researcher, analyst = crew.roles
    assert (researcher.role, researcher.llm, researcher.tools) == (
        "{topic} Senior Data Researcher",
        "openai/gpt-4o",
        ("calculate",),
    )
    assert researcher.max_iter == 20
    assert (analyst.name, analyst.goal, analyst.temperature) == ("reporting_analyst", "Create: reports", 0.1)
    first, second, last = crew.tasks
    assert (first.needs, second.needs, last.needs) == ((), ("research_task",), ("reporting_task",))
    assert (second.roles, second.output_file) == (("reporting_analyst",), "report.md")
    assert second.description == "Expand each topic.\n\nBe thorough."
    assert last.output_file is None
    lost = [
        (Path(loss.file).name, loss.line, loss.message.split("`")[1]) for loss in report.losses if "`" in loss.message
    ]
    assert lost == [
        ("agents.yaml", 14, "reporting analyst"),
        ("agents.yaml", 8, "llm: gpt-4o"),
        ("agents.yaml", 9, "verbose"),
        ("agents.yaml", 11, "tools/"),
        ("agents.yaml", 13, "max_rpm"),
        ("agents.yaml", 15, "{current-year}"),
        ("agents.yaml", 18, "llm.top_p"),
        ("tasks.yaml", 7, "async_execution"),
        ("tasks.yaml", 21, "output_file"),
    ]
    others = {loss.message.split(":")[0] for loss in report.losses if "`" not in loss.message}
    assert others == {"there is no task 'nope'", "Python code is not read"}
    assert "not carried over" in str(report)


def test_conversion_needs_files_and_what_crewai_needs(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="there is no agents"):
        convert(tmp_path, tmp_path / "new")
    (tmp_path / "agents.yaml").write_text("a:\n  role: x\nb: text\n")
    with pytest.raises(NotFoundError, match="there is no tasks"):
        convert(tmp_path, tmp_path / "new")
    (tmp_path / "tasks.yaml").write_text("t:\n  agent: a\n")
    with pytest.raises(DefinitionError) as caught:
        convert(tmp_path, tmp_path / "new")
    assert {(Path(p.file).name, p.line, p.code) for p in caught.value.problems} == {
        ("agents.yaml", 2, "missing_key"),
        ("agents.yaml", 3, "wrong_type"),
        ("tasks.yaml", 2, "missing_key"),
    }
    assert not (tmp_path / "new").exists()
    (tmp_path / "agents.yaml").write_text("{}")
    with pytest.raises(DefinitionError, match="names no agent"):
        convert(tmp_path, tmp_path / "new")


def test_files_that_nothing_can_name_are_told(write: WriteProject) -> None:
    project = write({"crews/c.yaml": "roles: [a]\n", "crews/c.yml": "roles: [a]\n", "roles/my role.yaml": ROLE})
    (project.root / "tasks").mkdir(exist_ok=True)
    (project.root / "tasks/lost.yaml").symlink_to("nowhere.yaml")
    told = {(Path(problem.file).name, problem.code) for problem in check_project(project)}
    assert told == {("c.yml", "same_name"), ("my role.yaml", "file_name"), ("lost.yaml", "unreadable")}


def test_the_providers_are_those_that_can_serve() -> None:
    assert set(names.PROVIDERS) == {*providers.PROVIDERS, *WITHOUT_SERVER}
