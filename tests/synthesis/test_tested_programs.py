"""Programs and tests are found in texts of every kind, and programs and tests vouch for each other."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crewmix.synthesis.programs.agreement import agreement
from crewmix.synthesis.programs.find import find_program, find_tests, signatures

INC = "def inc(x):\n    return x + 1"


def fenced(code: str, language: str = "python") -> str:
    return f"```{language}\n{code}\n```"


@pytest.mark.parametrize(
    "text",
    [
        INC,
        fenced(INC),
        fenced(INC, "py"),
        fenced(INC, ""),
        f"Here it is:\n\n{fenced(INC)}\n\nIt adds one.",
        f"Install:\n{fenced('pip install x', 'bash')}\n{fenced(INC)}\nThen:\n{fenced('>>> inc(1)' + chr(10) + '2')}",
        f"- a list\n  {fenced('def inc(x): return x + 1')}",
        f"{fenced(INC)}\n{fenced('assert inc(1) == 3')}",
        f"~~~python\n{INC}\n~~~",
    ],
)
def test_the_program_of_an_answer_is_found(text: str) -> None:
    assert find_program(text) == INC


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "I cannot write code.",
        "42",
        fenced("def inc(x: return"),
        fenced("print(1)"),
        fenced("x = 1", "json"),
        "\0def",
    ],
)
def test_an_answer_without_a_program_has_none(text: str) -> None:
    assert find_program(text) is None


def test_code_blocks_of_one_answer_are_one_program() -> None:
    future = "from __future__ import annotations\n"
    text = f"{fenced(future + 'A = 1')}\nand\n{fenced(future + INC)}"
    program = find_program(text)
    assert program is not None
    scope: dict[str, object] = {}
    exec(compile(program, "p", "exec"), scope)
    assert scope["A"] == 1 and callable(scope["inc"])


def test_tests_are_found_once_and_in_a_normal_form() -> None:
    text = fenced(
        "assert inc(1) == 2, 'one'\nassert  inc( 1 )==2\nassert inc(2) == 3\nassert True\nprint('x')\nimport os"
    )
    assert find_tests(text) == ("assert inc(1) == 2", "assert inc(2) == 3")


def test_one_broken_line_does_not_cost_the_other_tests() -> None:
    assert find_tests(fenced("assert inc(1) == 2\nassert inc( ==\n  assert inc(2) == 3")) == (
        "assert inc(1) == 2",
        "assert inc(2) == 3",
    )


@given(st.text(alphabet=st.sampled_from("`~ \nasert=()1xpythondef:\0"), max_size=200))
def test_no_text_breaks_the_readers(text: str) -> None:
    program = find_program(text)
    assert program is None or ast.parse(program)
    assert all(isinstance(ast.parse(test).body[0], ast.Assert) for test in find_tests(text))


def test_names_are_those_most_programs_define() -> None:
    programs = ["def f(a, b=2): ...", "def f(a, b=2): ...\ndef _g(): ...", "class C:\n    def m(self): ..."]
    assert signatures(programs) == ("f(a, b=2)", "C: m(self)")


def test_the_score_is_programs_times_tests() -> None:
    passed = [[1, 1, 0], [0, 0, 1], [1, 1, 0], [0, 0, 0], [0, 0, 0], [0, 0, 0], [1, 1, 1]]
    groups = agreement([[bool(x) for x in row] for row in passed])
    assert [(g.programs, g.tests, g.score) for g in groups] == [
        ((0, 2), 2, 4),
        ((6,), 3, 3),
        ((1,), 1, 1),
        ((3, 4, 5), 0, 0),
    ]


def test_of_equal_scores_the_earliest_program_wins() -> None:
    assert agreement([[False, True], [True, False]])[0].programs == (0,)


@given(
    st.integers(0, 6).flatmap(
        lambda n: st.lists(st.lists(st.booleans(), min_size=n, max_size=n), min_size=1, max_size=12)
    )
)
def test_groups_hold_every_program_once_and_the_best_comes_first(passed: list[list[bool]]) -> None:
    groups = agreement(passed)
    assert sorted(place for group in groups for place in group.programs) == list(range(len(passed)))
    assert all(passed[a] == passed[b] for group in groups for a in group.programs for b in group.programs)
    assert [g.score for g in groups] == sorted((g.score for g in groups), reverse=True)
    assert groups[0].score > 0 or not any(any(row) for row in passed)
