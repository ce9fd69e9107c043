"""The live view draws the state that the events add up to, and never more than the terminal holds."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest
from rich.console import Console

from crewmix.cli.board import Board
from crewmix.cli.live import LiveView
from crewmix.journal import events as e

NAMES = [f"t{n}" for n in range(1, 31)]
PLAN = e.PlanMade(
    tasks=tuple(
        {"id": name, "description": f"Part {name[1:]}", "roles": ["writer"], "needs": [] if name == "t1" else ["t1"]}
        for name in NAMES
    )
)


def turn(task: str, role: str) -> e.TurnStarted:
    return e.TurnStarted(scope=f"task.{task}/chat/round.1/{role}", task=task, role=role, round=1, model="a/b")


def said(task: str, role: str, text: str) -> e.TextDelta:
    return e.TextDelta(scope=f"task.{task}/chat/round.1/{role}/model", role=role, text=text)


def called(cost: float | None, recalled: bool = False) -> e.ModelCalled:
    return e.ModelCalled(
        role="writer", purpose="speak", model="a/b", input_tokens=100, output_tokens=50, cost=cost, recalled=recalled
    )


@pytest.fixture
def view() -> Iterator[LiveView]:
    view = LiveView(Console(file=io.StringIO(), force_terminal=True, width=90, height=12))
    yield view
    view.close()


def drawn(view: LiveView) -> str:
    paper = io.StringIO()
    Console(file=paper, width=90, height=12, color_system=None).print(view.draw())
    return paper.getvalue()


def test_it_shows_who_speaks_what_and_what_it_cost(view: LiveView) -> None:
    for event in (
        PLAN,
        e.TaskStarted(task="t1", description="Part 1", roles=("writer",)),
        turn("t1", "writer"),
        turn("t1", "critic"),
        said("t1", "writer", "Lyon has "),
        said("t1", "writer", "520,774 people."),
        e.ToolCalled(
            scope="task.t1/chat/round.1/critic/tool", role="critic", tool="look", arguments={"q": 1}, text="ok"
        ),
        called(0.25),
        called(None),
        called(9.0, recalled=True),
    ):
        view.see(event)
    text = drawn(view)
    assert "▸ t1  Part 1" in text
    assert "· 29 waiting" in text
    assert "Lyon has 520,774 people." in text
    assert "critic on t1  look(q=1)" in text
    assert "cost $0.2500 and 1 call of unknown price · 2 calls · 300 tokens" in " ".join(text.split())


def test_it_never_draws_more_than_fits(view: LiveView) -> None:
    view.see(PLAN)
    for n in range(1, 31):
        view.see(e.TaskStarted(task=f"t{n}", description=f"Part {n} " + "long " * 50, roles=("writer",)))
        view.see(turn(f"t{n}", "writer"))
        view.see(said(f"t{n}", "writer", "word " * 500))
    text = drawn(view)
    assert len(text.splitlines()) <= 11
    assert "▸ t1  Part 1" in text
    assert "writer on t1" in text
    assert "26 working" in text
    assert "cost $0.00" in text


def test_fifty_members_of_a_round_stay_readable(view: LiveView) -> None:
    view.see(e.TaskStarted(task="answer", description="Which?", roles=("solver",)))
    for n in range(1, 51):
        view.see(turn("answer", f"solver#{n}"))
        view.see(said("answer", f"solver#{n}", "word " * n))
    lines = drawn(view).splitlines()
    assert len(lines) <= 11
    assert lines[1].startswith(" solver#1 on answer  …word")
    assert lines[-2] == f" … {50 - (len(lines) - 3)} more speak"
    for n in range(1, 50):
        view.see(e.MessageSpoken(task="answer", role=f"solver#{n}", round=1, text="x"))
    assert [line for line in drawn(view).splitlines() if "solver" in line] == [" solver#50 on answer"]


def test_a_replaced_turn_starts_anew_on_the_screen(view: LiveView) -> None:
    view.see(turn("t1", "writer"))
    view.see(said("t1", "writer", "half a sen"))
    replaced = e.MemberReplaced(
        scope="task.t1/chat/round.1/writer", task="t1", role="writer", round=1, model="c/d", reason="no answer"
    )
    view.see(replaced)
    assert "half a sen" not in drawn(view)


def test_a_narrow_terminal_is_never_wrapped() -> None:
    view = LiveView(Console(file=io.StringIO(), force_terminal=True, width=24, height=8))
    try:
        for n in range(1, 6):
            view.see(turn("a_task_with_a_long_name", f"solver#{n}"))
            view.see(said("a_task_with_a_long_name", f"solver#{n}", "word " * 30))
        paper = io.StringIO()
        Console(file=paper, width=24, height=8, color_system=None).print(view.draw())
        assert len(paper.getvalue().splitlines()) <= 7
    finally:
        view.close()


def test_a_small_plan_is_shown_whole(view: LiveView) -> None:
    view.see(e.PlanMade(tasks=PLAN.tasks[:3]))
    view.see(e.TaskFinished(task="t1", status="done"))
    assert drawn(view).splitlines()[:3] == [" ✓ t1  Part 1", " · t2  after t1", " · t3  after t1"]


def test_an_unknown_price_is_never_zero(view: LiveView) -> None:
    view.see(called(None))
    assert "cost unknown" in drawn(view)


def test_text_cannot_steer_the_terminal(view: LiveView) -> None:
    view.see(turn("t1", "writer"))
    view.see(said("t1", "writer", "\x1b]0;owned\x07[bold]x[/bold]"))
    text = drawn(view)
    assert "\x1b]0;" not in text
    assert "\\x1b]0;owned\\x07[bold]x[/bold]" in text


def test_the_board_keeps_parallel_speakers_of_one_name_apart() -> None:
    board = Board()
    for task in ("t1", "t2"):
        board.see(turn(task, "writer"))
        board.see(said(task, "writer", f"about {task}"))
    assert [s.text for s in board.speakers.values()] == ["about t1", "about t2"]
    board.see(e.MessageSpoken(task="t1", role="writer", round=1, text="about t1"))
    assert [s.task for s in board.speakers.values()] == ["t2"]
    board.see(e.TaskFinished(task="t2", status="failed"))
    assert board.speakers == {}
    assert board.tasks["t2"].status == "failed"


def test_the_synthesizer_is_shown_while_it_writes() -> None:
    board = Board()
    board.see(e.TextDelta(scope="synthesis", role="synthesizer", text="In short"))
    assert [(s.role, s.text) for s in board.speakers.values()] == [("synthesizer", "In short")]
    board.see(e.Synthesised(scope="synthesis", task="", method="aggregate", drafts=2, text="In short."))
    assert board.speakers == {}
