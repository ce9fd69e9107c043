"""What a user sees for each kind of mistake: file, line, column, code, and the nearest right thing."""

import pytest

from crewmix.definitions.load import check_project, load_crew
from crewmix.errors import DefinitionError, NotFoundError, Problem
from definitions.conftest import ROLE, WriteProject

REVIEWER = ROLE + "approves: true\n"


def problems_of(write: WriteProject, crew: str, **files: str) -> list[Problem]:
    project = write({"crews/c.yaml": crew, **{name.replace("__", "/") + ".yaml": text for name, text in files.items()}})
    try:
        load_crew("c", project, environ={})
    except DefinitionError as error:
        return list(error.problems)
    return []


@pytest.mark.parametrize(
    ("marked", "code", "says", "hint"),
    [
        ("roles: [a]\n⌖budgte: {usd: 1}\n", "unknown_key", "unknown key `budgte`", "did you mean `budget`?"),
        ("roles: [a]\nbudget:\n  ⌖usdd: 1\n", "unknown_key", "`budget.usdd`", "did you mean `usd`?"),
        ("roles: [a]\n⌖<<: {description: x}\n", "unknown_key", "`<<`", "extends"),
        ("roles: [a]\nmodels: {x: {⌖modle: xai/b, model: groq/d}}\n", "unknown_key", "`models.x.modle`", "`model`"),
        ("roles: [{role: X, goal: y, ⌖backstroy: z}]\n", "unknown_key", "roles[0].backstroy", "`backstory`"),
        ("⌖description: x\n", "missing_key", "`roles` is missing", None),
        ("roles:\n  - ⌖role: X\n", "missing_key", "`roles[0].goal` is missing", None),
        ("⌖roles: []\n", "wrong_value", "`roles` must hold at least 1 entry", None),
        ("roles: ⌖a\n", "wrong_type", "`roles` must be a list, not 'a'", "write [a]"),
        ("roles: [⌖[a]]\n", "wrong_type", "`roles[0]` must be a name or a mapping, not a list", None),
        ("roles: [a]\nchat: {max_turns: ⌖six}\n", "wrong_type", "a whole number, not 'six'", None),
        ("roles: [a]\nchat: {max_turns: ⌖'6'}\n", "wrong_type", "a whole number, not '6'", "without quotes"),
        ("roles: [a]\nchat: {max_turns: ⌖6.5}\n", "wrong_type", "a whole number, not 6.5", None),
        ("roles: [a]\nchat: {max_turns: ⌖0}\n", "wrong_value", "must be at least 1, not 0", None),
        ("roles: [a]\nchat: {turn_seconds: ⌖0}\n", "wrong_value", "must be more than 0", None),
        ("roles: [a]\nchat: {turn_seconds: ⌖.inf}\n", "wrong_type", "must be a number", None),
        ("roles: [a]\nbudget: {usd: ⌖lots}\n", "wrong_type", "must be a number, not 'lots'", None),
        ("roles: [a]\nbudget: {usd: ⌖-1}\n", "wrong_value", "must be at least 0", None),
        ("roles: [{role: X, goal: y, approves: ⌖yes}]\n", "wrong_type", "`true` or `false`, not 'yes'", None),
        ("roles: [a]\ndescription: ⌖12\n", "wrong_type", "must be text, not 12", "quotes"),
        ("roles: [a]\n⌖chat:\n", "wrong_type", "must be a mapping, not empty", "leave the key out"),
        ("roles: [a]\nplan: ⌖non\n", "wrong_value", "must be `none` or a mapping, not 'non'", "`none`"),
        ("roles: [a]\non_task_failure: {then: ⌖stopp}\n", "wrong_value", "`continue` or `stop`", "`stop`"),
        ("roles: [a]\ninputs: {2 x: ⌖y}\n", "wrong_value", "must be a name of letters", None),
        ("roles: [{role: X, goal: ⌖''}]\n", "wrong_value", "must not be empty", None),
        (
            "roles: [a]\nmodels: {x: {model: xai/b, ⌖price: [1]}}\n",
            "wrong_value",
            "price` must hold at least 2 entries, not 1",
            None,
        ),
        (
            "roles: [a]\nmodels:\n  x: {model: xai/b, fallback: [groq/c, ⌖z]}\n  z: {model: xai/d, fallback: [x]}\n",
            "fallback_cycle",
            "in a circle: x -> z -> x",
            None,
        ),
        ("roles: [a]\nmodels: {x: {model: xai/b, fallback: [⌖x]}}\n", "fallback_cycle", "x -> x", None),
        ("roles: [a]\nmodels: {x: {model: xai/b, fallback: [⌖y]}, y: {model: x}}\n", "fallback_cycle", "y -> y", None),
        ("roles: [a]\nmodels: {x: {model: xai/b, fallback: [⌖slow]}}\n", "unknown_model", "no model `slow`", None),
        ("roles: [⌖{role: X, goal: y, actor: human, tools: [now]}]\n", "senseless", "cannot use tools", None),
        ("roles: [⌖resercher]\n", "unknown_role", "there is no role `resercher`", "`researcher`"),
        ("roles: [a]\nsynthesizer: ⌖nobody_at_all\n", "unknown_role", "`nobody_at_all`", "choose from `a`"),
        ("roles: [a, ⌖a]\n", "duplicate_role", "role `a` is named twice", None),
        ("roles: [{role: X, goal: y, tools: [⌖kalculate]}]\n", "unknown_tool", "`kalculate`", "`calculate`"),
        ("roles: [{role: X, goal: y, llm: ⌖smrt}]\nmodels: {smart: xai/b}\n", "unknown_model", "`smrt`", "`smart`"),
        ("roles: [a]\nmodels: {x: ⌖openia/gpt}\n", "unknown_provider", "no model provider `openia`", "`openai`"),
        ("roles: [a, ⌖*b]\n", "unknown_alias", "nothing complete is named `&b`", None),
        ("roles: [a]\nmodels: {x: {model: ⌖5}}\n", "wrong_type", "`models.x.model` must be text, not 5", "quotes"),
        ("roles: [a]\nbudget: ⌖5\n", "wrong_type", "must be a mapping, not 5", "its keys are `usd`, `calls`"),
        ("roles: [a]\nsynthesis: {llm: ⌖deflt}\n", "unknown_model", "`deflt`", "`default`"),
        ("roles: [a]\nmodels: {default: ⌖gpt}\n", "unknown_model", "must be `provider/model`", "openai/"),
        ("roles: [a]\nchat: {pattern: ⌖round_robbin}\n", "unknown_pattern", "round_robbin", "`round_robin`"),
        ("roles: [a]\nsynthesis: {method: ⌖agregate}\n", "unknown_method", "agregate", "`aggregate`"),
        ("roles: [a]\nchat: {⌖select: {llm: xai/b}}\n", "senseless", "`select` is only read by", "selector"),
        (
            "roles: [a]\nchat: {pattern: selector, select: {llm: xai/b, ⌖function: json:loads}}\n",
            "senseless",
            "only one can pick",
            None,
        ),
        ("roles: [a]\nchat: {pattern: selector, select: {function: ⌖f}}\n", "wrong_value", "package.module", None),
        ("roles: [a]\nchat: {stop_when: ⌖approved}\n", "senseless", "no role of the crew has `approves", None),
        ("roles: [a, b]\nchat: {quorum: ⌖3}\n", "senseless", "cannot be reached: the crew has only 2", None),
        ("roles: [a]\n⌖plan: {max_tasks: 2}\ntasks: [{description: x}]\n", "senseless", "exclude each other", None),
        ("roles: [a]\ntasks: [⌖nosuch]\n", "unknown_task", "there is no task `nosuch`", None),
        ("roles: [a]\ntasks: [{description: x, roles: [⌖b]}]\n", "unknown_role", "not in the crew", "`a`"),
        (
            "roles: [a]\ntasks: [{id: t, description: x}, ⌖{id: t, description: y}]\n",
            "duplicate_task",
            "task `t` is named twice",
            None,
        ),
        ("roles: [a]\ntasks: [{id: t, description: x, needs: [⌖u]}]\n", "unknown_task", "needs `u`", None),
        ("roles: [a]\ntasks: [{id: t, description: x, needs: [⌖t]}]\n", "needs_cycle", "needs itself", None),
        (
            "roles: [a]\ntasks: [{description: x, output_file: ⌖../x}]\n",
            "output_file",
            "inside the project, not '../x'",
            None,
        ),
        (
            "roles: [a]\ntasks: [{description: x, output_file: o}, {description: x, output_file: ⌖o}]\n",
            "output_file",
            "writes 'o' already",
            None,
        ),
        (
            "roles: [a]\ninputs: {topic: null}\ntasks:\n  - description: |\n      First\n      use ⌖{topik} here\n",
            "unknown_placeholder",
            "`{topik}` is neither",
            "`topic`",
        ),
        ("roles: [a]\ninputs: {⌖goal: x}\n", "reserved_name", "`goal` is always an input", None),
        ("roles: [a]\nknowledge: [⌖nowhere/]\n", "no_such_path", "'nowhere/'", "relative to the project"),
        ("roles: [a]\nknowledge: [⌖'${NO_SUCH}/x']\n", "unset_variable", "`NO_SUCH` is not set", None),
        (
            "roles: [a]\nmodels: {x: {model: xai/b, api_key: ⌖'${NO_KEY}'}}\n",
            "unset_variable",
            "`NO_KEY` is not set",
            "export NO_KEY",
        ),
        ("roles: [a]\nextends: ⌖a_parent\n", "unknown_crew", "no crew `a_parent` to extend", None),
        ("roles: [a]\nextends: ⌖c\n", "extends_cycle", "in a circle: c -> c", None),
        ("roles: [{extends: ⌖nobodyatall}]\n", "unknown_role", "no role `nobodyatall` to extend", None),
    ],
)
def test_a_mistake_is_shown_at_its_place(
    write: WriteProject, marked: str, code: str, says: str, hint: str | None
) -> None:
    before = marked.partition("⌖")[0].split("\n")
    line, column = len(before), len(before[-1]) + 1
    found = problems_of(write, marked.replace("⌖", ""))
    problem = next((p for p in found if p.code == code), None)
    assert problem, found
    assert (problem.file, problem.line, problem.column) == ("crews/c.yaml", line, column)
    assert says in problem.message
    assert hint is None or hint in (problem.hint or "")
    assert str(problem).splitlines()[2].index("^") - 4 == column - 1
    if code not in {"missing_key", "extends_cycle", "unknown_crew"}:
        assert [p.code for p in found] == [code], "one mistake is one problem"


