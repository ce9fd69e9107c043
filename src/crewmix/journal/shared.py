"""One budget for several runs of a process."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from typing import Any, Literal

from crewmix.definitions.given import from_python
from crewmix.definitions.spec import BudgetSpec
from crewmix.journal.budget import Amount, Ledger, Limits
from crewmix.journal.events import BudgetWarning
from crewmix.journal.run import Run

Mark = Callable[[str, str, float, float, float], None]


class Budget:
    """The most that several runs of this process may spend together.

    ```python
    shared = Budget(usd=2)
    results = await asyncio.gather(*(crew.arun(goal, budget=shared) for goal in goals))
    print(shared.spent.usd, shared.left.usd)
    ```

    Each run is charged to it and to the crew's own budget. A run that is resumed with it brings along nothing of what it paid
    before: a budget like this one lives as long as the process.

    Args:
        usd: US dollars.
        calls: Model calls, retries included.
        tokens: Input and output tokens together.
        seconds: Wall-clock time, from the start of the first run.
        unpriced: Whether a call of unknown price may be made although `usd` is limited.
        keep_for_synthesis: The share of each limit that only syntheses may use. Runs whose crew has none that asks a model
            may use all.

    Raises:
        DefinitionError: A limit is no number or negative.
    """

    def __init__(
        self,
        *,
        usd: Decimal | float | str | None = None,
        calls: int | None = None,
        tokens: int | None = None,
        seconds: float | None = None,
        unpriced: Literal["allow", "deny"] = "deny",
        keep_for_synthesis: float = 0.2,
    ) -> None:
        given = {"usd": usd, "calls": calls, "tokens": tokens, "seconds": seconds}
        fields = {"unpriced": unpriced, "keep_for_synthesis": keep_for_synthesis}
        limited = {name: value for name, value in given.items() if value is not None}
        self._limits = limits_of(from_python(BudgetSpec, {**limited, **fields}, "Budget(…)"))
        self._share = keep_for_synthesis
        self._ledger: Ledger | None = None
        self._listeners: list[Mark] = []

    @property
    def spent(self) -> Amount:
        """What the runs paid so far. Calls of unknown price count as free in `usd`. May be read from any thread."""
        return Amount() if self._ledger is None else self._ledger.spent

    @property
    def left(self) -> Limits:
        """What is not spent yet; None = unlimited. May be read from any thread."""
        size, spent = self._limits, self.spent
        elapsed = 0.0 if self._ledger is None else self._ledger.elapsed
        return replace(
            size,
            usd=None if size.usd is None else size.usd - (spent.usd or 0),
            calls=None if size.calls is None else size.calls - spent.calls,
            tokens=None if size.tokens is None else size.tokens - spent.tokens,
            seconds=None if size.seconds is None else max(0.0, size.seconds - elapsed),
        )

    @contextmanager
    def charged(self, run: Run) -> Generator[Ledger]:
        """The ledger to which a run is charged; while it is, the run is told when the budget passes a mark."""

        def warn(owner: str, limit: str, used: float, allowed: float, mark: float) -> None:
            run.emit(BudgetWarning(owner=owner, limit=limit, used=used, allowed=allowed, share=mark))

        if self._ledger is None:
            self._ledger = Ledger("all runs together", self._limits, self._warn, share=self._share)
        self._listeners.append(warn)
        try:
            yield self._ledger
        finally:
            self._listeners.remove(warn)

    def _warn(self, *mark: Any) -> None:
        for warn in tuple(self._listeners):
            warn(*mark)


def limits_of(spec: BudgetSpec) -> Limits:
    """The size of a budget as written."""
    return Limits(spec.usd, spec.calls, spec.tokens, spec.seconds, spec.unpriced == "deny")
