"""When to try again, and how long to wait; limits per minute; sizes of prompts."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crewmix.errors import AuthError, ModelUnavailableError, RateLimitedError
from crewmix.models import tokens
from crewmix.models.limits import WINDOW, Limiter
from crewmix.models.retry import pause, retry_after
from support.clock import Clock

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": "-4"}, 0.0),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "250", "retry-after": "3"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "3"}, 3.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "Sat, 31 Jan 2026 12:00:30 GMT"}, 30.0),
        ({"retry-after": "Sat, 31 Jan 2026 11:59:00 GMT"}, 0.0),
        ({"retry-after": "Sat, 31 Jan 2026 12:00:30"}, 30.0),
        ({"retry-after": "Sat, 99 Jan 2026 12:00:30 GMT"}, None),
    ],
)
def test_retry_after(headers, seconds):
    assert retry_after(headers, lambda: NOW) == seconds


@given(st.integers(0, 10**8))
def test_retry_after_as_a_date(ahead):
    date = format_datetime(NOW + timedelta(seconds=ahead), usegmt=True)
    assert retry_after({"retry-after": date}, lambda: NOW) == ahead


@given(st.text(max_size=40))
def test_any_retry_after_is_none_or_a_wait(text):
    seconds = retry_after({"retry-after": text}, lambda: NOW)
    assert seconds is None or seconds >= 0


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_waits_double_up_to_eight_seconds(attempt, luck):
    wait = pause(ModelUnavailableError("down"), attempt, lambda: luck)
    middle = min(0.5 * 2 ** min(attempt - 1, 20), 8.0)
    assert wait is not None
    assert 0.8 * middle - 1e-9 <= wait <= 1.2 * middle + 1e-9


def test_what_cannot_help_is_not_tried():
    assert pause(AuthError("no"), 1) is None
    assert pause(RateLimitedError("busy", retry_after=60.0), 1) == 60.0
    assert pause(RateLimitedError("busy", retry_after=60.5), 1) is None


@given(
    st.lists(st.integers(0, 400), min_size=1, max_size=25),
    st.none() | st.integers(1, 6),
    st.none() | st.integers(1, 500),
)
async def test_no_minute_ever_holds_more_than_the_limits(sizes, rpm, tpm):
    clock = Clock()
    limiter = Limiter(64, rpm, tpm, clock=lambda: clock.now, wait=clock.wait)
    sent: list[tuple[float, int]] = []
    for size in sizes:
        async with limiter.slot(size):
            sent.append((clock.now, size))
    for start, _ in sent:
        window = [size for time, size in sent if start <= time < start + WINDOW]
        assert rpm is None or len(window) <= rpm
        assert tpm is None or sum(window) <= tpm or len(window) == 1 or sum(window[1:]) == 0


async def test_a_corrected_estimate_frees_its_place():
    clock = Clock()
    limiter = Limiter(4, None, 100, clock=lambda: clock.now, wait=clock.wait)
    async with limiter.slot(90) as place:
        place.tokens = 10
    async with limiter.slot(90):
        assert clock.now == 1000.0
    async with limiter.slot(1):
        assert clock.now == 1000.0 + WINDOW


async def test_concurrency_is_kept_and_first_come_first_served():
    limiter, order, most, inside = Limiter(3), [], 0, 0
    gate = asyncio.Event()

    async def work(number: int) -> None:
        nonlocal most, inside
        async with limiter.slot(1):
            order.append(number)
            inside += 1
            most = max(most, inside)
            await gate.wait()
            inside -= 1

    tasks = [asyncio.create_task(work(n)) for n in range(12)]
    while len(order) < 3:
        await asyncio.sleep(0)
    gate.set()
    await asyncio.gather(*tasks)
    assert most == 3
    assert order == list(range(12))


async def test_who_waits_goes_on_as_soon_as_an_estimate_turns_out_too_high():
    limiter = Limiter(4, None, 100)
    async with asyncio.timeout(WINDOW / 2):
        async with limiter.slot(90) as place:
            second = asyncio.create_task(enter(limiter, 90))
            await asyncio.sleep(0)
            assert not second.done()
            place.tokens = 10
        await second


async def enter(limiter: Limiter, tokens: int) -> None:
    async with limiter.slot(tokens):
        pass


async def test_a_request_that_never_went_out_takes_up_nothing():
    limiter = Limiter(1, 1)
    async with asyncio.timeout(WINDOW / 2):
        async with limiter.slot(1) as place:
            place.sent = False
        await enter(limiter, 1)


async def test_requests_that_are_about_to_go_out_keep_their_places():
    limiter, sent = Limiter(9, 2), list[int]()

    async def ask(number: int) -> None:
        async with limiter.slot(1) as place:
            place.sent = False
            await asyncio.sleep(0.01)
            place.sent = True
            sent.append(number)

    asking = [asyncio.create_task(ask(number)) for number in range(6)]
    await asyncio.wait(asking, timeout=0.2)
    for left in asking:
        left.cancel()
    assert sent == [0, 1]


async def test_cancelling_who_waits_lets_the_next_one_in():
    clock = Clock()
    limiter = Limiter(1, clock=lambda: clock.now)
    order: list[str] = []

    async def work(name: str, gate: asyncio.Event) -> None:
        async with limiter.slot(1):
            order.append(name)
            await gate.wait()

    gate = asyncio.Event()
    first, second, third = (asyncio.create_task(work(name, gate)) for name in ("first", "second", "third"))
    await asyncio.sleep(0)
    second.cancel()
    first.cancel()
    gate.set()
    await third
    assert order == ["first", "third"]


async def test_cancelling_who_waits_for_the_minute_lets_the_next_one_wait_in_its_place():
    limiter = Limiter(4, 1)
    await enter(limiter, 1)
    waiting, following = (asyncio.create_task(enter(limiter, 1)) for _ in range(2))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await asyncio.sleep(0)
    assert waiting.cancelled()
    assert not following.done()
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)


@given(st.lists(st.tuples(st.integers(1, 400), st.floats(-5000, 5000)), min_size=1, max_size=12))
async def test_a_clock_that_jumps_makes_nobody_wait_longer_than_a_minute_a_request(steps):
    clock = Clock()
    limiter = Limiter(4, 2, 500, clock=lambda: clock.now, wait=clock.wait)
    for size, jump in steps:
        before = clock.now
        await enter(limiter, size)
        assert clock.now - before <= 2 * WINDOW + 1e-6
        clock.now += jump


async def test_a_large_request_is_not_overtaken_for_ever():
    """First come, first served: what fits beside others does not go before what came earlier."""
    limiter, order = Limiter(9, None, 100), list[int]()
    gate = asyncio.Event()

    async def work(tokens: int) -> None:
        async with limiter.slot(tokens) as place:
            order.append(tokens)
            await gate.wait()
            place.tokens = 1

    tasks = [asyncio.create_task(work(tokens)) for tokens in (90, 99, 1, 2)]
    for _ in range(5):
        await asyncio.sleep(0)
    assert order == [90]
    gate.set()
    async with asyncio.timeout(WINDOW / 2):
        await asyncio.gather(*tasks)
    assert order == [90, 99, 1, 2]


@given(st.text(max_size=300))
def test_the_bound_is_above_the_usual_size_and_adds_up(text):
    assert tokens.at_most(text) >= len(text.encode("utf-8", "replace")) / 8
    assert tokens.at_most(text + text) >= tokens.at_most(text)


@pytest.mark.parametrize(
    ("text", "truth"),
    [  # token counts of cl100k_base and Llama 3, the larger of the two
        ("The quick brown fox jumps over the lazy dog.", 10),
        ("def add(a: int, b: int) -> int:\n    return a + b\n", 20),
        ("3.14159265358979323846", 13),
        ("Straßenbahnhaltestelle", 9),
        ("你好，世界", 7),
    ],
)
def test_the_bound_holds_for_known_counts_and_is_not_wild(text, truth):
    assert truth <= tokens.at_most(text) <= 4 * truth
