"""What a crew becomes once it is read: names resolved, models normalised, parents laid under it."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from crewmix.definitions.definition import missing_inputs
from crewmix.definitions.load import define_crew, load_crew
from crewmix.definitions.spec import ChatSpec, CrewSpec, ModelSpec, PlanSpec, Role, Task
from crewmix.errors import DefinitionError, UsageError
from definitions.conftest import ROLE, WriteProject


def test_names_default_to_the_file_and_tasks_in_a_list_to_their_place(write: WriteProject) -> None:
    project = write(
        {
            "crews/my_crew.yaml": "roles: [a, {role: Chief Editor, goal: x}]\ntasks: [look, {description: y}]\n",
            "tasks/look.yaml": "description: x\n",
        }
    )
    crew = load_crew("my_crew", project)
    assert crew.name == "my_crew"
    assert [role.name for role in crew.roles] == ["a", "chief_editor"]
    assert [task.id for task in crew.tasks] == ["look", "task_2"]
    assert crew.plan is None
    assert {path.name for path in crew.files} == {
        "my_crew.yaml",
        "a.yaml",
        "look.yaml",
        "planner.yaml",
        "synthesizer.yaml",
        "judge.yaml",
    }


def test_a_file_name_that_is_no_name_is_made_into_one(write: WriteProject) -> None:
    project = write({"crews/Über uns.yaml": "roles: ['a']\n"})
    assert load_crew("crews/Über uns.yaml", project).name == "ber_uns"


def test_models_hold_every_string_that_someone_names(write: WriteProject) -> None:
    project = write(
        {
            "crews/c.yaml": (
                "roles: [{role: X, goal: y, llm: ollama/q}]\nsynthesis: {llm: 'openai:g'}\n"
                "chat: {pattern: selector, select: {llm: cheap}}\n"
                "models: {default: {model: xai/b, price: [0.1, 2]}, cheap: groq/d}\n"
            )
        }
    )
    models = load_crew("c", project).models
    assert {name: spec.model for name, spec in models.items()} == {
        "default": "xai/b",
        "cheap": "groq/d",
        "ollama/q": "ollama/q",
        "openai:g": "openai:g",
    }
    assert str(models["default"].price) == "(Decimal('0.1'), Decimal('2'))"


def test_models_given_at_the_start_replace_the_files_and_spare_its_variables(write: WriteProject) -> None:
    project = write({"crews/c.yaml": "roles: [a]\nmodels: {default: {model: 'x/${NOT_SET}', api_key: '${NO_KEY}'}}\n"})
    crew = load_crew("c", project, models={"default": "offline/extractive"}, environ={})
    assert crew.models == {"default": ModelSpec(model="offline/extractive")}
    with pytest.raises(UsageError, match="did you mean `default`"):
        load_crew("c", project, models={"defualt": "xai/b"}, environ={"NOT_SET": "1", "NO_KEY": "1"})
    with pytest.raises(DefinitionError, match="must be `provider/model`"):
        load_crew("c", project, models={"default": "gpt"}, environ={})


def test_inputs_take_values_and_name_what_is_missing(write: WriteProject) -> None:
    crew_file = "roles: [a]\ninputs: {city: null, year: '2024'}\ntasks: [{description: '{city} {year} {goal}'}]\n"
    project = write({"crews/c.yaml": crew_file})
    crew = load_crew("c", project)
    assert missing_inputs(crew, ()) == ("city",)
    assert missing_inputs(crew, {"city"}) == ()
    assert load_crew("c", project, inputs={"city": "Lyon"}).inputs == {"city": "Lyon", "year": "2024"}
    with pytest.raises(UsageError, match="no input `town`"):
        load_crew("c", project, inputs={"town": "Lyon"})


def test_knowledge_is_resolved_in_the_project(write: WriteProject) -> None:
    project = write({"crews/c.yaml": "roles: [a]\nknowledge: [docs/, '${MORE}']\n", "docs/x.md": "x", "more.md": "y"})
    crew = load_crew("c", project, environ={"MORE": "more.md"})
    assert crew.knowledge == (project.root / "docs", project.root / "more.md")
    assert crew.as_dict()["knowledge"] == ["docs", "more.md"]


def test_a_project_tool_and_a_tool_given_in_python_are_known(write: WriteProject) -> None:
    project = write(
        {
            "crews/c.yaml": "roles: [{role: X, goal: y, tools: [Get Weather, population, calculate]}]\n",
            "tools/weather.py": "import nonexistent_package\n@nonexistent_package.tool\ndef getWeather(): ...\n",
        }
    )
    crew = load_crew("c", project, extra_tools={"population"})
    assert crew.roles[0].tools == ("get_weather", "population", "calculate")


def test_extends_replaces_fields_merges_mappings_and_replaces_lists(write: WriteProject) -> None:
    project = write(
        {
            "crews/base.yaml": (
                "name: base\ndescription: base\nroles: [a, b]\nmodels: {default: xai/y, cheap: xai/z}\n"
                "budget: {usd: 1, calls: 9}\nchat: {pattern: selector, select: {llm: cheap}, max_turns: 5}\n"
                "inputs: {q: one}\nplan: {max_tasks: 2}\n"
            ),
            "crews/mid.yaml": "extends: base\nmodels: {cheap: xai/w}\nbudget: {calls: 3}\n",
            "crews/c.yaml": "extends: mid.yaml\nroles: [b]\nchat: {pattern: round_robin}\ninputs: {r: two}\n",
        }
    )
    crew = load_crew("c", project)
    assert (crew.name, crew.description) == ("c", "base")
    assert [role.name for role in crew.roles] == ["b"]
    assert {name: spec.model for name, spec in crew.models.items()} == {"default": "xai/y", "cheap": "xai/w"}
    assert crew.budget is not None
    assert (crew.budget.usd, crew.budget.calls) == (1, 3)
    assert crew.chat == ChatSpec(pattern="round_robin", max_turns=5)
    assert crew.inputs == {"q": "one", "r": "two"}
    assert crew.plan == PlanSpec(max_tasks=2)
    assert [path.name for path in crew.files[:3]] == ["c.yaml", "mid.yaml", "base.yaml"]


def test_roles_extend_roles_in_files_and_in_place(write: WriteProject) -> None:
    project = write(
        {
            "crews/c.yaml": "roles: [kid, {extends: a, name: twin, llm: xai/y}]\n",
            "roles/a.yaml": ROLE + "backstory: Old\nbudget: {calls: 4}\n",
            "roles/kid.yaml": "extends: a\ngoal: Other\nbudget: {tokens: 5}\n",
        }
    )
    kid, twin = load_crew("c", project).roles
    assert (kid.name, kid.goal, kid.backstory) == ("kid", "Other", "Old")
    assert kid.budget is not None
    assert (kid.budget.calls, kid.budget.tokens) == (4, 5)
    assert (twin.name, twin.llm, twin.backstory) == ("twin", "xai/y", "Old")


def test_a_mistake_in_a_parent_is_shown_in_the_parents_file(write: WriteProject) -> None:
    project = write({"crews/base.yaml": "roles: [a]\nchat:\n  max_turns: no\n", "crews/c.yaml": "extends: base\n"})
    with pytest.raises(DefinitionError) as caught:
        load_crew("c", project)
    assert [(p.file, p.line) for p in caught.value.problems] == [("crews/base.yaml", 3)]


def test_a_project_may_extend_the_built_in_crew_and_role_of_the_same_name(write: WriteProject) -> None:
    project = write(
        {"crews/research.yaml": "extends: research\nbudget: {calls: 7}\n", "roles/critic.yaml": "extends: critic\n"}
    )
    crew = load_crew("research", project)
    assert crew.budget is not None
    assert crew.budget.calls == 7
    assert "critic" in {role.name for role in crew.roles}


@pytest.mark.parametrize("files", [
    {"crews/c.yaml": "extends: d\nroles: [a]\n", "crews/d.yaml": "extends: e\n", "crews/e.yaml": "extends: d\n"},
    {"crews/c.yaml": "roles: [x]\n", "roles/x.yaml": "extends: y\n", "roles/y.yaml": "extends: x\n"},
])  # fmt: skip
def test_a_circle_of_extends_is_one_problem(write: WriteProject, files: dict[str, str]) -> None:
    with pytest.raises(DefinitionError) as caught:
        load_crew("c", write(files))
    assert [p.code for p in caught.value.problems] == ["extends_cycle"]
    assert "->" in caught.value.problems[0].message


def test_a_changed_definition_has_another_fingerprint_wherever_it_lies(write: WriteProject, tmp_path: Path) -> None:
    files = {"crews/c.yaml": "roles: [a]\nknowledge: [docs]\n", "docs/x.md": "x"}
    project = write(files)
    first = load_crew("c", project)
    assert json.loads(json.dumps(first.as_dict())) == first.as_dict()
    moved = tmp_path / "elsewhere"
    for name in ("crews", "docs", "roles"):
        moved.mkdir(exist_ok=True)
        (tmp_path / name).rename(moved / name)
    second = load_crew(moved / "crews/c.yaml", replace(project, root=moved))
    assert first.fingerprint() == second.fingerprint()
    (moved / "roles/a.yaml").write_text(ROLE + "backstory: New\n")
    assert load_crew(moved / "crews/c.yaml", replace(project, root=moved)).fingerprint() != first.fingerprint()


def test_no_secret_reaches_the_journal_form(write: WriteProject) -> None:
    spec = CrewSpec(
        roles=(Role(role="X", goal="y"),),
        models={
            "default": ModelSpec(
                model="xai/b@http://me:hush1@host/v1",
                api_key="hush2",
                base_url="http://me:hush3@host/v1",
                params={"headers": {"Authorization": "hush4"}, "max_tokens": 5},
            ),
            "other": ModelSpec(model="xai/b", api_key="${KEY_NAME}"),
        },
    )
    crew = define_crew(spec, write({}), environ={"KEY_NAME": "hush5"})
    text = json.dumps(crew.as_dict())
    assert "hush" not in text
    assert "${KEY_NAME}" in text
    assert crew.as_dict()["models"]["default"]["params"]["max_tokens"] == 5
    assert crew.models["default"].api_key == "hush2", "the run itself needs it"


def test_a_crew_built_in_python_is_the_same_as_from_a_file(write: WriteProject) -> None:
    project = write({"crews/c.yaml": (
        "roles: [a, {role: Boss, goal: x, approves: true}]\ntasks: [{id: t, description: '{goal}', roles: [a]}]\n"
        "chat: {stop_when: approved}\nbudget: {usd: 0.5}\nmodels: {default: xai/y}\n"
    )})  # fmt: skip
    spec = CrewSpec(
        name="c",
        roles=("a", Role(role="Boss", goal="x", approves=True)),
        tasks=(Task(id="t", description="{goal}", roles=("a",)),),
        chat=ChatSpec(stop_when="approved"),
        budget={"usd": "0.5"},  # pyright: ignore[reportArgumentType]
        models={"default": "xai/y"},
    )
    assert define_crew(spec, project).fingerprint() == load_crew("c", project).fingerprint()


def test_a_crew_built_in_python_is_checked_the_same_way(write: WriteProject) -> None:
    spec = CrewSpec(
        name="mine",
        roles=("nobody", Role(role="X", goal="{what}", llm="nope", tools=("nope",))),
        chat=ChatSpec(pattern="nope"),
        knowledge=("nowhere",),
    )
    with pytest.raises(DefinitionError) as caught:
        define_crew(spec, write({}))
    assert {(p.file, p.line, p.code) for p in caught.value.problems} == {
        ("crew `mine`", 0, code)
        for code in (
            "unknown_role",
            "unknown_placeholder",
            "unknown_model",
            "unknown_tool",
            "unknown_pattern",
            "no_such_path",
        )
    }


def test_yaml_words_mean_what_they_say(write: WriteProject) -> None:
    project = write(
        {
            "crews/c.yaml": (
                "roles: [a]\ninputs: {country: no, time: 12:30, date: 2024-01-02, version: '1.10'}\n"
                "budget: {tokens: 200_000, seconds: 1e3}\n"
            )
        }
    )
    crew = load_crew("c", project)
    assert crew.inputs == {"country": "no", "time": "12:30", "date": "2024-01-02", "version": "1.10"}
    assert crew.budget is not None
    assert (crew.budget.tokens, crew.budget.seconds) == (200_000, 1000.0)


def test_anchors_work_and_their_copies_have_their_own_place(write: WriteProject) -> None:
    project = write({"crews/c.yaml": "roles:\n  - &x {role: X, goal: y}\n  - <<: *x\n"})
    with pytest.raises(DefinitionError) as caught:
        load_crew("c", project)
    assert ("unknown_key", 3) in {(p.code, p.line) for p in caught.value.problems}
    project = write({"crews/c.yaml": "roles: [a]\nchat: &c {quorum: 1}\ntasks: [{description: x, chat: *c}]\n"})
    assert load_crew("c", project).tasks[0].chat == ChatSpec(quorum=1)
