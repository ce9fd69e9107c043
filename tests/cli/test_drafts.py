"""`crewmix show RUN --drafts`: who proposed what, what was used, and how the ballots fell, also of a run that was cut off."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from support.command import START, crewmix, environment
from support.scripted_project import write_project

GOAL = "How many people live in Lyon?"

FILES = {
    "roles__solver__yaml": "role: Solver\ngoal: Solve it.\n",
    "crews__mix__yaml": """\
roles: [solver]
plan: none
chat: {pattern: layers, layers: 3, samples: 3, replacement: spare}
models:
  default: {model: scripted/scripts/mix.yaml, attempts: 1}
  spare: {model: scripted/scripts/spare.yaml, attempts: 1}
""",
    "scripts__mix__yaml": """\
rules:
  - {purpose: synthesize, text: "Lyon has 520,774 people in the city proper."}
  - {role: solver#2, round: 1, error: unavailable}
  - {role: solver#3, round: 2, error: unavailable}
  - {role: solver, round: 1, text: "First: about half a million people."}
  - {role: solver#1, round: 2, text: "Second: Lyon has 520,774 people in the city proper."}
  - {role: solver, text: "Second: half a million."}
""",
    "scripts__spare__yaml": """\
rules:
  - {round: 1, text: "Spare: two million with the suburbs."}
  - {error: unavailable}
""",
    "crews__poll__yaml": """\
roles: [solver]
plan: none
chat: {pattern: vote, samples: 5}
synthesis: {method: majority}
models: {default: scripted/scripts/poll.yaml}
""",
    "scripts__poll__yaml": """\
rules:
  - {role: solver#2, text: "I count 41.\\nAnswer: 41"}
  - {role: solver#4, text: "Nobody can know that."}
  - {text: "It is plain.\\nAnswer: 42"}
""",
    "crews__argue__yaml": """\
roles: [{name: ann, role: Ann, goal: Answer.}, {name: bob, role: Bob, goal: Answer.}]
plan: none
chat: {pattern: debate, rounds: 2}
synthesis: {method: rank}
models: {default: scripted/scripts/argue.yaml}
""",
    "scripts__argue__yaml": """\
rules:
  - {purpose: rank, contains: "ann, revised", json: {ranking: [A, B], reason: First.}}
  - {purpose: rank, json: {ranking: [A, B], reason: First.}}
  - {role: ann, round: 1, text: "ann, first"}
  - {role: ann, text: "ann, revised"}
  - {role: bob, round: 1, text: "bob, first"}
  - {role: bob, text: "bob, revised"}
""",
    "crews__inner__yaml": """\
roles: [solver]
plan: none
chat: {pattern: vote, samples: 3}
synthesis: {method: majority}
models: {default: scripted/scripts/poll.yaml}
""",
    "crews__outer__yaml": """\
roles: [{name: team, role: Team, goal: Answer., crew: inner}, solver]
plan: none
models: {default: scripted/scripts/poll.yaml}
""",
    "crews__stuck__yaml": """\
roles: [solver]
plan: none
chat: {pattern: layers, layers: 3, samples: 2}
models: {default: scripted/scripts/stuck.yaml}
""",
    "scripts__stuck__yaml": """\
rules:
  - {round: 2, role: solver#1, text: never, delay: 600}
  - {text: "A first draft."}
""",
}


@pytest.fixture
def mixtures(tmp_path: Path) -> Path:
    return write_project(tmp_path, **FILES)


def run_and_show(project: Path, crew: str) -> tuple[str, dict[str, Any]]:
    crewmix("run", crew, GOAL, "-q", cwd=project)
    text = crewmix("show", "last", "--drafts", cwd=project).stdout
    return text, json.loads(crewmix("show", "last", "--drafts", "--json", cwd=project).stdout)


def in_order(text: str, *wanted: str) -> None:
    """Each wanted line stands below the one before."""
    lines = iter(text.splitlines())
    for line in wanted:
        assert line in lines, f"{line!r} does not stand there\n{text}"


def test_a_mixture_shows_layers_failures_replacements_and_what_was_used(mixtures: Path) -> None:
    text, data = run_and_show(mixtures, "mix")
    in_order(
        text,
        f"Task answer (done): {GOAL}",
        "  solver#1, round 1 (scripted/scripts/mix.yaml):",
        "    First: about half a million people.",
        "  solver#2, round 1 (scripted/scripts/spare.yaml):",
        "    Spare: two million with the suburbs.",
        "  solver#1, round 2 (scripted/scripts/mix.yaml) [draft, 9 words]:",
        "    Second: Lyon has 520,774 people in the city proper.",
        "  solver#3, round 2 (scripted/scripts/spare.yaml):",
        "  2 drafts merged by aggregate",
        "  answer of answer:",
        "    Lyon has 520,774 people in the city proper.",
    )
    assert text.count("REPLACED: scripted/scripts/spare.yaml took the turn: ") == 2
    assert text.count("    FAILED: ") == 1
    assert "that stands in each draft: solver#1 100%" in text
    turns = data["drafts"][0]["turns"]
    assert [(t["role"], t["round"]) for t in turns] == [(f"solver#{n}", r) for r in (1, 2) for n in (1, 2, 3)]
    assert [t["role"] for t in turns if t["draft"]] == ["solver#1", "solver#2"]
    assert [t["role"] for t in turns if t["failure"]] == ["solver#3"]
    uses = dict(data["drafts"][0]["merge"]["uses"])
    assert uses["solver#1"] > uses["solver#2"]


def test_a_run_tells_of_replacements_and_failures_as_they_happen(mixtures: Path) -> None:
    told = crewmix("run", "mix", GOAL, cwd=mixtures).stdout
    assert "answer / solver#2 is replaced in round 1 by scripted/scripts/spare.yaml\n" in told
    assert "FAILED: answer / solver#3, round 2: " in told
    assert "answer: 2 drafts merged by aggregate, 8 words" in told


def test_a_vote_shows_its_ballots_and_the_minority(mixtures: Path) -> None:
    text, data = run_and_show(mixtures, "poll")
    in_order(
        text,
        "  5 drafts merged by majority, chosen: solver#1",
        "    3 votes for 42: solver#1, solver#3, solver#5",
        "    1 vote for 41: solver#2",
        "    1 abstention: solver#4",
        "    minority report:",
    )
    merge = data["drafts"][0]["merge"]
    assert {b["voter"]: b["choice"] for b in merge["ballots"]}["solver#2"] == "41"
    told = crewmix("run", "poll", GOAL, cwd=mixtures).stdout
    assert "answer: 5 drafts merged by majority, 3 of 5 say 42, 1 abstains, chosen: solver#1" in told
    assert f"\nConfidence: {merge['confidence']:.0%} (3 of 5 say 42, 1 abstains)\n" in told


def test_a_debate_shows_which_revisions_were_judged_better(mixtures: Path) -> None:
    text, data = run_and_show(mixtures, "argue")
    judged = {t["role"]: t["better"] for t in data["drafts"][0]["turns"] if t["round"] == 2}
    assert set(judged) == {"ann", "bob"} and None not in judged.values()
    assert text.count("    REVISION ") == 2
    assert text.count("REVISION accepted, judged by judge") == sum(judged.values())
    for turn in data["drafts"][0]["turns"]:
        assert turn["draft"] == (judged[turn["role"]] == (turn["round"] == 2))
    assert "    mark " in text
    told = crewmix("run", "argue", GOAL, cwd=mixtures).stdout
    assert told.count("answer: revision of ") == 2


def test_the_talk_of_a_crew_within_a_crew_stands_under_its_turn(mixtures: Path) -> None:
    text, data = run_and_show(mixtures, "outer")
    in_order(
        text,
        "  team, round 1 (crew inner) [draft, 5 words]:",
        f"    Task answer (done): {GOAL}",
        "      solver#1, round 1 (scripted/scripts/poll.yaml) [draft, 5 words]:",
        "        It is plain.",
        "      3 drafts merged by majority, chosen: solver#1",
        "      answer of answer:",
        "  solver, round 2 (scripted/scripts/poll.yaml) [draft, 5 words]:",
    )
    assert [len(task["turns"]) for task in data["drafts"]] == [2, 3]


def test_a_run_that_was_cut_off_shows_what_there_is(mixtures: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", START, "run", "stuck", GOAL],
        cwd=mixtures, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("  answer / solver#2: A first draft."):
                break
        for line in process.stdout:
            if line.startswith("  answer / solver#2: A first draft."):
                break
        os.kill(process.pid, signal.SIGKILL)
    text = crewmix("show", "last", "--drafts", cwd=mixtures).stdout
    in_order(
        text,
        f"Task answer (unfinished): {GOAL}",
        "  solver#2, round 1 (scripted/scripts/stuck.yaml):",
        "    A first draft.",
        "  solver#1, round 2 (scripted/scripts/stuck.yaml):",
        "    (did not finish)",
    )
    assert "It has no result" in text
    (mixtures / "scripts/stuck.yaml").write_text('rules:\n  - {text: "A first draft."}\n')
    crewmix("resume", "last", "-q", cwd=mixtures)
    after = crewmix("show", "last", "--drafts", cwd=mixtures).stdout
    assert "(did not finish)" not in after
    assert after.count(", round ") == 4


def test_an_estimate_tells_where_the_calls_come_from(mixtures: Path) -> None:
    told = crewmix("estimate", "mix", GOAL, cwd=mixtures).stdout
    lines = [line.split() for line in told.splitlines()]
    assert ["layer", "1", "3", "6"] in lines
    assert ["synthesis", "1", "1"] in lines
    data = json.loads(crewmix("estimate", "mix", GOAL, "--json", cwd=mixtures).stdout)
    assert [(s["name"], s["calls"]) for s in data["expected"]["stages"]] == [
        ("layer 1", 3),
        ("layer 2", 3),
        ("synthesis", 1),
    ]
