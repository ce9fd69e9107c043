"""`crewmix run`: what a user sees in pipes and files, and what a program gets."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from crewmix.journal.events import RunFinished, event_from_dict
from crewmix.result import RunResult
from support.command import START, crewmix, environment
from support.scripted_project import write_project

GOAL = "Is Lyon large enough?"


def test_lines_tell_the_whole_story(project: Path) -> None:
    done = crewmix("run", "talk", GOAL, cwd=project)
    told = iter(done.stdout.splitlines())
    for wanted in (
        "run ",
        "crew talk: Is Lyon large enough?",
        "model default: scripted/scripts/talk.yaml (",
        "plan: 2 tasks",
        "  facts: Collect the facts.",
        "facts / writer speaks, round 1",
        "  facts / critic: Nothing is missing. [verdict: approve]",
        "facts: draft by writer",
        "facts: done",
        "verdict / writer speaks",
        "verdict: done",
        "run: 2 drafts merged by aggregate",
        "Lyon has 520,774 people, which is enough.",
        "Status: done | cost: $0.00 | 6 model calls | about ",
        "Run ",
    ):
        assert any(line.startswith(wanted) for line in told), f"{wanted!r} is not told there\n{done.stdout}"
    assert done.stderr == ""


def test_what_a_model_says_cannot_steer_the_terminal(project: Path) -> None:
    done = crewmix("run", "talk", GOAL, cwd=project)
    assert "\\x1b[2J\\x1b]0;owned\\x07" in done.stdout
    assert "\x1b" not in done.stdout


def test_quiet_prints_the_answer_and_nothing_else(project: Path) -> None:
    done = crewmix("run", "talk", GOAL, "--quiet", cwd=project)
    assert done.stdout == "Lyon has 520,774 people, which is enough.\n"
    assert done.stderr == ""


def test_json_is_events_and_then_the_result(project: Path) -> None:
    done = crewmix("run", "talk", GOAL, "--json", cwd=project)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    events = [event_from_dict(line) for line in lines[:-1]]
    assert isinstance(events[-1], RunFinished)
    kept = [event.seq for event in events if event.kept]
    assert kept == list(range(1, len(kept) + 1))
    assert {"TextDelta", "PlanMade", "DraftMade", "Synthesised"} <= {event.type for event in events}
    assert lines[-1].pop("type") == "RunResult"
    assert RunResult.from_dict(lines[-1]).output == "Lyon has 520,774 people, which is enough."
    assert done.stdout.isascii()


def test_what_a_tool_prints_is_no_part_of_the_answer(project: Path) -> None:
    write_project(
        project,
        crews__loud__yaml="roles: [loud]\nplan: none\nmodels: {default: scripted/scripts/loud.yaml}\n",
        roles__loud__yaml="role: Loud\ngoal: Shout.\ntools: [shout]\n",
        tools__loud__py=(
            "from crewmix import tool\n\nprint('loaded')\n\n\n@tool\ndef shout() -> str:\n"
            '    """Shout."""\n    print(\'hey\')\n    return \'done\'\n'
        ),
        scripts__loud__yaml="rules:\n  - {times: 1, tool_calls: [{name: shout}]}\n  - {text: That is all.}\n",
    )
    done = crewmix("run", "loud", GOAL, "--json", cwd=project)
    assert all("type" in json.loads(line) for line in done.stdout.splitlines())
    assert done.stderr.split() == ["loaded", "hey"]
    assert crewmix("run", "loud", GOAL, "--quiet", cwd=project).stdout == "That is all.\n"


def test_the_goal_can_come_from_a_pipe(project: Path) -> None:
    done = crewmix("run", "talk", "-", cwd=project, stdin="Is Lyon\nlarge enough?\n")
    assert "crew talk: Is Lyon large enough?" in done.stdout


def test_it_says_when_no_language_model_serves(project: Path) -> None:
    done = crewmix("estimate", "talk", GOAL, "--model", "offline/extractive", cwd=project)
    assert "no language model: offline/extractive serves" in done.stdout


def test_a_budget_stops_it_with_the_best_there_is(project: Path) -> None:
    done = crewmix("run", "poor", GOAL, cwd=project, check=3)
    assert "\nLyon is large enough.\n" in done.stdout
    assert "Status: stopped by its budget" in done.stdout
    assert "Budget: 1 of 1 calls" in done.stdout


def test_a_budget_can_be_given(project: Path) -> None:
    done = crewmix("run", "talk", GOAL, "--budget", "calls=2", cwd=project, check=3)
    assert "Budget: 2 of 2 calls" in done.stdout
    again = crewmix("resume", "last", "--budget", "calls=20", cwd=project)
    assert "(taken up again)" in again.stdout
    assert "Status: done | cost: $0.00 | 6 model calls" in again.stdout


def test_a_failed_run_ends_with_one_and_the_reason(project: Path) -> None:
    done = crewmix("run", "broken", GOAL, cwd=project, check=1)
    assert "FAILED: answer / writer, round 1" in done.stdout
    assert done.stderr.startswith("crewmix: no task has an answer")
    assert "Traceback" not in done.stderr


def test_a_failed_run_is_json_too(project: Path) -> None:
    done = crewmix("run", "broken", GOAL, "--json", cwd=project, check=1)
    last = json.loads(done.stdout.splitlines()[-1])
    assert (last["type"], last["code"]) == ("Error", "run")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("run", "talkk", GOAL), "did you mean `talk`?"),
        (("run", "wrong", GOAL), "crews/wrong.yaml:1:1: unknown key `rolls`"),
        (("run", "solo", GOAL), "--input city="),
        (("run", "talk", " "), "the goal is empty"),
        (("run", "talk", GOAL, "--budget", "euros=3"), "the limits are usd, calls"),
        (("run", "talk", GOAL, "--model", "nobody/nothing"), "unknown model provider 'nobody'"),
        (("run", "talk", GOAL, "--input", "city"), "NAME=TEXT"),
        (("run", "talk", GOAL, "--knowledge", "nowhere"), "nowhere does not exist"),
        (("run", "talk", GOAL, "--project", "nowhere"), "there is no folder 'nowhere'"),
        (("run", "talk"), "Missing argument"),
        (("run", "talk", GOAL, "--colour"), "No such option"),
        (("resume", "nothing"), "has no runs yet"),
        (("show", "last"), "has no runs yet"),
    ],
)
def test_wrong_input_ends_with_two_and_what_is_right(project: Path, arguments: tuple[str, ...], told: str) -> None:
    done = crewmix(*arguments, cwd=project, check=2)
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_inputs_are_filled_in(project: Path) -> None:
    done = crewmix("run", "solo", GOAL, "--input", "city=Lyon", "-q", cwd=project)
    assert done.stdout == "Lyon is large enough.\n"


def test_an_unexpected_error_is_one_line_and_debug_shows_more(project: Path) -> None:
    code = "import crewmix.crew\ncrewmix.crew.Crew.load = lambda *a, **k: 1 / 0\n" + START
    for debug, wanted in (("", "unexpected error: ZeroDivisionError"), ("1", "Traceback")):
        env = environment(CREWMIX_DEBUG=debug)
        done = subprocess.run(
            [sys.executable, "-c", code, "run", "talk", GOAL],
            cwd=project, env=env, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 1
        assert wanted in done.stderr
        assert ("Traceback" in done.stderr) == bool(debug)


def test_head_ends_it_quietly(project: Path) -> None:
    model = "{model: scripted/scripts/broken.yaml, attempts: 10}"  # tells of every attempt, so there is always more to write
    restless = f"roles: [writer]\nplan: none\nmodels: {{default: {model}}}\n"
    write_project(project, crews__restless__yaml=restless)
    with subprocess.Popen(
        [sys.executable, "-c", START, "run", "restless", GOAL],
        cwd=project, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline().startswith("run ")
        process.stdout.close()
        assert process.wait(30) == 141
        assert process.stderr.read() == ""


def test_a_second_ctrl_c_kills_what_does_not_stop(project: Path) -> None:
    stubborn = """
