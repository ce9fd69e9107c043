"""What a run came to: its events added up, and the result made of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from decimal import Decimal

from crewmix.journal.events import Event, MemberFailed, ModelCalled, TaskFinished, Warned
from crewmix.journal.place import members_around
from crewmix.journal.rows import Recording
from crewmix.journal.scope import Scope
from crewmix.models.kept import kept_reply
from crewmix.models.types import Usage
from crewmix.orchestrate import Outcome
from crewmix.result import RunResult, Status


class Tally:
    """Adds up what a run's events tell: calls, tokens, money, warnings."""

    def __init__(self) -> None:
        self.usage = Usage()
        self.calls = 0
        self.cost: Decimal | None = Decimal(0)
        self.warnings: list[str] = []
        self.whole = True
        """Whether every member of every chat answered and every task is done, also within crews that work roles."""

    def paid_before(self, calls: Iterable[Recording]) -> None:
        """Count what the run had paid for before this process took it up, whether or not it is asked for again."""
        for call in calls:
            if call.response is None or call.inherited:
                continue
            reply = kept_reply(json.loads(call.response), call.key.scope)
            if not reply.cached:
                self._count(reply.usage, reply.cost)

    def hear(self, event: Event) -> None:
        """Take an event into account."""
        match event:
            case ModelCalled(cached=True) | ModelCalled(recalled=True):
                pass
            case ModelCalled():
                usage = Usage(
                    event.input_tokens,
                    event.output_tokens,
                    event.cached_tokens,
                    event.reasoning_tokens,
                    event.cache_write_tokens,
                    event.estimated,
                )
                self._count(usage, None if event.cost is None else Decimal(str(event.cost)))
            case Warned():
                # An unknown price is said once, at whichever call is first: it is the model's, not that member's.
                inside = "" if event.code == "unpriced" else members_around(event.scope, ": ")
                self._warn(f"{inside}{event.message}")
            case MemberFailed():
                self.whole = False
                inside = members_around(event.scope, ": ")
                self._warn(
                    f"{inside}{event.role} gave nothing in round {event.round} of task {event.task}: {event.message}"
                )
            case TaskFinished(status="failed" | "partial"):
                self.whole = False
                reason = f": {event.error}" if event.error else ""
                self._warn(f"{members_around(event.scope, ': ')}task {event.task} is {event.status}{reason}")
            case _:
                pass

    def _warn(self, text: str) -> None:
        if text not in self.warnings:
            self.warnings.append(text)

    def _count(self, usage: Usage, cost: Decimal | None) -> None:
        self.calls += 1
        self.usage += usage
        self.cost = None if cost is None or self.cost is None else self.cost + cost


def make_result(
    root: Scope,
    crew: str,
    goal: str,
    outcome: Outcome,
    tally: Tally,
    models: Mapping[str, tuple[str, str]],
    seconds: float,
) -> RunResult:
    """The result of a run that has an answer.

    Args:
        root: The run's root scope; its last ledger is the run's budget.
        crew: The crew's name.
        goal: What was to be achieved.
        outcome: What it came to.
        tally: What its events added up to.
        models: Model name of the crew -> (the model that served, why).
        seconds: How long this process worked on it.
    """
    status: Status = "done" if outcome.stopped is None and tally.whole else "partial"
    ledger = root.ledgers[-1]
    limits = {
        "usd": (float(ledger.usd), ledger.limits.usd),
        "calls": (ledger.calls, ledger.limits.calls),
        "tokens": (ledger.tokens, ledger.limits.tokens),
        "seconds": (ledger.elapsed, ledger.limits.seconds),
    }
    return RunResult(
        run_id=root.run.run_id,
        crew=crew,
        goal=goal,
        status=status,
        output=outcome.answer.text,
        tasks=outcome.tasks,
        sources=outcome.answer.sources,
        dissent=outcome.answer.dissent,
        warnings=tuple(tally.warnings),
        usage=tally.usage,
        calls=tally.calls,
        cost=tally.cost,
        budget={name: (float(used), float(allowed)) for name, (used, allowed) in limits.items() if allowed is not None},
        models=models,
        seconds=seconds,
        confidence=outcome.answer.confidence,
        merge=outcome.merge,
        stopped_by="budget" if outcome.stopped else None,
    )
