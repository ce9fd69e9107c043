"""What a run will cost, before it starts: the crew's own patterns and syntheses are played through with made-up texts.

*Expected* takes answers of ordinary length, one tool call per turn where a role has tools, one check of the answer where it has
guardrails, reviewers who approve at their first chance, drafts that agree, revisions that are better, conditions of a graph met
by the first allowed word, a role that passes on to each other one once, and half the tasks a planner may make. *Worst* takes
answers as long as the models may give, all `max_iter` calls of every turn with tools or guardrails, every retry and replacement
of a turn, reviewers who never approve, drafts of which one too few agree, every way of a graph up to its limits, every re-ask,
and all tasks one after another. Requests repeated because a provider failed are not counted, nor are those for a guardrail's
answer that is no JSON.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any

from crewmix.chat.base import PatternSource
from crewmix.definitions.definition import CrewDefinition
from crewmix.models.profile import Profile
from crewmix.planning.meter import Meter, PriceOf, Stage
from crewmix.planning.rehearsal import Rehearsal
from crewmix.planning.turns import Cast, Team


@dataclass(frozen=True, slots=True)
class Case:
    """The size of a run in one case. `usd` None = the price of a model is unknown."""

    calls: int
    depth: int
    """Calls that must wait for each other: the run takes at least this many answers' time."""
    input_tokens: int
    output_tokens: int
    usd: Decimal | None
    stages: tuple[Stage, ...] = ()
    """Where the calls come from, in order."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run will take. The budget, where one is set, ends the run before the worst case does."""

    expected: Case
    worst: Case
    tasks: tuple[int, int]
    """Expected and most tasks."""
    budget: Mapping[str, float]
    """The crew's limits, by name."""
    models: Mapping[str, str]
    """Model name of the crew -> the model that would serve."""

    def as_dict(self) -> dict[str, Any]:
        """The estimate as JSON-able data."""
        data = asdict(self)
        for case in ("expected", "worst"):
            data[case]["usd"] = None if data[case]["usd"] is None else str(data[case]["usd"])
        return data

    def __str__(self) -> str:
        counts = ("calls", "depth", "input_tokens", "output_tokens")
        rows = [
            (n.replace("_", " "), _number(getattr(self.expected, n)), _number(getattr(self.worst, n))) for n in counts
        ]
        rows.append(("cost (USD)", _money(self.expected.usd), _money(self.worst.usd)))
        rows.append(("tasks", str(self.tasks[0]), str(self.tasks[1])))
        stages = list(_stage_rows(self.expected.stages, self.worst.stages))
        width = max(14, *(len(label) + 2 for label, _, _ in stages)) if stages else 14
        lines = [("", "expected", "worst case"), *rows, *([("calls by stage", "", "")] if stages else []), *stages]
        text = "\n".join(f"{label:{width}}{expected:>12}{worst:>14}".rstrip() for label, expected, worst in lines)
        if self.budget:
            text += f"\n{'stops at':{width}}" + ", ".join(f"{limit:g} {name}" for name, limit in self.budget.items())
        return text


def estimate(
    crew: CrewDefinition,
    goal: str,
    profiles: Mapping[str, Profile],
    price: PriceOf,
    *,
    teams: Mapping[str, Team] | None = None,
    pattern: PatternSource | None = None,
) -> Estimate:
    """Play the crew through, once as expected and once at worst.

    Args:
        crew: The crew, its placeholders filled in.
        goal: The goal; its length counts.
        profiles: The crew's models, by name.
        price: What a call costs in US dollars; None = unknown.
        teams: The crews that work roles of it, by name, each with its models.
        pattern: A chat pattern given in Python, for tasks without a `chat` of their own.

    Raises:
        UsageError: A chat pattern of the user's own cannot be used.
    """
    cast = Cast(crew, profiles, teams or {})
    expected, worst = (_case(cast, goal, Meter(price, worst=worst), pattern) for worst in (False, True))
    limits = (
        crew.budget.model_dump(exclude={"unpriced", "keep_for_synthesis"}, exclude_none=True) if crew.budget else {}
    )
    return Estimate(
        expected=expected[0],
        worst=worst[0],
        tasks=(expected[1], worst[1]),
        budget={name: float(limit) for name, limit in limits.items()},
        models={name: profile.model for name, profile in profiles.items()},
    )


def _case(cast: Cast, goal: str, meter: Meter, pattern: PatternSource | None) -> tuple[Case, int]:
    rehearsal = Rehearsal(cast, goal, meter, pattern)
    depth = rehearsal.run()
    total = meter.total
    case = Case(total.calls, depth, total.input_tokens, total.output_tokens, total.usd, meter.stages)
    return case, len(rehearsal.tasks)


def _stage_rows(expected: tuple[Stage, ...], worst: tuple[Stage, ...]) -> Iterator[tuple[str, str, str]]:
    """Label and calls of each stage in both cases."""
    calls = [{(s.task, s.name): s.calls for s in stages} for stages in (expected, worst)]
    for key in dict.fromkeys([*calls[1], *calls[0]]):
        task, name = key
        label = f"  {task}: {name}" if task else f"  {name}"
        label = label if len(label) <= 48 else f"{label[:45]}..."
        yield label, _number(calls[0].get(key, 0)), _number(calls[1].get(key, 0))


def _number(count: int) -> str:
    return f"{count:,}"


def _money(usd: Decimal | None) -> str:
    return "unknown" if usd is None else f"{usd:.4f}"
