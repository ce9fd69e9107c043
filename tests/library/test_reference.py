"""The docs agree with the code: fields, error codes, events, results, names."""

from __future__ import annotations

import ast
import dataclasses
import re
import sys
from pathlib import Path

import pytest

from crewmix.definitions.spec_base import Spec
from crewmix.result import RunResult, TaskResult

ROOT = Path(__file__).parents[2]
REFERENCE = Path(__file__).with_name("reference.py")


def load_reference():
    from importlib.util import module_from_spec, spec_from_file_location

    found = spec_from_file_location("library_reference", REFERENCE)
    assert found and found.loader
    module = module_from_spec(found)
    found.loader.exec_module(module)
    return module


reference = load_reference()


def text(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


@pytest.mark.parametrize("page", reference.PAGES)
def test_the_tables_are_those_of_the_code(page: str):
    assert text(page) == reference.in_step(text(page)), f"run `{sys.executable} tests/library/reference.py`"


def test_every_kind_of_definition_is_documented():
    shown = {name for page in reference.PAGES for name in re.findall(r"<!-- fields: (\w+) -->", text(page))}
    kinds = {cls.__name__ for cls in Spec.__subclasses__() if cls.__module__.startswith("crewmix.definitions.spec")}
    assert shown == {*kinds, "Rule"}


def test_every_error_code_has_its_advice_and_no_other():
    sections = re.findall(r"^### (\S+)$\n(.+)", text("docs/errors.md"), re.MULTILINE)
    assert [name for name, _ in sections] == [cls.code for cls in reference.error_classes()]
    assert all(len(advice.split()) >= 5 for _, advice in sections)


def test_every_code_of_a_mistake_in_a_file_is_explained():
    makers = {"problem", "Problem", "fault", "_stop", "_add"}
    codes: set[str] = set()
    for path in (ROOT / "src/crewmix/definitions").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in makers:
                given = [a.value for a in node.args[:2] if isinstance(a, ast.Constant) and isinstance(a.value, str)]
                codes |= {code for code in given[:1] if re.fullmatch(r"[a-z_]+", code)}
    assert len(codes) > 20
    rows = re.findall(r"^\| (`[a-z_`, ]+`) \|", text("docs/errors.md"), re.MULTILINE)
    shown = set(re.findall(r"[a-z_]+", " ".join(rows)))
    assert codes - shown == set()
    sources = "".join(p.read_text(encoding="utf-8") for p in (ROOT / "src/crewmix/definitions").glob("*.py"))
    assert {code for code in shown - {"unknown_crew"} if f'"{code}"' not in sources} == set()


def test_every_field_of_a_result_is_explained():
    page = text("docs/runs.md")
    names = {f.name for cls in (RunResult, TaskResult) for f in dataclasses.fields(cls)} | {"drafts", "messages"}
    assert {name for name in names if f"`{name}`" not in page} == set()


def test_the_index_names_every_page_and_every_crew():
    index = text("docs/index.md")
    pages = {path.name for path in (ROOT / "docs").glob("*.md")} - {"index.md"}
    assert {name for name in pages if f"({name})" not in index} == set()
    crews = {path.stem for path in (ROOT / "crews").glob("*.yaml")}
    assert {name for name in crews if f"| `{name}` |" not in index} == set()


def test_every_built_in_tool_is_named():
    from crewmix.definitions.project import Project
    from crewmix.tools.registry import describe_tools

    page = text("docs/roles-and-tools.md")
    assert {name for name in _library_tools(describe_tools(Project(ROOT))) if f"| `{name}` |" not in page} == set()


def _library_tools(described) -> set[str]:
    return {entry.name for entry in described}


def test_the_architecture_names_every_floor():
    rooms = {p.stem for p in (ROOT / "src/crewmix").iterdir() if p.suffix == ".py" or (p / "__init__.py").exists()}
    table = "".join(line for line in text("docs/architecture.md").splitlines() if line.startswith("| `"))
    assert {room for room in rooms - {"__init__"} if f"`{room}`" not in table} == set()
    for path in re.findall(r"`((?:\w+/)*\w+\.(?:py|yaml))`", text("docs/architecture.md")):
        assert (ROOT / path).exists() or (ROOT / "src/crewmix" / path).exists() or path in {"base.py", "types.py"}, path


def test_every_provider_and_its_key_is_named():
    from crewmix.models.providers import PROVIDERS

    page = text("docs/models.md")
    rows = "".join(line for line in page.splitlines() if line.startswith("| `"))
    assert {name for name in PROVIDERS if f"`{name}/" not in rows} == set()
    keyed = [name for name, known in PROVIDERS.items() if known.keys]
    places = [rows.index(f"`{name}/") for name in keyed]
    assert places == sorted(places), "the table is the order in which keys are tried"
    assert "OPENAI_MODEL" in page and "OLLAMA_MODEL" in page
