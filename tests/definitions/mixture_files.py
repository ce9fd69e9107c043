"""Crews with chats of every kind, and what is found wrong with them."""

from crewmix.definitions.load import load_crew
from crewmix.errors import DefinitionError, Problem
from definitions.conftest import ROLE, WriteProject

ROLES = {
    "roles/r.yaml": ROLE + "approves: true\n",
    "roles/h.yaml": ROLE + "actor: human\n",
    "crews/team.yaml": "description: Works alone.\nroles: [a, b]\n",
}


def problems_of(write: WriteProject, crew: str, **files: str) -> list[Problem]:
    more = {name.replace("__", "/") + ".yaml": text for name, text in files.items()}
    try:
        load_crew("c", write({**ROLES, "crews/c.yaml": crew, **more}), environ={})
    except DefinitionError as error:
        return list(error.problems)
    return []


def graph(*nodes: str, roles: str = "[a, b, r]") -> str:
    lines = "".join(f"    {node}\n" for node in nodes)
    return f"roles: {roles}\nchat:\n  pattern: graph\n  nodes:\n{lines}"


def assert_only_problem(write: WriteProject, marked: str, code: str, says: str, hint: str | None) -> None:
    """The crew has one mistake, at the mark; `says` and `hint` are parts of what is told."""
    before = marked.partition("⌖")[0].split("\n")
    found = problems_of(write, marked.replace("⌖", ""))
    assert [p.code for p in found] == [code], "one mistake is one problem"
    problem = found[0]
    assert (problem.file, problem.line, problem.column) == ("crews/c.yaml", len(before), len(before[-1]) + 1)
    assert says in problem.message
    assert hint is None or hint in f"{problem.message} {problem.hint}"