@pytest.mark.parametrize(
    ("text", "code", "line", "column"),
    [
        ("", "empty", 0, 0),
        ("# only a comment\n", "empty", 0, 0),
        ("- a\n- b\n", "not_a_mapping", 1, 1),
        ("just text", "not_a_mapping", 1, 1),
        ("roles: [a]\nroles: [b]\n", "duplicate_key", 2, 1),
        ("roles:\n\t- a\n", "tab", 2, 1),
        ("roles: [a\n", "yaml_syntax", 2, 1),
        ("roles: 'a\n", "yaml_syntax", 1, 8),
        ("roles: a: b\n", "yaml_syntax", 1, 9),
        ("roles: [a]\n---\nroles: [b]\n", "multiple_documents", 2, 1),
        ("? [a, b]\n: c\nroles: [a]\n", "complex_key", 1, 3),
        ("roles: !!set [a]\n", "tag", 1, 8),
        ("roles: [*nothing]\n", "unknown_alias", 1, 9),
        ("roles: &x [a, *x]\n", "unknown_alias", 1, 15),
        ("roles: [a\0]\n", "bad_character", 1, 10),
        ('description: "\\0"\nroles: [a]\n', "bad_character", 1, 14),
        ('description: "\\uD800"\nroles: [a]\n', "bad_character", 1, 14),
        ("roles: " + "[" * 60 + "]" * 60, "too_deep", 1, 47),
        ("a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
            f"{chr(98 + i)}: &{chr(98 + i)} [{', '.join(['*' + chr(97 + i)] * 10)}]\n" for i in range(8)
        ), "too_many_values", 5, 8),
        ("x: " + "y" * 1_000_000, "too_large", 0, 0),
    ],
)  # fmt: skip
def test_broken_yaml_is_shown_at_its_place(write: WriteProject, text: str, code: str, line: int, column: int) -> None:
    found = problems_of(write, text)
    problem = next((p for p in found if p.code == code), None)
    assert problem, found
    assert (problem.line, problem.column) == (line, column)


