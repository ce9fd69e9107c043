"""Every event that matters is told in words, and the report leaves nothing out."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from crewmix.cli.facts import NO_MODEL, facts, model_lines
from crewmix.cli.report import drafts, report
from crewmix.journal import events as e
from crewmix.knowledge.sources import Source
from crewmix.models.types import Usage
from crewmix.result import DraftText, RunResult, SpokenMessage, TaskResult

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


def test_drafts_tell_who_said_what_and_who_failed() -> None:
    assert drafts(RESULT) == [
        "",
        "Task t1 (done): Find it",
        "  writer, round 1:",
        "    This one.",
        "    Surely.",
        "  critic, round 2:",
        "    FAILED: no answer within 300 s",
        "  answer of t1:",
        "    This one.",
    ]


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
        "t1: 3 drafts merged by vote, 2 words, 1 disagreement, agreement 67%",
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
