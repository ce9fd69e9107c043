"""Every event that matters is told in words, and the report leaves nothing out."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from crewmix.cli.facts import NO_MODEL, facts, model_lines
from crewmix.cli.report import report
from crewmix.cli.votes import merge_lines, vote_line
from crewmix.journal import events as e
from crewmix.knowledge.sources import Source
from crewmix.models.types import Usage
from crewmix.result import Ballot, DraftText, Merge, RunResult, SpokenMessage, TaskResult

RESULT = RunResult(
    run_id="20260101-000000-abcdef",
    crew="research",
    goal="Which?",
    status="partial",
    output="This one. [docs/a.md:1-2]",
    tasks=(
        TaskResult(
            id="t1",
            description="Find it",
            status="done",
            output="This one.",
            drafts=(DraftText("t1", "writer", "This one."),),
            messages=(
                SpokenMessage("t1", "writer", 1, "This one.\nSurely."),
                SpokenMessage("t1", "critic", 2, "", failure="no answer within 300 s"),
            ),
        ),
    ),
    sources=(Source("docs/a.md", "1-2", "This one\nis it."),),
    dissent=("some say that one",),
    warnings=("critic gave nothing",),
    usage=Usage(900, 100, estimated=True),
    calls=3,
    cost=None,
    budget={"usd": (0.1234, 0.5), "tokens": (25_837.0, 500_000.0)},
    models={"default": ("openai/gpt-5-mini", "OPENAI_API_KEY is set")},
    seconds=71.2,
)


def test_the_report_tells_everything() -> None:
    assert report(RESULT) == [
        "",
        "This one. [docs/a.md:1-2]",
        "",
        "Sources:",
        "  [docs/a.md:1-2] This one is it.",
        "Disagreements:",
        "  - some say that one",
        "Warnings:",
        "  - critic gave nothing",
        "Status: partial | cost: unknown | 3 model calls | about 1,000 tokens | 1 min 11 s",
        "Budget: 0.123 of 0.5 usd, 25,837 of 500,000 tokens",
        "Run 20260101-000000-abcdef: `crewmix show 20260101-000000-abcdef --drafts` shows who said what, "
        "`crewmix runs` lists all runs.",
    ]


def test_a_budget_stop_and_a_price_are_told() -> None:
    told = "\n".join(report(replace(RESULT, stopped_by="budget", cost=Decimal("0.0123"), output="")))
    assert "Status: stopped by its budget, this is what there is | cost: $0.0123" in told
    assert "(no answer)" in told


def test_confidence_comes_with_the_vote() -> None:
    ballots = (Ballot("a", "42"), Ballot("b", "42"), Ballot("c", "41"), Ballot("d", ""))
    voted = replace(RESULT, confidence=0.5, merge=Merge("majority", "a", ballots))
    assert "Confidence: 50% (2 of 4 say 42, 1 abstains)" in report(voted)
    assert "Confidence: 50%" in report(replace(voted, merge=None))


@pytest.mark.parametrize(
    ("ballots", "line"),
    [
        ((), ""),
        ((Ballot("a", "x"), Ballot("b", "x")), "2 of 2 say x"),
        ((Ballot("a", ""), Ballot("b", "")), "all 2 abstain"),
        ((Ballot("a", "x"), Ballot("b", "y"), Ballot("c", "")), "1 of 3 say x, a tie with y, 1 abstains"),
        ((Ballot("a", "x"), Ballot("b", "y", 2.5)), "1 of 2 say y with 2.5 of 3.5 by weight"),
        ((Ballot("a", "\x1b[2J"),), "1 of 1 say \\x1b[2J"),
    ],
)
def test_a_vote_is_one_line(ballots: tuple[Ballot, ...], line: str) -> None:
    assert vote_line(Merge("majority", "a", ballots)) == line


def test_the_answer_that_won_a_tie_is_told_first() -> None:
    ballots = (Ballot("a", "x"), Ballot("b", "y"))
    assert vote_line(Merge("majority", "b", ballots)) == "1 of 2 say y, a tie with x"


def test_rankings_that_put_different_drafts_first_are_no_tie() -> None:
    ballots = (Ballot("ranking 1", "a"), Ballot("ranking 2", "b"))
    assert vote_line(Merge("rank", "b", ballots)) == "1 of 2 put a first"
    assert not any("tie" in line for line in merge_lines(Merge("rank", "b", ballots), 3, confidence=0.5, dissent=()))


def test_the_offline_model_is_called_what_it_is() -> None:
    assert model_lines({"default": ("offline/extractive", "nothing else")})[-1] == NO_MODEL
    assert model_lines({"default": ("a/b", "why")}) == ["model default: a/b (why)"]


def test_failures_and_refusals_are_told() -> None:
    events = [
        e.MemberFailed(task="t1", role="critic", round=2, code="model_timeout", message="no answer"),
        e.ModelRetried(role="critic", model="a/b", attempt=1, error="reset", wait=0.5),
        e.ToolCalled(role="coder", tool="run", arguments={"x": "1"}, text="no", error="denied"),
        e.ToolCalled(role="coder", tool="run", arguments={}, text="abc", clipped=True, recalled=True),
        e.ApprovalAsked(role="coder", tool="run", arguments={}, answer="no, by rule"),
        e.BudgetWarning(owner="run", limit="calls", used=8, allowed=10, share=0.8),
        e.Warned(code="x", message="a text was\nclipped"),
        e.SpeakerChosen(task="t1", role="coder", by="model", reason="it knows"),
        e.SpeakerChosen(task="t1", role="", by="function"),
        e.Synthesised(task="t1", method="vote", drafts=3, text="a b", dissent=("c",), confidence=0.667),
        e.Synthesised(
            task="t1",
            method="majority",
            drafts=2,
            text="42",
            confidence=0.5,
            chosen="a#1",
            ballots=({"voter": "a#1", "choice": "42", "weight": 1.0}, {"voter": "a#2", "choice": "", "weight": 1.0}),
        ),
        e.MemberReplaced(task="t1", role="a#2", round=1, model="c/d", reason="no answer"),
        e.RevisionJudged(task="t1", role="a#2", round=2, better=True, by="c/d"),
        e.RevisionJudged(task="t1", role="a#1", round=2, better=False, by="c/d"),
        e.TaskFinished(task="t1", status="failed", error="all failed"),
        e.RunStarted(run_id="r1", crew="c", goal="g", models={}, resumed=True),
    ]
    assert [line for event in events for line in facts(event)] == [
        "FAILED: t1 / critic, round 2: no answer [model_timeout]",
        "retry: critic had no answer at attempt 1, next in 0.5 s: reset",
        "  coder called run(x='1'): failed (denied): no",
        "  coder called run(): 3 characters, clipped, from the journal",
        "consent: coder wants run(): no, by rule",
        "budget: run is past 80% of its calls: 8 of 10",
        "warning: a text was clipped",
        "t1: coder is next, chosen by model: it knows",
        "t1: the chat ends, chosen by function",
        "t1: 3 drafts merged by vote, 2 words, 1 disagreement, confidence 67%",
        "t1: 2 drafts merged by majority, 1 of 2 say 42, 1 abstains, chosen: a#1, 1 word, confidence 50%",
        "t1 / a#2 is replaced in round 1 by c/d",
        "t1: revision of a#2 in round 2 accepted, judged by c/d",
        "t1: revision of a#1 in round 2 refused, the draft before stands, judged by c/d",
        "t1: failed: all failed",
        "run r1 (taken up again)",
        "crew c: g",
    ]


def test_every_kind_of_event_is_told_or_left_out_on_purpose() -> None:
    import inspect

    from crewmix.cli.facts import _TELL  # pyright: ignore[reportPrivateUsage]

    kinds = {kind for _, kind in inspect.getmembers(e, inspect.isclass) if issubclass(kind, e.Event)}
    silent = {e.Event, e.TextDelta, e.ModelCalled, e.RunFinished}
    assert kinds - silent == set(_TELL)
