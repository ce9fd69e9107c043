"""A crew within a crew: every line and every warning says where it belongs."""

from __future__ import annotations

from pathlib import Path

from crewmix import Crew
from support.command import crewmix

FILES = {
    "crews/inner.yaml": "roles: [solver]\nplan: none\nchat: {pattern: vote, samples: 2}\nsynthesis: {method: majority}\n"
    "models: {default: {model: scripted/words.yaml, attempts: 1}}\n",
    "crews/outer.yaml": "roles: [inner]\nplan: none\nchat: {pattern: vote, samples: 2}\nsynthesis: {method: majority}\n"
    "models: {default: scripted/words.yaml}\n",
    "words.yaml": 'rules:\n  - {role: "solver#2", error: unavailable}\n  - {text: "Answer: 42"}\n',
}


def _write(folder: Path) -> Path:
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def test_lines_of_a_crew_within_a_crew_name_the_member_it_works_for(tmp_path: Path) -> None:
    out = crewmix("run", "outer", "Six times seven?", cwd=_write(tmp_path)).stdout
    for seat in ("inner#1", "inner#2"):
        assert f"{seat} / answer / solver#1 speaks, round 1" in out
        assert f"FAILED: {seat} / answer / solver#2, round 1" in out
        assert f"{seat} / answer: 1 draft" in out or f"{seat} / answer: draft by solver#1" in out
    assert "\nanswer: 2 drafts merged by majority" in out


def test_the_same_failure_in_two_crews_is_two_warnings(tmp_path: Path) -> None:
    result = Crew.load("outer", project=_write(tmp_path)).run("Six times seven?")
    failed = sorted(text.partition(" gave nothing")[0] for text in result.warnings)
    assert failed == ["inner#1: solver#2", "inner#2: solver#2"]


def test_a_quorum_that_failed_is_told_in_one_line_with_its_reasons(tmp_path: Path) -> None:
    crew = _write(tmp_path) / "crews" / "inner.yaml"
    crew.write_text(FILES["crews/inner.yaml"].replace("samples: 2", "samples: 2, quorum: 2"), encoding="utf-8")
    out = crewmix("run", "inner", "Six times seven?", cwd=tmp_path, check=1).stdout
    assert "answer: failed: only 1 of at least 2 members gave a draft; solver#2 failed: " in out
