"""What a call costs, in US dollars, without a network. Unknown is None, never 0.

Prices come from the profile, else from genai-prices (a table of 2,300 models that ships as data). The user's own servers
are free. The table is read at first use (0.5 s), so call `load` in a thread before.
"""

from __future__ import annotations

import sys
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING

from crewmix.models.providers import price_table
from crewmix.models.types import Usage

if TYPE_CHECKING:
    from genai_prices.types import PriceCalculation

    from crewmix.models.profile import Profile

ZERO = Decimal(0)
MILLION = Decimal(1_000_000)


def needs_table(profile: Profile) -> bool:
    """Whether a price of this profile is looked up in the table."""
    return not profile.local and profile.price is None and _table(profile) is not None


def must_load(profile: Profile) -> bool:
    """Whether the next price of this profile is slow to find, as the table is not in memory yet."""
    return needs_table(profile) and "genai_prices" not in sys.modules


def load(profile: Profile) -> None:
    """Read the price table; slow the first time."""
    _calculate(_table(profile) or "", profile.provider_model, Usage())


def cost(profile: Profile, usage: Usage) -> Decimal | None:
    """What `usage` costs with this model, in US dollars; None = unknown."""
    if profile.price is not None:
        return (usage.input_tokens * profile.price[0] + usage.output_tokens * profile.price[1]) / MILLION
    if profile.local:
        return ZERO
    found = _calculate(_table(profile) or "", profile.provider_model, usage) if needs_table(profile) else None
    return found.total_price if found else None


def known_window(profile: Profile) -> int | None:
    """The context window that the table knows, in tokens."""
    table = _table(profile)
    found = _calculate(table, profile.provider_model, Usage()) if table else None
    return found.model.context_window if found else None


def _table(profile: Profile) -> str | None:
    return price_table(profile.provider, profile.base_url)


@cache
def _unknown() -> set[tuple[str, str]]:
    return set()


def _calculate(table: str, model: str, usage: Usage) -> PriceCalculation | None:
    if (table, model) in _unknown():
        return None
    import genai_prices

    amounts = genai_prices.Usage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cached_tokens,
    )
    try:
        return genai_prices.calc_price(amounts, model, provider_id=table)
    except (LookupError, ValueError):
        _unknown().add((table, model))
        return None
