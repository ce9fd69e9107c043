"""People on the terminal: the plan, questions, consent for good, and runs that wait for an answer from elsewhere."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from support.command import crewmix
from support.scripted_project import write_project
from support.terminal import Terminal

GOAL = "Is Lyon large enough?"
PLAIN = {"NO_COLOR": "1"}

FILES = {
    "crews__planned__yaml": (
        "roles: [writer]\nplan: {max_tasks: 2}\nreview: plan\nmodels: {default: scripted/scripts/talk.yaml}\n"
    ),
    "crews__send__yaml": "roles: [sender]\nplan: none\nmodels: {default: scripted/scripts/send.yaml}\n",
    "crews__post__yaml": "roles: [poster]\nplan: none\nmodels: {default: scripted/scripts/post.yaml}\n",
    "roles__poster__yaml": "role: Poster\ngoal: Post it.\ntools: [send_letter]\n",
    "scripts__post__yaml": """\
rules:
  - {contains: sent to Ada, text: That is all.}
  - {tool_calls: [{name: send_letter, arguments: {to: Ada}}]}
""",
    "roles__sender__yaml": "role: Sender\ngoal: Send it.\ntools: [send_letter, ask_user]\n",
    "tools__post__py": (
        "from pathlib import Path\n\nfrom crewmix import tool\n\n\n"
        '@tool(risk="write")\ndef send_letter(to: str) -> str:\n    """Send a letter."""\n'
        '    with Path("sent.txt").open("a") as file:\n        file.write(f"{to};")\n    return f"sent to {to}"\n'
    ),
    "scripts__send__yaml": """\
rules:
  - {contains: sent to Bob, text: That is all.}
  - {contains: sent to Ada, tool_calls: [{name: send_letter, arguments: {to: Bob}}]}
  - {contains: blue paper, tool_calls: [{name: send_letter, arguments: {to: Ada}}]}
  - {tool_calls: [{name: ask_user, arguments: {question: "On blue paper, or on red?"}}]}
""",
}


@pytest.fixture
def crews(project: Path) -> Path:
    """The project with a crew whose plan is reviewed and one that asks."""
    return write_project(project, **FILES)


def plain(shown: str) -> str:
    """What was shown, without the terminal's commands."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown).replace("\r", "")


def editor(folder: Path, *edits: tuple[str, str]) -> dict[str, str]:
    """The environment with an editor that makes one replacement each time it is opened."""
    program = folder / "editor.py"
    program.write_text(
        "import sys\nfrom pathlib import Path\n\n"
        f"edits, count, file = {list(edits)!r}, Path({str(folder / 'edits')!r}), Path(sys.argv[1])\n"
        "done = int(count.read_text()) if count.exists() else 0\ncount.write_text(str(done + 1))\n"
        "text = file.read_text()\nassert edits[done][0] in text, text\nfile.write_text(text.replace(*edits[done]))\n",
        encoding="utf-8",
    )
    return {"VISUAL": f"{sys.executable} {program}"}


@pytest.mark.parametrize("env", [{}, PLAIN], ids=["live", "plain"])
def test_a_person_reads_the_plan_and_says_yes(crews: Path, env: dict[str, str]) -> None:
    with Terminal("run", "planned", GOAL, cwd=crews, env=env) as terminal:
        terminal.wait_for("n = stop here]")
        assert "The plan: 2 tasks\n  facts: Collect the facts. (writer)" in plain(terminal.shown)
        assert "writer speaks" not in terminal.shown
        terminal.type("hm?")
        terminal.wait_for("n = stop here]", times=2)
        terminal.type("y")
        assert terminal.end() == 0
    assert "plan accepted by a person" in plain(terminal.shown)
    assert "Lyon has 520,774 people, which is enough." in plain(terminal.shown)


