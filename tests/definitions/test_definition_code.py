"""Python code that a crew file names: looked for in the project, told at check time, run from any folder."""

import pytest

from crewmix import Crew
from crewmix.definitions.load import check_project
from crewmix.errors import DefinitionError, ToolDefinitionError, UsageError
from support.command import crewmix

OWN = "roles: [a, b]\nplan: none\nmodels: {default: scripted/words.yaml}\nchat: {pattern: %s}\n"
WORDS = "rules:\n  - {purpose: synthesize, text: Merged.}\n  - {text: Yes.}\n"
ONCE = "def once(chat):\n    return None if chat.round else list(chat.members)\n"


def test_a_file_of_the_project_is_found_from_the_shell_in_any_folder(write, tmp_path):
    write({"crews/own.yaml": OWN % "'turns:once'", "words.yaml": WORDS, "turns.py": ONCE, "docs/x.md": "x"})
    for folder in (tmp_path, tmp_path / "docs"):
        assert "Merged." in crewmix("run", "own", "Why?", "--quiet", cwd=folder).stdout
    assert "calls" in crewmix("estimate", "own", "Why?", cwd=tmp_path).stdout


def test_two_projects_may_have_files_of_one_name(write, tmp_path):
    first = "def who(chat):\n    return None if chat.round else 'a'\n"
    for name, code in (("one", first), ("two", first.replace("'a'", "'b'"))):
        files = {"crews/own.yaml": OWN % "'mine.turns:who'", "words.yaml": WORDS, "mine/turns.py": code}
        roles = {f"roles/{role}.yaml": "role: R\ngoal: G\n" for role in "ab"}
        write({f"{name}/{path}": text for path, text in {**files, **roles}.items()})
    spoke = [Crew.load("own", project=tmp_path / name).run("Why?").drafts[0].role for name in ("one", "two")]
    assert spoke == ["a", "b"]


def test_a_function_that_picks_is_found_in_the_project_too(write):
    chat = "selector, max_turns: 2, select: {function: 'turns:who'}"
    code = "def who(chat):\n    return 'b' if chat.round == 0 else None\n"
    write({"crews/own.yaml": OWN % chat, "words.yaml": WORDS, "turns.py": code})
    assert [draft.role for draft in Crew.load("own").run("Why?").drafts] == ["b"]


@pytest.mark.parametrize(
    ("chat", "message", "hint"),
    [
        ("'turn:once'", "there is no Python module `turn`", "write it in turn.py"),
        ("'turns:onec'", "turns.py defines no `onec`", "did you mean `once`?"),
        ("'broken:f'", "broken.py:2 is no valid Python", None),
        ("selector, select: {function: 'turns:onec'}", "turns.py defines no `onec`", "did you mean `once`?"),
    ],
)
def test_code_that_is_not_there_is_a_mistake_with_its_line(write, chat, message, hint):
    project = write(
        {"crews/own.yaml": OWN % chat, "words.yaml": WORDS, "turns.py": ONCE, "broken.py": "x = 1\ndef f(:\n"}
    )
    [problem] = check_project(project)
    assert (problem.code, problem.line) == ("unknown_function", 4)
    assert problem.message.startswith(message) and (hint is None or (problem.hint or "").startswith(hint))
    with pytest.raises(DefinitionError):
        Crew.load("own")


@pytest.mark.parametrize("path", ["turns:Two", "turns:three", "turns:four", "turns:five", "json:loads", "whole:any"])
def test_code_that_may_be_there_is_no_mistake(write, path):
    code = "import json as four\nclass Two: ...\nif True:\n    three = 3\nelse:\n    def five(chat): ...\n"
    project = write(
        {"crews/own.yaml": OWN % f"'{path}'", "turns.py": code, "whole/__init__.py": "from json import *\n"}
    )
    assert check_project(project) == []


def test_code_that_fails_is_named_with_its_line(write):
    write(
        {"crews/own.yaml": OWN % "'turns:bad'", "words.yaml": WORDS, "turns.py": "def bad(chat):\n    return chat.no\n"}
    )
    with pytest.raises(UsageError, match="AttributeError") as caught:
        Crew.load("own").estimate("Why?")
    assert caught.value.hint == "look at turns.py:2"
    write({"turns.py": "def bad(chat): ...\n\n1 / 0\n"})
    with pytest.raises(ToolDefinitionError, match=r"turns\.py:3: importing this file failed: ZeroDivisionError"):
        Crew.load("own").estimate("Why?")