def test_a_file_that_is_not_utf8_names_the_byte(write: WriteProject) -> None:
    project = write({"crews/c.yaml": ""})
    (project.root / "crews/c.yaml").write_bytes("roles: [a]\ndescription: Müller\n".encode("latin-1"))
    with pytest.raises(DefinitionError) as caught:
        load_crew("c", project)
    assert "byte 0xfc at position 25 (line 2)" in caught.value.problems[0].message


def test_a_byte_order_mark_and_windows_line_ends_are_fine(write: WriteProject) -> None:
    project = write({})
    (project.root / "crews").mkdir()
    (project.root / "crews/c.yaml").write_bytes(b"\xef\xbb\xbfroles: [a]\r\nbugdet: {}\r\n")
    with pytest.raises(DefinitionError) as caught:
        load_crew("c", project)
    problem = caught.value.problems[0]
    assert (problem.line, problem.column, problem.source_line) == (2, 1, "bugdet: {}")


def test_a_folder_in_place_of_a_file_is_a_problem(write: WriteProject) -> None:
    project = write({"crews/c.yaml/inside.txt": "x"})
    with pytest.raises(DefinitionError, match="is a folder"):
        load_crew("c", project)


def test_an_unknown_crew_names_the_nearest(write: WriteProject) -> None:
    project = write({"crews/planning.yaml": "roles: [a]\n"})
    with pytest.raises(NotFoundError, match="did you mean `planning`"):
        load_crew("planing", project)
    with pytest.raises(NotFoundError):
        load_crew("no/such/file.yaml", project)


