"""Projects, tool names, placeholders, schemas."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from crewmix.definitions.check_settings import check_chat
from crewmix.definitions.explain import validate
from crewmix.definitions.names import METHODS, PATTERNS
from crewmix.definitions.nodes import SourceFile, from_data
from crewmix.definitions.placeholders import expand_env, fill, placeholders, variables
from crewmix.definitions.project import Project, library_root
from crewmix.definitions.schema import json_schema, write_schemas
from crewmix.definitions.spec import CrewSpec
from crewmix.definitions.tool_names import find_tools, sanitize_tool_name
from crewmix.errors import ModelSetupError
from definitions.conftest import WriteProject


def test_a_project_is_the_nearest_folder_with_crews(write: WriteProject, tmp_path: Path) -> None:
    root = write({"outer/crews/c.yaml": "", "outer/inner/deep/x.txt": "", "plain/x.txt": ""}).root
    assert Project.find(root / "outer/inner/deep").root == root / "outer"
    assert Project.find(root / "outer/crews/c.yaml").root == root / "outer"
    assert Project.find(root / "plain").root == root / "plain"
    (root / "plain/.crewmix").mkdir()
    assert Project.find(root / "plain").database == root / "plain/.crewmix/crewmix.db"


def test_home_is_a_project_only_when_one_stands_in_it(write: WriteProject, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write({"crews/c.yaml": "", "work/x.txt": ""}).root
    monkeypatch.setenv("HOME", str(root))
    assert Project.find(root / "work").root == root / "work"
    assert Project.find(root).root == root


def test_names_and_paths_are_found_in_project_then_library(write: WriteProject) -> None:
    project = write({"roles/critic.yaml": "x", "roles/other.yml": "x", "sub/far.yaml": "x"})
    root = project.root
    assert project.locate("roles", "critic") == root / "roles/critic.yaml"
    assert project.locate("roles", "other") == root / "roles/other.yml"
    assert project.locate("roles", "researcher") == library_root() / "roles/researcher.yaml"
    assert project.locate("roles", "sub/far.yaml") == root / "sub/far.yaml"
    assert project.locate("roles", str(root / "sub/far.yaml")) == root / "sub/far.yaml"
    for wrong in ("nosuch", "../roles/critic", "", "a\0b", "nosuch.yaml", "x" * 5000, "x" * 5000 + ".yaml"):
        assert project.locate("roles", wrong) is None
    names = project.names("roles")
    assert names["critic"] == root / "roles/critic.yaml"
    assert names["researcher"] == library_root() / "roles/researcher.yaml"


def test_tools_are_found_without_importing(write: WriteProject) -> None:
    project = write({"tools/many.py": '''
raise SystemExit("this file must not be run")
import crewmix, os
from crewmix import tool
from crewai.tools import BaseTool
from crewai_tools import FileReadTool

@tool
def plain(): ...
@crewmix.tool
async def fromModule(): ...
@tool(name="Given Name", risk="net")
def whatever(): ...
@tool("Positional name")
def another(): ...
@os.cache
def no_tool(): ...
class Search(BaseTool):
    name: str = "Search The Web"
class Nameless(BaseTool):
    name: str = os.name
class Sub(crewmix.BaseTool):
    name = "sub"
reader = FileReadTool(path="x")
typed: object = FileReadTool()
_private = FileReadTool()
number = int(3)
''', "tools/_helper.py": "syntax error here"})  # fmt: skip
    tools, problems = find_tools(project.root / "tools")
    assert problems == []
    assert {name: (source.attribute, source.path.name) for name, source in tools.items()} == {
        name: (attribute, "many.py")
        for name, attribute in {
            "plain": "plain",
            "from_module": "fromModule",
            "given_name": "whatever",
            "positional_name": "another",
            "search_the_web": "Search",
            "sub": "Sub",
            "reader": "reader",
            "typed": "typed",
        }.items()
    }
    assert project.locate("tools", "reader") == project.root / "tools/many.py"
    assert project.locate("tools", "calculate") == library_root() / "tools/calculate.py"


@pytest.mark.parametrize(
    "content", [b"def f(:\n", b"x = '\0'", b"\xff\xfe\x00", b"# coding: nosuch\n", b"(" * 5000, b"x = \\d\n"]
)
def test_a_file_that_is_no_python_is_a_problem(write: WriteProject, content: bytes) -> None:
    project = write({"tools/fine.py": "from crewmix import tool\n@tool\ndef fine(): ...\n"})
    (project.root / "tools/broken.py").write_bytes(content)
    tools, problems = find_tools(project.root / "tools")
    assert list(tools) == ["fine"]
    assert [problem.file for problem in problems] == ["tools/broken.py"]


@pytest.mark.parametrize(
    ("name", "clean"),
    [
        ("Upper Case", "upper_case"),
        ("getItem", "get_item"),
        ("HTTPServer", "http_server"),
        ('Bob\'s "tool"', "bobs_tool"),
        ("Füße", "fue"),
        ("__a--b__", "a_b"),
        ("日本", ""),
        ("x" * 64, "x" * 64),
        ("x" * 70, "x" * 55 + "_c71bd109"),
    ],
)
def test_tool_names_are_made_acceptable(name: str, clean: str) -> None:
    assert sanitize_tool_name(name) == clean


@given(st.text(max_size=200))
def test_a_clean_name_is_stable(name: str) -> None:
    clean = sanitize_tool_name(name)
    assert len(clean) <= 64
    assert set(clean) <= set("abcdefghijklmnopqrstuvwxyz0123456789_")
    assert sanitize_tool_name(clean) == clean


def test_only_identifiers_in_single_braces_are_placeholders() -> None:
    text = '{goal} {a_1} {goal} {{x}} ${HOME} {} {"a": 1} {a b} {1} { goal } {"k": {"n": {v}}} {ä}'
    assert placeholders(text) == ("goal", "a_1")
    assert fill("{a} {{a}} ${a} {b} {}", {"a": "{b}", "b": "2"}) == "{b} {a} ${a} 2 {}"


FILLED = {
    "{a}": "1",
    "{b}": "{a}",
    "{{a}}": "{a}",
    "${a}": "${a}",
    "{}": "{}",
    "{a b}": "{a b}",
    "x": "x",
    "{c}": "{c}",
}


@given(st.lists(st.sampled_from(sorted(FILLED))))
def test_each_placeholder_is_filled_once_and_nothing_else_changes(parts: list[str]) -> None:
    filled = fill(" ".join(parts), {"a": "1", "b": "{a}"})
    assert filled == " ".join(FILLED[part] for part in parts)


def test_environment_variables_are_expanded_or_named() -> None:
    assert expand_env("a ${X}/${Y_1} {X} $X", {"X": "1", "Y_1": "${X}"}) == "a 1/${X} {X} $X"
    assert variables("${B} ${A} ${B}") == ("B", "A")
    for environ in ({}, {"X": ""}):
        with pytest.raises(ModelSetupError, match="`X` is not set"):
            expand_env("${X}", environ)


def test_schemas_accept_the_built_in_files_and_refuse_mistakes(tmp_path: Path) -> None:
    paths = write_schemas(tmp_path / "schemas")
    assert [path.name for path in paths] == ["crew.schema.json", "role.schema.json", "task.schema.json"]
    for kind in ("crew", "role", "task"):
        schema = json.loads((tmp_path / f"schemas/{kind}.schema.json").read_text())
        validator = jsonschema.Draft202012Validator(schema)
        validator.check_schema(schema)
        files = sorted((library_root() / f"{kind}s").glob("*.yaml"))
        assert files
        for path in files:
            validator.validate(YAML(typ="safe", pure=True).load(path.read_text()))
        assert not validator.is_valid({"nonsense": 1})
    crew = jsonschema.Draft202012Validator(json_schema("crew"))
    assert crew.is_valid({"extends": "base", "roles": [{"extends": "a", "llm": "x/y"}]})
    assert crew.is_valid({"roles": ["a"], "chat": {"pattern": PATTERNS[0]}, "synthesis": {"method": METHODS[0]}})
    assert not crew.is_valid({"roles": ["a"], "chat": {"pattern": "nope"}})
    assert not crew.is_valid({"roles": ["a"], "synthesis": {"method": "nope"}})
    assert not crew.is_valid({"description": "no roles"})
    assert not jsonschema.Draft202012Validator(json_schema("role")).is_valid({"role": "x"})
    assert "description" in json_schema("crew")["properties"]["budget"]


@pytest.mark.parametrize(
    ("chat", "fits"),
    [
        ({"pattern": "my.module:Pattern"}, True),
        ({"pattern": "my.module:"}, False),
        ({"pattern": "my.module"}, False),
        ({"pattern": "vote", "proposers": ["a", {"role": "b", "count": 3}], "stop": {"agree": 2}}, True),
        ({"pattern": "vote", "proposers": [{"role": "b", "cuont": 3}]}, False),
        ({"pattern": "vote", "stop": {"agree": 1}}, False),
        ({"pattern": "layers", "per_layer": [{"llm": "cheap", "proposers": ["a"]}]}, True),
        ({"pattern": "debate", "accept": "judged"}, True),
        ({"pattern": "debate", "accept": "sometimes"}, False),
        ({"pattern": "graph", "nodes": {"x": {"role": "a", "next": "y"}}}, True),
        ({"pattern": "graph", "nodes": {"x": {"role": "a", "next": ["y", {"to": "z", "when": {"n": ">= 3"}}]}}}, True),
        ({"pattern": "graph", "nodes": {"x": {"role": "a", "next": {"to": "z", "when": {"ok": True}}}}}, True),
        ({"pattern": "graph", "nodes": {"x": {"role": "a", "next": {"too": "z"}}}}, False),
        ({"pattern": "graph", "nodes": {"x": {"role": "a", "fields": {"n": "number", "w": ["u", "v"]}}}}, True),
        ({"pattern": "graph", "nodes": {"x": {"role": "a", "fields": {"n": "nmber"}}}}, False),
        ({"pattern": "handoff", "handoffs": {"a": ["b"]}}, True),
    ],
)
def test_the_schema_agrees_with_what_is_read(chat: dict[str, object], fits: bool) -> None:
    crew = jsonschema.Draft202012Validator(json_schema("crew"))
    assert crew.is_valid({"roles": ["a"], "chat": chat}) is fits
    spec, node, problems = validate(CrewSpec, from_data({"roles": ["a"], "chat": chat}, SourceFile("x")))
    assert spec is not None
    read = [*problems, *check_chat(spec.chat, node.at("chat"))]
    beyond_a_schema = {"unknown_node", "unknown_field", "senseless"}
    assert ({problem.code for problem in read} <= beyond_a_schema) is fits


def test_the_schema_knows_every_closed_list() -> None:
    parts = json_schema("crew")["$defs"]
    assert parts["ChatSpec"]["properties"]["pattern"]["anyOf"][0]["enum"] == list(PATTERNS)
    assert parts["SynthesisSpec"]["properties"]["method"]["enum"] == list(METHODS)
    for spec in ("ProposerSpec", "LayerSpec", "StopSpec", "NodeSpec", "EdgeSpec"):
        fields = parts[spec]["properties"]
        assert all(field.get("description") for field in fields.values()), spec
    assert "crew" in parts["Role"]["properties"]


def test_checking_imports_no_framework(write: WriteProject) -> None:
    code = (
        "import sys\nfrom crewmix.definitions.load import check_project\nfrom crewmix.definitions.project import Project\n"
        "check_project(Project.find(), library=True)\n"
        "print([m for m in ('crewai', 'autogen_agentchat', 'autogen_core', 'aiohttp', 'rich') if m in sys.modules])"
    )
    root = write({}).root
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_installed_package_brings_its_library_along(tmp_path: Path) -> None:
    """The wheel puts the four folders into `crewmix/library`; here the same is done by hand."""
    package = Path(sys.modules["crewmix"].__file__ or "").parent
    shutil.copytree(package, tmp_path / "site/crewmix", ignore=shutil.ignore_patterns("__pycache__"))
    for kind in ("crews", "roles", "tasks", "tools"):
        shutil.copytree(library_root() / kind, tmp_path / "site/crewmix/library" / kind)
    code = (
        "from crewmix.definitions.load import check_project, load_crew\n"
        "from crewmix.definitions.project import Project, library_root\n"
        "print(library_root(), len(check_project(Project.find(), library=True)), load_crew('research', Project.find()).name)"
    )
    (tmp_path / "empty").mkdir()
    environ = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path / "empty", env=environ, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(tmp_path / "site/crewmix/library"), "0", "research"]
