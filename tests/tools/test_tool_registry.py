"""Tools by name: from Python, the project, the library and packages."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from crewmix import Tool, tool
from crewmix.definitions.project import Project
from crewmix.errors import NotFoundError, ToolDefinitionError
from crewmix.tools import registry
from crewmix.tools.registry import as_tool, describe_tools, load_tools


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "tools").mkdir()
    return Project(tmp_path)


def write(project: Project, name: str, text: str) -> Path:
    path = project.root / "tools" / name
    path.write_text(dedent(text), encoding="utf-8")
    return path


CENSUS = """
    from crewmix import tool

    CENSUS = {"Lyon": 522_000}

    @tool
    def population(city: str) -> int:
        '''Inhabitants of a city.'''
        return CENSUS[city]

    @tool(name="getArea", risk="net")
    async def area(city: str) -> float:
        '''Area of a city in km2.'''
        return 47.9
"""


def test_a_project_s_tools_are_found_by_name(project: Project) -> None:
    write(project, "census.py", CENSUS)
    tools = load_tools(["population", "getArea", "calculate"], project)
    assert list(tools) == ["population", "getArea", "calculate"]
    assert tools["population"]("Lyon") == 522_000
    assert (tools["getArea"].name, tools["getArea"].risk) == ("get_area", "net")
    assert (tools["population"].source, tools["calculate"].source) == ("tools/census.py", "built-in tools/calculate.py")


def test_only_files_with_wanted_tools_are_imported(project: Project) -> None:
    write(project, "census.py", CENSUS)
    write(
        project,
        "broken.py",
        "from crewmix import tool\nraise SystemExit(1)\n@tool\ndef bad(x: int) -> int:\n  'Bad.'\n",
    )
    assert load_tools(["population"], project)["population"].name == "population"
    assert load_tools([], project) == {}
    with pytest.raises(ToolDefinitionError, match=r"broken\.py:2: importing this file failed: SystemExit"):
        load_tools(["bad"], project)


def test_the_order_is_python_then_project_then_library(project: Project) -> None:
    write(
        project,
        "mine.py",
        "from crewmix import tool\n@tool\ndef calculate(expression: str) -> str:\n  'Mine.'\n  return 'p'\n",
    )
    assert load_tools(["calculate"], project)["calculate"].description == "Mine."

    def calculate(expression: str) -> str:
        """Given in Python."""
        return "g"

    assert load_tools(["calculate"], project, [calculate])["calculate"].description == "Given in Python."


def test_unknown_names_are_all_named_with_the_nearest(project: Project) -> None:
    write(project, "census.py", CENSUS)
    with pytest.raises(NotFoundError) as caught:
        load_tools(["populaton", "population", "knowledge_serch"], project)
    assert "populaton, knowledge_serch" in caught.value.message
    assert caught.value.hint == "did you mean population, knowledge_search?"
    write(project, "odd.py", "def broken(:\n")
    with pytest.raises(NotFoundError, match=r"odd\.py:1"):
        load_tools(["zzzzzz"], project)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("from crewmix import tool\nimport nowhere_at_all\n@tool\ndef t(x: int) -> int:\n  'T.'\n", ":2: importing"),
        ("from crewmix import tool\n\n@tool\ndef t(x) -> int:\n  'T.'\n", "has no type"),
        ("from crewmix import tool\n@tool(risk='x')\ndef t(x: int) -> int:\n  'T.'\n", ":2: tool `t`: risk 'x'"),
        ("from crewmix import tool\n@tool\ndef t(x: int) -> int:\n  'T.'\ndel t\n", ":3: None cannot be a tool"),
        (
            "def helper():\n  1 / 0\nfrom crewmix import tool\n@tool\ndef t(x: int) -> int:\n  'T.'\nhelper()\n",
            ":2: importing",
        ),
    ],
)
def test_a_broken_tool_file_is_named_with_its_line(project: Project, text: str, message: str) -> None:
    path = write(project, "t.py", text)
    with pytest.raises(ToolDefinitionError) as caught:
        load_tools(["t"], project)
    assert str(path) in caught.value.message
    assert message in caught.value.message


def test_tool_files_leave_no_trace_and_may_share_helpers(project: Project, tmp_path: Path) -> None:
    write(project, "helpers.py", "FACTOR = 2\n")
    write(
        project,
        "double.py",
        """
        from dataclasses import dataclass
        from helpers import FACTOR
        from crewmix import tool

        @dataclass
        class Number:
            value: int

        @tool
        def double(number: Number) -> int:
            '''Double it.'''
            return number.value * FACTOR
        """,
    )
    path, modules = list(sys.path), set(sys.modules)
    doubled = load_tools(["double"], project)["double"]
    assert doubled.arguments_model is not None
    assert doubled.arguments_model.model_validate({"number": {"value": 3}})
    assert sys.path == path
    assert "helpers" not in sys.modules
    new = {name: str(getattr(sys.modules[name], "__file__", "")) for name in set(sys.modules) - modules}
    own = [name for name, file in new.items() if file.startswith(str(project.root))]
    assert own and all(name.startswith("_crewmix_tools_") for name in own)
    assert not (tmp_path / "tools" / "__pycache__").exists()


def test_a_file_is_run_once_and_again_when_it_changed(project: Project) -> None:
    counting = """
        import sys
        from crewmix import tool
        sys.runs_of_tool_file = getattr(sys, "runs_of_tool_file", 0) + 1

        @tool
        def runs() -> int:
            '''How often.'''
            return sys.runs_of_tool_file
    """
    write(project, "runs.py", counting)
    try:
        assert [load_tools(["runs"], project)["runs"]() for _ in range(3)] == [1, 1, 1]
        write(project, "runs.py", dedent(counting) + "# changed\n")
        assert load_tools(["runs"], project)["runs"]() == 2
    finally:
        del sys.runs_of_tool_file  # type: ignore[attr-defined]


def test_two_projects_do_not_mix(tmp_path: Path) -> None:
    for name in ("one", "two"):
        folder = tmp_path / name / "tools"
        folder.mkdir(parents=True)
        (folder / "names.py").write_text(f"NAME = '{name}'\n")
        text = "from names import NAME\nfrom crewmix import tool\n@tool\ndef who() -> str:\n  'Who.'\n  return NAME\n"
        (folder / "who.py").write_text(text)
    whos = [load_tools(["who"], Project(tmp_path / name))["who"] for name in ("one", "two")]
    assert [who() for who in whos] == ["one", "two"]


def test_what_is_given_in_python_must_be_a_tool(project: Project) -> None:
    @tool
    def double(x: int) -> int:
        """Double."""
        return 2 * x

    def triple(x: int) -> int:
        """Triple."""
        return 3 * x

    assert set(load_tools(["double", "triple"], project, [double, triple])) == {"double", "triple"}
    assert as_tool(double) is double
    with pytest.raises(ToolDefinitionError, match="two of the given tools are called `double`"):
        load_tools([], project, [double, tool(name="double")(triple)])
    with pytest.raises(ToolDefinitionError, match="cannot be a tool"):
        load_tools([], project, ["double"])


def test_packages_bring_tools(project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "brought.py").write_text(
        "from crewmix import tool\n@tool\ndef ping() -> str:\n  'Ping.'\n  return 'pong'\nnumber = 3\n"
    )
    points = [
        EntryPoint("ping", "brought:ping", registry.ENTRY_POINTS),
        EntryPoint("calculate", "brought:ping", registry.ENTRY_POINTS),
        EntryPoint("gone", "brought:gone", registry.ENTRY_POINTS),
        EntryPoint("number", "brought:number", registry.ENTRY_POINTS),
    ]
    monkeypatch.setattr(registry, "entry_points", lambda group: points if group == "crewmix.tools" else [])
    monkeypatch.syspath_prepend(tmp_path)
    try:
        tools = load_tools(["ping", "calculate"], project)
        assert (tools["ping"](), tools["ping"].source) == ("pong", "package brought")
        assert tools["calculate"].source == "built-in tools/calculate.py"
        with pytest.raises(ToolDefinitionError, match="cannot be imported from brought:gone: AttributeError"):
            load_tools(["gone"], project)
        with pytest.raises(ToolDefinitionError, match="tool `number` of package brought: 3 cannot be a tool"):
            load_tools(["number"], project)
        problems = {info.name: info.problem for info in describe_tools(project)}
        assert problems["ping"] is None
        assert "AttributeError" in (problems["gone"] or "")
    finally:
        sys.modules.pop("brought", None)


def test_all_tools_are_listed_also_broken_ones(project: Project) -> None:
    write(project, "census.py", CENSUS)
    write(project, "odd.py", "def broken(:\n")
    write(project, "raises.py", "from crewmix import tool\n@tool\ndef late(x: int) -> int:\n  'Late.'\n1/0\n")
    infos: dict[str, Any] = {info.name: info for info in describe_tools(project)}
    assert list(infos) == sorted(infos)
    assert {"calculate", "knowledge_search", "list_files", "now", "read_file", "population", "get_area"} <= set(infos)
    assert infos["get_area"].risk == "net"
    assert infos["population"].description == "Inhabitants of a city."
    assert "odd.py:1" in infos["odd.py"].problem
    assert "ZeroDivisionError" in infos["late"].problem
    assert all(
        info.problem is None and isinstance(info.risk, str) for n, info in infos.items() if n not in ("odd.py", "late")
    )


def test_a_tool_made_by_hand_in_a_file_has_its_variable_s_name(project: Project) -> None:
    write(
        project,
        "hand.py",
        """
        from crewmix import Tool
        shout = Tool("x", "Shouts.", {"type": "object", "properties": {}}, lambda arguments, context: "HEY")
        """,
    )
    shout = load_tools(["shout"], project)["shout"]
    assert isinstance(shout, Tool)
    assert (shout.name, shout.source) == ("shout", "tools/hand.py")
