"""What people write after an option is understood, or refused with the reason."""

from __future__ import annotations

import io
from decimal import Decimal
from pathlib import Path

import pytest

from crewmix.cli.options import find_project, read_budget, read_goal, read_models, read_pairs
from crewmix.errors import NotFoundError, UsageError


def test_models_by_name_or_for_all() -> None:
    assert read_models(["openai/gpt-5-mini"]) == {"default": "openai/gpt-5-mini"}
    assert read_models(["cheap=ollama/qwen3", "auto"]) == {"cheap": "ollama/qwen3", "default": "auto"}
    assert read_models(["openai_compatible/m@http://h/v1?a=b"]) == {"default": "openai_compatible/m@http://h/v1?a=b"}
    assert read_models(["big=openai_compatible/m@http://h/v1?a=b"]) == {"big": "openai_compatible/m@http://h/v1?a=b"}
    assert read_models(None) == {}


@pytest.mark.parametrize("wrong", [["a/b", "c/d"], ["cheap="], ["=a/b"], ["x=a/b", "x=c/d"]])
def test_models_that_make_no_sense(wrong: list[str]) -> None:
    with pytest.raises(UsageError):
        read_models(wrong)


def test_inputs_may_hold_anything_after_the_first_equals_sign() -> None:
    assert read_pairs(["city=Lyon", "rule=a=b", "empty="], "--input") == {"city": "Lyon", "rule": "a=b", "empty": ""}


@pytest.mark.parametrize("wrong", [["city"], ["=Lyon"], ["a=1", "a=2"]])
def test_inputs_that_make_no_sense(wrong: list[str]) -> None:
    with pytest.raises(UsageError, match="--input"):
        read_pairs(wrong, "--input")


def test_budget() -> None:
    budget = read_budget("usd=0.50, calls=20,tokens=100_000,seconds=1.5,unpriced=allow")
    assert budget is not None
    assert (budget.usd, budget.calls, budget.tokens, budget.seconds) == (Decimal("0.50"), 20, 100_000, 1.5)
    assert budget.unpriced == "allow"
    assert read_budget(None) is None


@pytest.mark.parametrize(
    "wrong", ["", "euros=3", "usd", "usd=much", "usd=-1", "calls=1.5", "usd=1,usd=2", "seconds=0", "usd=nan"]
)
def test_budgets_that_make_no_sense(wrong: str) -> None:
    with pytest.raises(UsageError, match="--budget"):
        read_budget(wrong)


def test_the_goal_comes_from_stdin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("  What is a crew?\nAnd why?\n"))
    assert read_goal("-") == "What is a crew?\nAnd why?"


def test_an_empty_goal_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    for goal in ("", "  \n", "-"):
        with pytest.raises(UsageError, match="empty"):
            read_goal(goal)


def test_stdin_that_is_no_text_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"\xff\xfe\x00"), encoding="utf-8"))
    with pytest.raises(UsageError, match="utf-8"):
        read_goal("-")


def test_the_project_must_be_a_folder(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="nowhere"):
        find_project(tmp_path / "nowhere")
    assert find_project(tmp_path).root == tmp_path.resolve()


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ("calls=x", "calls='x' is not possible: it must be a whole number"),
        ("seconds=0", "it must be more than 0"),
        ("unpriced=maybe", "it must be 'allow' or 'deny'"),
    ],
)
def test_what_is_wrong_with_a_limit_is_told_in_plain_words(wrong: str, told: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_budget(wrong)
    assert told in caught.value.message
