"""What a call costs, in US dollars, without a network. Unknown is None, never 0.

Prices come from the profile, else from genai-prices (a table of 2,300 models that ships as data). The user's own servers
are free. The table is read at first use (0.5 s), so call `load` in a thread before.
"""

from __future__ import annotations

import sys
from dataclasses import replace
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
CACHE_WRITE = Decimal("1.25")
"""What a token written into a prompt cache costs, in input tokens, where only the input's price is known; Anthropic's rate."""


def needs_table(profile: Profile) -> bool:
    """Whether a price of this profile is looked up in the table."""
    return not profile.local and profile.price is None and _entry(profile) is not None


def must_load(profile: Profile) -> bool:
    """Whether the next price of this profile is slow to find, as the table is not in memory yet."""
    return needs_table(profile) and "genai_prices" not in sys.modules


def load(profile: Profile) -> None:
    """Read the price table; slow the first time."""
    _calculate(profile, Usage())


def cost(profile: Profile, usage: Usage) -> Decimal | None:
    """What `usage` costs with this model, in US dollars; None = unknown.

    Tokens read from and written to the provider's prompt cache have their own prices. They are part of the input tokens;
    what a provider counts beyond those is ignored.
    """
    usage = _sound(usage)
    if profile.price is not None:
        return _own(profile.price, usage)
    if profile.local:
        return ZERO
    found = _calculate(profile, usage)
    return found.total_price if found else None


def worst(profile: Profile, input_tokens: int, output_tokens: int) -> Decimal | None:
    """The most that a call of this size can cost, in US dollars; None = unknown.

    Nobody knows before a call how much of its prompt the provider will read from its cache or write into it, and writing
    costs more than plain reading.
    """
    plain = Usage(input_tokens, output_tokens)
    cases = [plain, replace(plain, cached_tokens=input_tokens)]
    if profile.protocol != "chat":
        cases.append(replace(plain, cache_write_tokens=input_tokens))
    costs = [cost(profile, case) for case in cases]
    known = [found for found in costs if found is not None]
    return max(known) if len(known) == len(costs) else None


def known_window(profile: Profile) -> int | None:
    """The context window that the table knows, in tokens."""
    found = _calculate(profile, Usage())
    return found.model.context_window if found else None


def _own(price: tuple[Decimal, ...], usage: Usage) -> Decimal:
    per_input, per_output, *rest = price
    per_cached = rest[0] if rest else per_input
    plain = usage.input_tokens - usage.cached_tokens - usage.cache_write_tokens
    read = plain * per_input + usage.cached_tokens * per_cached + usage.cache_write_tokens * per_input * CACHE_WRITE
    return (read + usage.output_tokens * per_output) / MILLION


def _sound(usage: Usage) -> Usage:
    """`usage` with cache counts that are really part of its input."""
    cached = min(usage.cached_tokens, usage.input_tokens)
    return replace(
        usage, cached_tokens=cached, cache_write_tokens=min(usage.cache_write_tokens, usage.input_tokens - cached)
    )


def _entry(profile: Profile) -> tuple[str, str] | None:
    """A model's provider and name in the price table; `litellm/openai/gpt-5` is priced as `openai/gpt-5`."""
    provider, model = profile.provider, profile.provider_model
    if profile.protocol == "litellm":
        provider, _, model = model.partition("/")
    table = price_table(provider, profile.base_url)
    return (table, model) if table else None


@cache
def _unknown() -> set[tuple[str, str]]:
    return set()


def _calculate(profile: Profile, usage: Usage) -> PriceCalculation | None:
    entry = _entry(profile)
    if entry is None or entry in _unknown():
        return None
    import genai_prices

    amounts = genai_prices.Usage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cached_tokens,
        cache_write_tokens=usage.cache_write_tokens,
    )
    try:
        return genai_prices.calc_price(amounts, entry[1], provider_id=entry[0])
    except (LookupError, ValueError):
        _unknown().add(entry)
        return None
