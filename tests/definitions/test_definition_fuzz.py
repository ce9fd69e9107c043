"""Whatever a file holds: a crew or problems, never a traceback."""

import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crewmix.definitions.bounds import most_drafts
from crewmix.definitions.definition import CrewDefinition
from crewmix.definitions.load import load_crew
from crewmix.definitions.names import METHODS, PATTERNS
from crewmix.definitions.nodes import SourceFile
from crewmix.definitions.project import Project, library_root
from crewmix.definitions.seats import seats
from crewmix.definitions.yaml_tree import parse_yaml
from crewmix.errors import DefinitionError, Problem

PIECES = [
    *"\t\n\r \0:-?[]{},#&*!|>'\"%@`~\\\x85\u2028\ufeff\ud7ff",
    "---",
    "...",
    "<<: ",
    "&a ",
    "*a",
    "!!int ",
    "!x ",
    "? ",
    ": ",
    "\n  - ",
    "\n\t",
    "null",
    "true",
    "1e999",
    "0x_",
    ".nan",
    "9" * 400,
    '"\\ud800"',
    '"\\U99999999"',
    '"\\xz"',
    "%YAML 9.9\n---\n",
    "%TAG ! x\n",
    "extends: c\n",
    "{x}",
    "${X}",
    "[" * 50,
    "roles",
    "|9\n",
    ">-\n",
    "é",
    "🙂",
]


def check(project: Project) -> CrewDefinition | None:
    try:
        crew = load_crew("c", project, environ={})
    except DefinitionError as error:
        assert error.problems
        for problem in error.problems:
            assert_shown(problem)
        return None
    crew.fingerprint()
    return crew


def assert_shown(problem: Problem) -> None:
    assert problem.code.isidentifier()
    assert problem.message
    assert problem.line >= 0
    assert (problem.line == 0) == (problem.column == 0)
    assert "Traceback" not in str(problem)
    str(problem).encode()


@pytest.mark.parametrize("name", [p.stem for p in sorted((library_root() / "crews").glob("*.yaml"))[:4]])
def test_mutated_crews(tmp_path: Path, name: str) -> None:
    whole = (library_root() / f"crews/{name}.yaml").read_text(encoding="utf-8")
    body = "\n".join(line for line in whole.splitlines() if not line.startswith("#"))
    chance = random.Random(name)
    file = tmp_path / "crews/c.yaml"
    file.parent.mkdir()
    for _ in range(60):
        text = body
        for _ in range(chance.randint(1, 4)):
            place = chance.randrange(len(text) + 1)
            cut = chance.choice([0, 0, 1, 5, 40])
            text = text[:place] + chance.choice([*PIECES, ""]) + text[place + cut :]
        file.write_bytes(text.encode("utf-8", "surrogatepass"))
        check(Project(tmp_path))


@given(st.lists(st.sampled_from([*PIECES, "a: ", "\nb: ", "x"]), max_size=12).map("".join))
@settings(max_examples=300, deadline=None)
def test_any_text(text: str) -> None:
    node, problems = parse_yaml(SourceFile("f.yaml", text))
    assert (node is not None and isinstance(node.value, dict)) or problems
    for problem in problems:
        assert_shown(problem)


@given(st.binary(max_size=60))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "crews/c.yaml"
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(data)
    check(Project(tmp_path))


KEYS = st.sampled_from(
    "name role goal tools roles planner tasks plan chat select pattern models default model price inputs budget usd extends "
    "id needs description synthesis llm approve knowledge params x crew crews judge proposers samples count layers per_layer "
    "quorum rounds stop agree nodes next to when verdict fields each handoffs method weights choices answer record rubric".split()
)
WORDS = [
    "a",
    "{x}",
    "none",
    "a/b",
    "",
    "x y",
    "critic",
    "proposer",
    "a.x",
    "list",
    "approve",
    ">= 3",
    *PATTERNS,
    *METHODS,
]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(WORDS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(KEYS, VALUES, max_size=6))
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_shape(tmp_path: Path, data: dict[str, object]) -> None:
    import json

    file = tmp_path / "crews/c.yaml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps({"roles": ["critic"], **data}))
    check(Project(tmp_path))


NAMES = st.sampled_from(["draft", "review", "next", "role", "gone"])
ROLES = st.sampled_from(["proposer", "critic", "nobody"])
KINDS = st.sampled_from(["text", "number", "boolean", "list", ["yes", "no"], [], "nope"])
WHENS = st.dictionaries(
    st.sampled_from(["verdict", "f", "g"]), st.sampled_from(["approve", "yes", ">= 3", "< x", 3, True]), max_size=2
)
WAYS = NAMES | st.fixed_dictionaries({"to": NAMES}, optional={"when": WHENS})
NODES = st.dictionaries(
    NAMES,
    st.fixed_dictionaries(
        {"role": ROLES},
        optional={
            "fields": st.dictionaries(st.sampled_from(["f", "g", "verdict"]), KINDS, max_size=2),
            "next": WAYS | st.lists(WAYS, max_size=3),
            "each": st.sampled_from(["draft.f", "draft", "gone.f", "review.g", "."]),
            "limit": st.integers(0, 4),
            "max_items": st.integers(0, 4),
        },
    ),
    max_size=4,
)
CHATS = st.fixed_dictionaries(
    {"pattern": st.sampled_from([*PATTERNS, "nope", "m:f", "m:"])},
    optional={
        "nodes": NODES,
        "proposers": st.lists(ROLES | st.fixed_dictionaries({"role": ROLES}, optional={"count": st.integers(0, 3)})),
        "samples": st.integers(0, 4),
        "layers": st.integers(1, 4),
        "per_layer": st.lists(st.fixed_dictionaries({}, optional={"quorum": st.integers(0, 3)}), max_size=3),
        "stop": st.fixed_dictionaries({"agree": st.integers(1, 4)}, optional={"similarity": st.floats(0, 1)}),
        "handoffs": st.dictionaries(ROLES, st.lists(ROLES, max_size=2), max_size=2),
        "quorum": st.integers(0, 4),
        "max_turns": st.integers(0, 4),
        "stop_when": st.just("approved"),
        "rounds": st.integers(0, 3),
    },
)
SYNTHESES = st.fixed_dictionaries(
    {"method": st.sampled_from([*METHODS, "nope"])},
    optional={
        "weights": st.sampled_from(["confidence", "x", {}]) | st.dictionaries(ROLES, st.floats(-1, 2), max_size=2),
        "answer": st.sampled_from(["auto", "label", "choice", "number"]),
        "choices": st.lists(st.sampled_from(["yes", "Yes", "no"]), max_size=3),
        "quorum": st.integers(0, 4),
        "record": st.sampled_from(["none.json", "crews", "\0"]),
        "ties": st.sampled_from(["record", "first"]),
    },
)


@given(CHATS, SYNTHESES, st.lists(ROLES, min_size=1, max_size=3))
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_chat_is_a_table_of_seats_or_problems(
    tmp_path: Path, chat: dict[str, object], synthesis: dict[str, object], roles: list[str]
) -> None:
    import json

    file = tmp_path / "crews/c.yaml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps({"roles": roles, "chat": chat, "synthesis": synthesis}))
    crew = check(Project(tmp_path))
    if crew is not None:
        table = seats(crew.chat, crew.roles)
        names = [seat.name for seat in table]
        assert names
        assert len(names) == len(set(names))
        assert 1 <= most_drafts(crew.chat, table) <= len(names)
