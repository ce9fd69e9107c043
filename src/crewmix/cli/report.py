"""A run's result as text: the answer first, then everything a reader should know about it."""

from __future__ import annotations

from crewmix.cli.text import clean, count, duration, money, one_line
from crewmix.cli.votes import vote_line
from crewmix.result import RunResult


def report(result: RunResult) -> list[str]:
    """The answer, its sources, confidence, disagreements and warnings, what it cost, and where to look it up."""
    lines = ["", *clean(result.output or "(no answer)").splitlines(), ""]
    if result.sources:
        lines.append("Sources:")
        lines += [f"  {clean(source.tag)} {one_line(source.quote, 120)}" for source in result.sources]
    if result.confidence is not None:
        votes = vote_line(result.merge) if result.merge else ""
        lines.append(f"Confidence: {result.confidence:.0%}{f' ({votes})' if votes else ''}")
    for title, texts in (("Disagreements:", result.dissent), ("Warnings:", result.warnings)):
        if texts:
            lines += [title, *(f"  - {one_line(text, 600)}" for text in texts)]
    lines += totals(result)
    if result.kept:
        lines += [*_way_on(result), whereabouts(result.run_id)]
    return lines


def totals(result: RunResult) -> list[str]:
    """Status, cost, calls, tokens and time on one line, and what is left of the budget on the next."""
    status = "stopped by its budget, this is what there is" if result.stopped_by == "budget" else result.status
    tokens = f"{'about ' if result.usage.estimated else ''}{count(result.usage.total_tokens, 'token')}"
    lines = [
        f"Status: {status} | cost: {money(result.cost)} | {count(result.calls, 'model call')} | {tokens}"
        f" | {duration(result.seconds)}"
    ]
    if result.budget:
        used = (f"{_number(used)} of {_number(allowed)} {limit}" for limit, (used, allowed) in result.budget.items())
        lines.append(f"Budget: {', '.join(used)}")
    return lines


def _way_on(result: RunResult) -> list[str]:
    """How to go on with a run that its budget stopped: with half as much again of the limit that is used up most."""
    if result.stopped_by != "budget":
        return []
    shares = {limit: used / allowed if allowed else 1.0 for limit, (used, allowed) in result.budget.items()}
    resume = f"crewmix resume {result.run_id}"
    if not shares:
        return [f"Raise the budget in the crew file, and `{resume}` goes on from here."]
    limit = max(shares, key=lambda name: shares[name])
    more = result.budget[limit][1] / 2
    more = max(more, 0.01) if limit == "usd" else max(2, round(more))
    return [f"`{resume} --budget {limit}=+{more:g}` goes on from here."]


def whereabouts(run_id: str) -> str:
    """How to look at the run later."""
    return f"Run {run_id}: `crewmix show {run_id} --drafts` shows who said what, `crewmix runs` lists all runs."


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) or value >= 1000 else f"{value:.3g}"