def test_a_person_edits_the_plan_and_mistakes_are_told_with_their_line(crews: Path) -> None:
    env = {**PLAIN, **editor(crews, ("roles:", "rolls:"), ("rolls:", "roles:"), ("Judge them.", "Judge them kindly."))}
    with Terminal("run", "planned", GOAL, cwd=crews, env=env) as terminal:
        terminal.wait_for("n = stop here]")
        terminal.type("e")
        terminal.wait_for("The plan is as it was; `e` goes on editing.")
        assert re.search(r"plan\.yaml:\d+:\d+: .*rolls", plain(terminal.shown))
        terminal.wait_for("n = stop here]", times=2)
        terminal.type("e")
        terminal.wait_for("n = stop here]", times=3)
        terminal.type("e")
        terminal.wait_for("n = stop here]", times=4)
        assert "verdict: Judge them kindly. (writer, after facts)" in plain(terminal.shown)
        terminal.type("yes")
        assert terminal.end() == 0
    shown = plain(terminal.shown)
    assert "plan changed by a person" in shown and shown.count("Judge them kindly.") >= 2


@pytest.mark.parametrize("visual", ["no-such-editor", "false", "'"])
def test_an_editor_that_does_not_work_is_told_and_the_plan_stays(crews: Path, visual: str) -> None:
    with Terminal("run", "planned", GOAL, cwd=crews, env={**PLAIN, "VISUAL": visual}) as terminal:
        terminal.wait_for("n = stop here]")
        terminal.type("e")
        terminal.wait_for("n = stop here]", times=2)
        assert "The plan is as it was" in terminal.shown
        terminal.type("y")
        assert terminal.end() == 0


@pytest.mark.parametrize("leave", ["n", None], ids=["no", "end of input"])
def test_a_plan_that_is_refused_is_shown_again_when_the_run_is_resumed(crews: Path, leave: str | None) -> None:
    with Terminal("run", "planned", GOAL, cwd=crews, env=PLAIN) as terminal:
        terminal.wait_for("n = stop here]")
        if leave:
            terminal.type(leave)
        else:
            terminal.end_input()
        assert terminal.end() == 130
    assert re.search(r"The plan was not accepted; `crewmix resume \S+` goes on from here\.", plain(terminal.shown))
    with Terminal("resume", "last", cwd=crews, env=PLAIN) as terminal:
        terminal.wait_for("n = stop here]")
        terminal.type("y")
        assert terminal.end() == 0


def test_without_a_terminal_a_plan_is_not_worked_unless_told(crews: Path) -> None:
    refused = crewmix("run", "planned", GOAL, cwd=crews, check=1)
    assert "nobody can be asked: the plan is to be reviewed" in refused.stderr
    assert "writer speaks" not in refused.stdout
    crewmix("resume", "last", "--yes", cwd=crews)


def test_a_role_asks_and_consent_can_be_given_for_the_whole_run(crews: Path) -> None:
    with Terminal("run", "send", GOAL, cwd=crews, env=PLAIN) as terminal:
        terminal.wait_for("sender asks you.")
        assert "On blue paper, or on red?" in terminal.shown
        terminal.type("blue paper")
        terminal.type("")
        terminal.wait_for("why not]")
        terminal.type("a")
        assert terminal.end() == 0
    assert terminal.shown.count("why not]") == 1
    assert "consent: sender wants send_letter(to='Bob'): yes, allowed for the whole run" in terminal.shown
    assert (crews / "sent.txt").read_text() == "Ada;Bob;"


