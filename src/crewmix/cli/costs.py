"""What a run cost, as tables for `show --cost`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from crewmix.cli.text import clean, count, money

if TYPE_CHECKING:
    from crewmix.runs.costs import Cost, Costs

_HEAD = ("calls", "requests", "input", "output", "cached", "reasoning", "cost", "share")
_WIDTHS = (7, 9, 11, 11, 11, 11, 12, 6)


def cost_lines(costs: Costs) -> Iterator[str]:
    """The tables: by role, task, stage and model, each with the sum of all."""
    total = costs.total
    tables = {"role": costs.by_role, "task": costs.by_task, "stage": costs.by_stage, "model": costs.by_model}
    width = max(12, *(len(clean(name)) for table in tables.values() for name in table)) if total.requests else 12
    for title, table in tables.items():
        yield from _table(title, table, total, min(width, 48))
        yield ""
    yield from _notes(costs)


def _table(title: str, table: Mapping[str, Cost], total: Cost, width: int) -> Iterator[str]:
    yield _line(f"by {title}", _HEAD, width)
    for name, cost in sorted(table.items(), key=lambda item: (-item[1].known_usd, -item[1].usage.total_tokens)):
        nameless = "(the whole run)" if title == "task" else "-"
        yield _line(f"  {clean(name) or nameless}", _cells(cost, total), width)
    yield _line("  all", _cells(total, total), width)


def _cells(cost: Cost, total: Cost) -> tuple[str, ...]:
    usage = cost.usage
    numbers = (cost.calls, cost.requests, usage.input_tokens, usage.output_tokens)
    shown = (*numbers, usage.cached_tokens, usage.reasoning_tokens)
    return (*(f"{number:,}" for number in shown), _money(cost), _share(cost, total))


def _money(cost: Cost) -> str:
    if cost.unpriced and not cost.known_usd:
        return "unknown"
    return f"{money(cost.known_usd)}{'+?' if cost.unpriced else ''}"


def _share(cost: Cost, total: Cost) -> str:
    """Of the money where all of it is known and there is some, else of the tokens."""
    by_money = not total.unpriced and total.known_usd
    whole = total.known_usd if by_money else total.usage.total_tokens
    part = cost.known_usd if by_money else cost.usage.total_tokens
    return f"{float(part) / float(whole):.0%}" if whole else "-"


def _line(name: str, cells: tuple[str, ...], width: int) -> str:
    label = name if len(name) <= width + 2 else f"{name[: width - 1]}..."
    return f"{label:<{width + 2}}" + "".join(f" {cell:>{size}}" for cell, size in zip(cells, _WIDTHS, strict=True))


def _notes(costs: Costs) -> Iterator[str]:
    total, over = costs.total, costs.taken_over
    share = "money" if not total.unpriced and total.known_usd else "tokens"
    yield f"share: of the {share}. requests: with retries and calls that brought no answer."
    if total.unpriced:
        yield f"The price of {count(total.unpriced, 'call')} is unknown (?): set `price` of the model."
    if total.lost_tokens or total.lost_usd:
        yield f"Besides, requests without an answer were booked with at most {_booked(total)}."
    if costs.failed.requests:
        yield f"  {count(costs.failed.requests, 'request')} of calls that failed: {_booked(costs.failed)}"
    if costs.in_flight.requests:
        yield f"  {count(costs.in_flight.requests, 'request')} of calls whose end is unknown: {_booked(costs.in_flight)}"
    if total.from_cache:
        yield f"{count(total.from_cache, 'call')} answered by the project's cache, for nothing."
    if over.calls:
        yield f"{count(over.calls, 'call')} taken over from the run this is a fork of, which paid {_money(over)}."


def _booked(cost: Cost) -> str:
    return f"{count(cost.lost_tokens, 'token')}, {money(cost.lost_usd)}"