import os, threading, crewmix.crew
def run(self, goal, **seat):
    try:
        os.write(1, b"begun\\n")
        threading.Event().wait()
    except KeyboardInterrupt:
        os.write(1, b"not yet\\n")
        threading.Event().wait()
crewmix.crew.Crew.run = run
"""
    with subprocess.Popen(
        [sys.executable, "-c", stubborn + START, "run", "talk", GOAL],
        cwd=project, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        for said in ("begun", "not yet"):
            assert process.stdout.readline() == f"{said}\n"
            process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130


def test_help_and_lists_end_quietly_too(project: Path) -> None:
    for command in ("--help", "tools"):
        read, write = os.pipe()
        os.close(read)
        done = subprocess.run(
            [sys.executable, "-c", START, command],
            cwd=project, env=environment(), stdout=write, stderr=subprocess.PIPE, text=True, timeout=60, check=False,
        )  # fmt: skip
        os.close(write)
        assert done.returncode in {1, 141}
        assert done.stderr == ""


def test_a_terminal_that_knows_only_ascii(project: Path) -> None:
    done = crewmix("run", "talk", "Größe, 大小?", cwd=project, env={"PYTHONIOENCODING": "ascii"})
    assert "crew talk: Gr\\xf6\\xdfe, \\u5927\\u5c0f?" in done.stdout


def test_secrets_are_not_shown(project: Path) -> None:
    write_project(project, crews__leak__yaml="roles: [writer]\nplan: none\nmodels: {default: scripted/scripts/leak.yaml}\n",
                  scripts__leak__yaml="rules:\n  - {text: 'The key is hunter2-hunter2-hunter2.'}\n")  # fmt: skip
    for extra in ((), ("--quiet",), ("--json",)):
        done = crewmix("run", "leak", GOAL, *extra, cwd=project, env={"SERVICE_API_KEY": "hunter2-hunter2-hunter2"})
        assert "hunter2-hunter2" not in done.stdout + done.stderr
        assert "[redacted]" in done.stdout


def test_logs_are_silent_unless_wanted(project: Path) -> None:
    assert crewmix("run", "talk", GOAL, "-q", cwd=project).stderr == ""
    assert crewmix("run", "talk", GOAL, "-q", "-v", cwd=project).stdout == "Lyon has 520,774 people, which is enough.\n"