def test_a_run_waits_and_is_answered_and_resumed_by_other_processes(crews: Path) -> None:
    waiting = crewmix("run", "person", GOAL, "--wait", cwd=crews, check=4)
    assert "the run waits for a person: guest is to speak" in waiting.stderr
    assert "Traceback" not in waiting.stderr
    assert "waiting" in crewmix("runs", cwd=crews).stdout
    asked = f"Question 1, your turn as guest:\n  {GOAL}\n"
    assert asked in crewmix("answer", "last", cwd=crews).stdout
    assert asked in crewmix("show", "last", cwd=crews).stdout
    crewmix("resume", "last", cwd=crews, check=4)
    assert "Answered." in crewmix("answer", "last", "-", cwd=crews, stdin="Large enough.\n").stdout
    assert "waits for nobody" in crewmix("answer", "last", "Too small.", cwd=crews, check=2).stderr
    assert crewmix("resume", "last", "--wait", "-q", cwd=crews).stdout == "Large enough.\n"
    assert "done" in crewmix("runs", cwd=crews).stdout


def test_consent_can_be_given_by_another_process(crews: Path) -> None:
    waiting = crewmix("run", "post", GOAL, "--wait", cwd=crews, check=4)
    assert "the run waits for a person: poster wants to run send_letter" in waiting.stderr
    [consent] = json.loads(crewmix("answer", "last", "--json", cwd=crews).stdout)
    assert (consent["kind"], consent["request"]["arguments"]) == ("approval", {"to": "Ada"})
    told = crewmix("answer", "last", "yes please", cwd=crews, check=2).stderr
    assert "a text does not tell whether the tool may run" in told
    given = json.loads(crewmix("answer", "last", "--always", "--json", cwd=crews).stdout)
    assert given == {"answered": consent["number"], "open": []}
    assert not (crews / "sent.txt").exists()
    assert crewmix("resume", "last", "-q", cwd=crews).stdout == "That is all.\n"
    assert (crews / "sent.txt").read_text() == "Ada;"


@pytest.mark.parametrize(
    ("how", "stdin", "tasks"),
    [
        (["--yes"], "", ["facts", "verdict"]),
        (["-"], "tasks:\n  - {id: only, description: Say it.}\n", ["only"]),
        (["--edit"], "", ["facts", "verdict2"]),
    ],
    ids=["yes", "yaml", "edit"],
)
def test_a_plan_that_waits_is_accepted_or_changed(crews: Path, how: list[str], stdin: str, tasks: list[str]) -> None:
    crewmix("run", "planned", GOAL, "--wait", cwd=crews, check=4)
    assert "  - id: facts\n" in crewmix("answer", "last", cwd=crews).stdout
    assert (
        "unknown role"
        in crewmix("answer", "last", "tasks: [{id: a, description: b, roles: [x]}]", cwd=crews, check=2).stderr
    )
    crewmix("answer", "last", *how, cwd=crews, stdin=stdin, env=editor(crews, ("id: verdict", "id: verdict2")))
    result = json.loads(crewmix("resume", "last", "--json", cwd=crews).stdout.splitlines()[-1])
    assert [task["id"] for task in result["tasks"]] == tasks


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--yes", "--no"], "several answers at once"),
        (["--yes", "text"], "several answers at once"),
        (["--edit"], "has no plan to edit"),
        (["--yes"], "guest is to be told a text"),
        (["text", "--question", "7"], "question 7"),
    ],
)
def test_answers_that_make_no_sense_are_told(crews: Path, options: list[str], words: str) -> None:
    crewmix("run", "person", GOAL, "--wait", cwd=crews, check=4)
    assert words in crewmix("answer", "last", *options, cwd=crews, check=2).stderr
    crewmix("answer", "last", "Large enough.", cwd=crews)
    assert crewmix("resume", "last", "-q", cwd=crews).stdout == "Large enough.\n"


def test_a_question_left_with_ctrl_c_can_be_answered_from_elsewhere(crews: Path) -> None:
    with Terminal("run", "person", GOAL, cwd=crews, env=PLAIN) as terminal:
        terminal.wait_for("Your turn as guest.")
        terminal.press_ctrl_c()
        assert terminal.end() == 130
    crewmix("answer", "last", "Large enough.", cwd=crews)
    assert crewmix("resume", "last", "-q", cwd=crews).stdout == "Large enough.\n"
