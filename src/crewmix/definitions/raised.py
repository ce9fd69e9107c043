"""Budgets given in addition to an earlier one: `+0.20` means so much more than before."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from crewmix.definitions.given import from_python
from crewmix.definitions.spec import BudgetSpec
from crewmix.errors import UsageError

_DIGITS = 30
"""Larger numbers are no limits, and take long to write out."""


def raised(
    budget: BudgetSpec | Mapping[str, Any] | None, before: BudgetSpec | Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The limits that `budget` names, checked, as fields of a `BudgetSpec`.

    Args:
        budget: The limits; text that begins with `+` is added to the earlier limit of that name.
        before: The earlier limits.

    Raises:
        UsageError: Something is to be added where there is no earlier limit, or it is no number.
        DefinitionError: A limit is unknown, no number or negative.
    """
    if budget is None:
        return {}
    if isinstance(budget, BudgetSpec):
        return budget.model_dump(exclude_unset=True)
    if not isinstance(budget, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
        kind = type(budget).__name__
        raise UsageError(
            f"a budget is a mapping of limits, a BudgetSpec or a Budget, not a {kind}", hint='e.g. {"usd": 0.5}'
        )
    known = before.model_dump() if isinstance(before, BudgetSpec) else dict(before or {})
    limits = {name: _added(name, value, known.get(name)) for name, value in budget.items()}
    return from_python(BudgetSpec, limits, "budget").model_dump(exclude_unset=True)


def _added(name: str, value: Any, before: Any) -> Any:
    if not isinstance(value, str) or not value.strip().startswith("+"):
        return value
    text = value.strip()
    if before is None:
        raise UsageError(
            f"{name}={text} adds to a limit, but there was no limit of {name}",
            hint=f"give the limit itself, e.g. `{name}={text[1:].strip()}`",
        )
    try:
        total = Decimal(str(before)) + Decimal(text.replace("_", ""))
    except ArithmeticError as error:
        raise UsageError(f"{name}={text} adds no number") from error
    if name == "usd" or not total.is_finite() or total.adjusted() > _DIGITS:
        return total
    return int(total) if total == total.to_integral_value() else float(total)
