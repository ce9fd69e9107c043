"""What calls cost: cached tokens at their own price, unknown as unknown, and never less reserved than can be billed."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crewmix.definitions.spec import ModelSpec
from crewmix.models import prices
from crewmix.models.drivers.anthropic_replies import read_usage as read_claude
from crewmix.models.drivers.openai import OpenAIDriver
from crewmix.models.drivers.replies import read_usage
from crewmix.models.profile import Profile
from crewmix.models.providers import PROVIDERS
from crewmix.models.types import ChatMessage, ModelReply, ModelRequest, Usage
from support.provider import Provider, Reply

MILLION = 1_000_000


def profile(model="anthropic/claude-haiku-4-5", protocol="messages", **fields):
    provider, _, name = model.partition("/")
    return Profile("default", model, provider, name, PROVIDERS[provider].base_url, protocol=protocol, **fields)


def dollars(one, *usage, **more):
    return prices.cost(one, Usage(*(n * 100_000 for n in usage), **{k: v * 100_000 for k, v in more.items()}))


def test_the_table_prices_what_is_cached_apart():
    haiku = profile()
    fresh, read, written = (
        dollars(haiku, 1),
        dollars(haiku, 1, cached_tokens=1),
        dollars(haiku, 1, cache_write_tokens=1),
    )
    assert fresh == Decimal("0.1") and read == fresh / 10 and written == fresh * Decimal("1.25")
    assert dollars(haiku, 3, 1, cached_tokens=1, cache_write_tokens=1) == fresh + read + written + dollars(haiku, 0, 1)
    mini = profile("openai/gpt-5-mini", "chat")
    assert dollars(mini, 1, cached_tokens=1) == dollars(mini, 1) / 10


@pytest.mark.parametrize(
    ("price", "read", "written"), [((4, 20), 4, 5), ((4, 20, Decimal("0.4")), Decimal("0.4"), 5), ((4, 20, 0), 0, 5)]
)
def test_a_price_of_the_crew_file_goes_before_the_table(price, read, written):
    mine = profile(price=tuple(map(Decimal, price)))
    assert prices.cost(mine, Usage(MILLION, MILLION)) == 24
    assert prices.cost(mine, Usage(MILLION, cached_tokens=MILLION)) == read
    assert prices.cost(mine, Usage(MILLION, cache_write_tokens=MILLION)) == written
    assert ModelSpec(model="x/y", price=price).price == tuple(map(Decimal, price))


@pytest.mark.parametrize("price", [(1,), (1, 2, 3, 4), (1, -1), (1, 2, -1)])
def test_a_price_is_two_or_three_numbers(price):
    with pytest.raises(ValueError, match="price"):
        ModelSpec(model="x/y", price=price)


def test_unknown_is_none_and_own_servers_are_free():
    assert prices.cost(profile("anthropic/claude-nobody-knows-99"), Usage(1)) is None
    assert prices.worst(profile("anthropic/claude-nobody-knows-99"), 1, 1) is None
    elsewhere = Profile("d", "anthropic/claude-haiku-4-5", "anthropic", "claude-haiku-4-5", "http://proxy/v1")
    assert prices.cost(elsewhere, Usage(1)) is None
    own = Profile("d", "ollama/q", "ollama", "q", "http://127.0.0.1:11434/v1", local=True)
    assert prices.cost(own, Usage(MILLION)) == prices.worst(own, MILLION, MILLION) == 0


def test_litellm_is_priced_by_the_provider_it_calls():
    def through(model, **fields):
        return Profile("d", f"litellm/{model}", "litellm", model, protocol="litellm", **fields)

    usage = Usage(1000, 1000)
    assert prices.cost(through("anthropic/claude-haiku-4-5"), usage) == prices.cost(profile(), usage) is not None
    assert prices.cost(through("anthropic/claude-haiku-4-5", base_url="http://proxy"), usage) is None
    assert prices.cost(through("somewhere/else"), usage) is None
    assert prices.cost(through("bare"), usage) is None


NUMBERS = st.integers(0, 400_000)
PRICED = [
    profile(),
    profile("anthropic/claude-sonnet-4-5"),
    profile("openai/gpt-5-mini", "chat"),
    profile("gemini/gemini-2.5-pro", "chat"),
    profile(price=(Decimal(4), Decimal(20), Decimal(7))),
    profile("openai/gpt-5-mini", "chat", price=(Decimal(4), Decimal(20))),
    profile("anthropic/claude-nobody-knows-99"),
]


@given(st.sampled_from(PRICED), NUMBERS, NUMBERS, NUMBERS, NUMBERS, NUMBERS, NUMBERS)
def test_no_call_costs_more_than_its_worst_case(one, most, output, shorter, less, cached, written):
    """Whatever of the prompt was read from the provider's cache or written into it; on Chat Completions nothing is written."""
    written = written if one.protocol == "messages" else 0
    usage = Usage(max(0, most - shorter), max(0, output - less), cached_tokens=cached, cache_write_tokens=written)
    found, worst = prices.cost(one, usage), prices.worst(one, most, output)
    assert (found is None) == (worst is None)
    if found is not None and worst is not None:
        assert 0 <= found <= worst


def test_counts_of_both_protocols_mean_the_same():
    chat = {"prompt_tokens": 100, "completion_tokens": 20, "prompt_tokens_details": {"cached_tokens": 60}}
    claude = {"input_tokens": 40, "cache_read_input_tokens": 60, "output_tokens": 20}
    thought = (
        {"completion_tokens_details": {"reasoning_tokens": 15}},
        {"output_tokens_details": {"thinking_tokens": 15}},
    )
    expected = Usage(100, 20, cached_tokens=60, reasoning_tokens=15)
    assert read_usage({**chat, **thought[0]}) == read_claude({**claude, **thought[1]}) == expected
    assert read_claude({**claude, "cache_creation_input_tokens": 9}).cache_write_tokens == 9
    assert read_claude({**claude, "cache_creation_input_tokens": 9}).input_tokens == 109


@pytest.mark.parametrize("odd", [{"input_tokens": None}, {"output_tokens": "many"}, {"output_tokens_details": [1]}, {}])
def test_odd_counts_are_none(odd):
    assert read_claude(odd) == Usage(estimated=True)


def test_a_reply_of_an_old_journal_has_no_written_tokens():
    old = ModelReply("x", usage=Usage(5, 2)).as_dict()
    del old["usage"]["cache_write_tokens"]
    assert ModelReply.from_dict(old).usage == Usage(5, 2)
    assert Usage(1, cache_write_tokens=2) + Usage(1, cache_write_tokens=3) == Usage(2, cache_write_tokens=5)


@pytest.mark.parametrize(
    ("flags", "streamed", "options"),
    [({}, True, {"include_usage": True}), ({"stream_usage": False}, True, None), ({"stream": False}, None, None)],
)
async def test_flags_of_a_server_decide_what_it_is_sent(flags, streamed, options):
    heard: list[str] = []
    with Provider(Reply("one two", pieces=["one ", "two"])) as provider:
        driver = OpenAIDriver(Profile("d", "x/m", "openai_compatible", "m", provider.url, **flags))
        reply = await driver.complete(ModelRequest("m", (ChatMessage("user", "?"),)), heard.append)
        await driver.close()
        sent = provider.bodies[0]
    assert (sent.get("stream"), sent.get("stream_options")) == (streamed, options)
    assert (reply.text, "".join(heard), len(heard)) == ("one two", "one two", 2 if streamed else 1)
