"""On a terminal: the live view, Ctrl-C, and the person who is asked. In a real pseudo-terminal, with real signals."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from support.command import crewmix
from support.scripted_project import write_project
from support.terminal import Terminal

GOAL = "Is Lyon large enough?"
SHOW_CURSOR = "\x1b[?25h"

ASKING = {
    "crews__send__yaml": "roles: [sender]\nplan: none\nmodels: {default: scripted/scripts/send.yaml}\n",
    "roles__sender__yaml": "role: Sender\ngoal: Send it.\ntools: [send_letter]\n",
    "tools__post__py": (
        "from pathlib import Path\n\nfrom crewmix import tool\n\n\n"
        '@tool(risk="write")\ndef send_letter(to: str) -> str:\n    """Send a letter."""\n'
        '    Path("sent.txt").write_text(to)\n    return f"sent to {to}"\n'
    ),
    "scripts__send__yaml": """\
rules:
  - {times: 1, tool_calls: [{name: send_letter, arguments: {to: Ada}}]}
  - {times: 1, tool_calls: [{name: send_letter, arguments: {to: Bob}}]}
  - {text: That is all.}
""",
}


def plain(shown: str) -> str:
    """What was shown, without the terminal's commands."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown).replace("\r", "")


def test_the_live_view_tells_the_same_and_leaves_the_terminal_as_it_was(project: Path) -> None:
    with Terminal("run", "talk", GOAL, cwd=project) as terminal:
        assert terminal.end() == 0
    text = plain(terminal.shown)
    for wanted in (
        "crew talk: Is Lyon large enough?",
        "plan: 2 tasks",
        "facts / writer speaks, round 1",
        "run: 2 drafts merged by aggregate",
        "Lyon has 520,774 people, which is enough.",
        "Status: done | cost: $0.00 | 6 model calls",
    ):
        assert wanted in text
    assert "Ctrl-C stops" in text
    assert terminal.shown.rindex(SHOW_CURSOR) > terminal.shown.rindex("\x1b[?25l")
    assert "\x1b]0;owned" not in terminal.shown


@pytest.mark.parametrize("env", [{"NO_COLOR": "1"}, {"TERM": "dumb"}, {"PYTHONIOENCODING": "ascii"}])
def test_a_terminal_that_cannot_or_may_not_redraw_gets_plain_lines(project: Path, env: dict[str, str]) -> None:
    with Terminal("run", "talk", GOAL, cwd=project, env=env) as terminal:
        assert terminal.end() == 0
    assert "\x1b" not in terminal.shown
    assert "Lyon has 520,774 people, which is enough." in terminal.shown


@pytest.mark.parametrize("env", [{}, {"NO_COLOR": "1"}], ids=["live", "plain"])
def test_ctrl_c_stops_the_run_which_can_be_resumed(project: Path, env: dict[str, str]) -> None:
    with Terminal("run", "slow", GOAL, cwd=project, env=env) as terminal:
        terminal.wait_for("writer speaks")
        terminal.press_ctrl_c()
        assert terminal.end() == 130
    text = plain(terminal.shown)
    found = re.search(r"Interrupted; `crewmix resume (\S+)` goes on from here.", text)
    assert found, text
    assert "Traceback" not in text
    if not env:
        assert terminal.shown.rindex(SHOW_CURSOR) > terminal.shown.rindex("\x1b[?25l")
    assert "cancelled" in crewmix("runs", cwd=project).stdout
    (project / "scripts/slow.yaml").write_text("rules:\n  - {text: In time.}\n", encoding="utf-8")
    assert crewmix("resume", found[1], "-q", cwd=project).stdout == "In time.\n"


def test_a_person_is_asked_before_a_tool_writes_and_can_say_why_not(project: Path) -> None:
    write_project(project, **ASKING)
    with Terminal("run", "send", GOAL, cwd=project) as terminal:
        terminal.wait_for("why not]")
        assert "sender wants to run send_letter(to='Ada'), which can change files." in plain(terminal.shown)
        terminal.type("she is on holiday")
        terminal.wait_for("why not]", times=2)
        assert "send_letter(to='Bob')" in plain(terminal.shown)
        assert not (project / "sent.txt").exists()
        terminal.type("y")
        assert terminal.end() == 0
    assert "failed (denied): " in plain(terminal.shown)
    assert (project / "sent.txt").read_text() == "Bob"


def test_nobody_there_means_no_and_yes_means_yes(project: Path) -> None:
    write_project(project, **ASKING)
    refused = crewmix("run", "send", GOAL, cwd=project, stdin="y\ny\n")
    assert refused.stdout.count("failed (denied)") == 2
    assert not (project / "sent.txt").exists()
    crewmix("run", "send", GOAL, "--yes", cwd=project)
    assert (project / "sent.txt").read_text() == "Bob"


def test_a_person_speaks_for_a_human_role(project: Path) -> None:
    with Terminal("run", "person", GOAL, cwd=project, env={"NO_COLOR": "1"}) as terminal:
        terminal.wait_for("Your turn as guest.")
        terminal.type("Two lines,")
        terminal.type("both count.")
        terminal.type("")
        assert terminal.end() == 0
    assert "Two lines,\r\nboth count.\r\n\r\nStatus: done" in terminal.shown


def test_ctrl_c_at_a_question_ends_the_run(project: Path) -> None:
    with Terminal("run", "person", GOAL, cwd=project) as terminal:
        terminal.wait_for("Your turn as guest.")
        terminal.press_ctrl_c()
        assert terminal.end() == 130
    assert "crewmix resume" in plain(terminal.shown)


def test_the_end_of_the_input_skips_the_turn(project: Path) -> None:
    with Terminal("run", "person", GOAL, cwd=project, env={"NO_COLOR": "1"}) as terminal:
        terminal.wait_for("Your turn as guest.")
        terminal.wait_for("> ")
        terminal.end_input()
        assert terminal.end() == 1
    assert "guest had nothing to say" in terminal.shown


@pytest.mark.parametrize("env", [{}, {"NO_COLOR": "1"}])
def test_what_happens_meanwhile_is_told_after_the_answer(project: Path, env: dict[str, str]) -> None:
    write_project(
        project,
        **{
            **ASKING,
            "roles__sender__yaml": "role: Sender\ngoal: Send it.\ntools: [send_letter, calculate]\n",
            "scripts__send__yaml": (
                "rules:\n  - {times: 1, tool_calls: [{name: send_letter, arguments: {to: Ada}}, "
                "{name: calculate, arguments: {expression: 6 * 7}}]}\n  - {text: That is all.}\n"
            ),
        },
    )
    with Terminal("run", "send", GOAL, cwd=project, env=env) as terminal:
        terminal.wait_for("why not]")
        terminal.type("no thanks")
        assert terminal.end() == 0
    assert "why not] no thanks\n" in plain(terminal.shown)
    assert "called calculate" in plain(terminal.shown)