def test_all_mistakes_of_all_files_come_at_once(write: WriteProject) -> None:
    found = problems_of(
        write,
        "roles: [x, y, nobody]\nbudgte: {}\nextends: parent\ntasks: [t]\nmodels: {default: '${HOST_X}/m'}\n",
        crews__parent="roles: [a]\nchat: {patern: selector}\n",
        roles__x="role: X\ngol: y\n",
        roles__y="role: Y\ngoal: y\nllm: nope\ntools: [nope]\n",
        tasks__t="description: '{q}'\nneeds: [u]\nchat: {pattern: nope}\n",
    )
    assert [(p.file, p.line, p.code) for p in found] == [
        ("crews/c.yaml", 1, "unknown_role"),
        ("crews/c.yaml", 2, "unknown_key"),
        ("crews/c.yaml", 5, "unset_variable"),
        ("crews/parent.yaml", 2, "unknown_key"),
        ("roles/x.yaml", 2, "unknown_key"),
        ("roles/y.yaml", 3, "unknown_model"),
        ("roles/y.yaml", 4, "unknown_tool"),
        ("tasks/t.yaml", 1, "unknown_placeholder"),
        ("tasks/t.yaml", 3, "unknown_pattern"),
    ]


def test_a_crew_without_usable_roles_still_shows_the_mistakes_of_the_files_it_names(write: WriteProject) -> None:
    found = problems_of(write, "planner: x\ntasks: [t]\n", roles__x="role: X\n", tasks__t="descripton: y\n")
    assert {(p.file, p.code) for p in found} == {
        ("crews/c.yaml", "missing_key"),
        ("roles/x.yaml", "missing_key"),
        ("tasks/t.yaml", "unknown_key"),
    }


def test_a_circle_of_needs_is_shown(write: WriteProject) -> None:
    tasks = "".join(f"  - {{id: {t}, description: x, needs: [{n}]}}\n" for t, n in ("ab", "bc", "ca", "da"))
    found = problems_of(write, f"roles: [a]\ntasks:\n{tasks}")
    assert [p.message for p in found] == ["tasks need each other in a circle: a -> b -> c -> a"]


def test_a_chat_needs_someone_who_drafts(write: WriteProject) -> None:
    assert "nobody would write" in problems_of(write, "roles: [r]\n", roles__r=REVIEWER)[0].message
    found = problems_of(write, "roles: [a, r]\ntasks: [{description: x, roles: [r]}]\n", roles__r=REVIEWER)
    assert [p.code for p in found] == ["senseless"]


def test_stop_when_approved_is_fine_with_a_reviewer(write: WriteProject) -> None:
    assert problems_of(write, "roles: [a, r]\nchat: {stop_when: approved}\n", roles__r=REVIEWER) == []


def test_a_quorum_that_a_task_cannot_reach_is_a_mistake(write: WriteProject) -> None:
    crew = "roles: [a, b]\nchat: {quorum: 2}\ntasks: [{id: t, description: x, roles: [a]}]\n"
    assert "task `t` has only 1" in problems_of(write, crew)[0].message


def test_a_key_in_the_file_is_refused_and_not_shown(write: WriteProject) -> None:
    crew = "roles: [a]\nmodels: {x: {model: xai/b, api_key: sk-0123456789abcdef, typo: 1}}\n"
    found = problems_of(write, crew)
    assert {p.code for p in found} == {"literal_secret", "unknown_key"}
    assert "sk-0123" not in "\n".join(map(str, found))
    crew = "roles: [a]\nmodels: {x: {model: xai/b, apikey: 'sk-0123456789abcdef'}}\n"
    assert "sk-0123" not in str(problems_of(write, crew)[0])
    crew = "roles: [a]\nmodels:\n  x:\n    model: xai/b\n    base_url: http://me:pass@host/v1\n"
    assert [p.code for p in problems_of(write, crew)] == ["literal_secret"]


def test_code_braces_and_shell_variables_are_no_placeholders(write: WriteProject) -> None:
    text = 'Write {"a": {"b": 1}} or {} or {a b} or {{name}} or ${HOME} about {goal}'
    assert problems_of(write, f"roles: [a]\ntasks: [{{description: '{text}'}}]\n") == []


def test_check_project_covers_what_no_crew_uses(write: WriteProject) -> None:
    project = write(
        {
            "crews/c.yaml": "roles: [a]\n",
            "roles/unused.yaml": "role: X\ngoal: y\ntols: []\n",
            "tasks/unused.yaml": "description: x\nsynthesis: {method: nope}\n",
            "tools/broken.py": "def f(:\n    pass\n",
            "tools/fine.py": "from crewmix import tool\n@tool\ndef fine() -> int:\n    '''x'''\n",
            "tools/twice.py": "from crewmix import tool\n@tool('fine')\ndef again() -> int:\n    '''x'''\n",
        }
    )
    found = check_project(project)
    assert [(p.file, p.line, p.code) for p in found] == [
        ("roles/unused.yaml", 3, "unknown_key"),
        ("tasks/unused.yaml", 2, "unknown_method"),
        ("tools/broken.py", 1, "tool_syntax"),
        ("tools/twice.py", 3, "duplicate_tool"),
    ]


def test_the_built_in_library_has_no_mistakes(write: WriteProject) -> None:
    assert check_project(write({}), library=True, environ={}) == []
