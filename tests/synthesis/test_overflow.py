"""Drafts that outgrow the model's context are merged in windows, cut or summarised, and the run says which."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crewmix import Role
from crewmix.errors import ContextTooLongError, ModelUnavailableError
from crewmix.models.tokens import most_input
from crewmix.synthesis.base import Draft, Question
from crewmix.synthesis.readers.overflow import Piece, groups, next_window, trimmed
from crewmix.synthesis.readers.overflow import total as total_size
from support.readers import drafts, table

LONG = [f"draft{n} begins. " + f"Fact {n} is true. " * 60 + f" draft{n} ends." for n in range(1, 8)]


def system(request):
    return request.messages[0].content


async def test_each_window_holds_the_answer_so_far_and_the_next_drafts():
    async with table(lambda r: f"answer from {len(r.brief.drafts)}", window=3_000, output=300) as t:
        answer = await t.merge(drafts(*LONG))
        asked = t.model.asked("synthesize")
        assert answer.text == f"answer from {len(asked[-1].brief.drafts)}" and len(asked) > 1
        assert not t.too_large()
    for request in asked[1:]:
        assert request.brief.drafts[0].startswith("answer from") and "Answer so far:\n~~~" in system(request)
    seen = [text for request in asked for text in request.brief.drafts if text.startswith("draft")]
    assert seen == LONG
    assert [n for r in asked for n in re.findall(r"Response (\d)", system(r))] == list("1234567")
    assert len(t.warned("overflow")) == 1 and "one window after another" in t.warned("overflow")[0]


async def test_disagreements_of_every_window_are_kept():
    async with table(
        lambda r: f"text\n\nDisagreements:\n- point {len(r.brief.drafts)}\n- the year", window=3_000, output=300
    ) as t:
        answer = await t.merge(drafts(*LONG))
        sizes = [len(r.brief.drafts) for r in t.model.asked("synthesize")]
    assert answer.text == "text" and len(set(sizes)) > 1
    assert answer.dissent == tuple(dict.fromkeys(p for n in sizes for p in (f"point {n}", "the year")))


async def test_only_the_last_window_is_streamed():
    async with table(lambda r: f"answer from {len(r.brief.drafts)}", window=3_000, output=300) as t:
        t.run.listen(lambda event: None, deltas=True)
        answer = await t.merge(drafts(*LONG))
        assert "".join(e.text for e in t.events if e.type == "TextDelta") == answer.text


async def test_parts_of_the_goal_are_merged_in_windows_without_losing_their_questions():
    question = Question("goal", "goal", "", parts=tuple(f"question {n}" for n in range(1, 8)))
    async with table(lambda r: "merged", window=3_000, output=300) as t:
        await t.merge(drafts(*LONG), question)
        asked = t.model.asked("synthesize")
    assert [q for r in asked for q in re.findall(r"Part \d: (question \d)", system(r))] == list(question.parts)
    assert [q for r in asked for _, q in r.brief.context if q] == list(question.parts)
    assert all(len(r.brief.context) == len(r.brief.drafts) for r in asked)


async def test_trim_cuts_the_long_drafts_in_the_middle_and_names_them():
    async with table(lambda r: "merged", window=3_000, output=300) as t:
        await t.merge(drafts("short", *LONG), overflow="trim")
        [request] = t.model.asked("synthesize")
        assert not t.too_large()
    assert request.brief.drafts[0] == "short"
    for n, text in enumerate(request.brief.drafts[1:], 1):
        assert f"draft{n} begins" in text and f"draft{n} ends" in text and "characters left out" in text
    assert [w.count("solver#") for w in t.warned("overflow")] == [7] and "solver#1," not in t.warned("overflow")[0]


async def test_summarise_shortens_the_long_drafts_by_the_same_model_in_parallel():
    def answer(request):
        return f"sum of {request.brief.drafts[0][:6]}" if request.brief.purpose == "summarise" else "merged"

    async with table(answer, window=3_000, output=300) as t:
        t.model.answer_together("summarise", 7)
        await t.merge(drafts("short", *LONG), overflow="summarise")
        [request] = t.model.asked("synthesize")
        assert not t.too_large()
        assert request.brief.drafts == ("short", *(f"sum of draft{n}" for n in range(1, 8)))
        limits = {r.brief.limit for r in t.model.asked("summarise")}
        assert len(limits) == 1 and f"at most {limits.pop()} words" in system(t.model.asked("summarise")[0])
    assert "summarised" in t.warned("overflow")[0] and "solver#8" in t.warned("overflow")[0]


async def test_a_draft_that_cannot_be_summarised_is_cut_and_a_summary_that_is_too_long_as_well():
    def answer(request):
        if request.brief.purpose != "summarise":
            return "merged"
        failing = "draft1" in request.brief.drafts[0]
        return ModelUnavailableError("down") if failing else request.brief.drafts[0]

    async with table(answer, window=3_000, output=300) as t:
        await t.merge(drafts(*LONG), overflow="summarise")
        [request] = t.model.asked("synthesize")
        assert not t.too_large()
    assert "characters left out" in request.brief.drafts[0] and "characters left out" in request.brief.drafts[1]
    assert any("solver#1 could not be summarised" in warning for warning in t.warned("overflow"))


async def test_a_single_draft_larger_than_the_window_is_cut():
    async with table(lambda r: "merged", window=2_000, output=200) as t:
        await t.merge(drafts("huge " * 50_000, "small", "tiny"))
        assert not t.too_large()
    assert any("solver#1" in warning and "cut" in warning for warning in t.warned("overflow"))


@pytest.mark.parametrize("overflow", ["window", "trim", "summarise"])
async def test_a_model_that_takes_less_than_it_says_is_given_less(overflow):
    def answer(request):
        if most_input(request) > 2_500:
            return ContextTooLongError("the prompt is too long")
        return "short" if request.brief.purpose == "summarise" else "merged"

    async with table(answer) as t:
        assert (await t.merge(drafts(*LONG), overflow=overflow)).text == "merged"
    assert any("takes less than it is said to" in warning for warning in t.warned("overflow"))


async def test_when_not_even_the_instructions_fit_the_error_is_given():
    async with table(lambda r: ContextTooLongError("the prompt is too long")) as t:
        with pytest.raises(ContextTooLongError):
            await t.merge(drafts(*LONG))
        assert len(t.model.requests) < 12


async def test_long_reviews_leave_room_for_the_drafts():
    question = Question("q", "q", "", reviews=(Draft("critic", "fault " * 9_000),))
    async with table(lambda r: "merged", window=3_000, output=300) as t:
        await t.merge(drafts("one", "two"), question)
        [request] = t.model.asked("synthesize")
        assert not t.too_large()
    assert request.brief.drafts == ("one", "two") and "left out" in request.brief.messages[0][1]
    assert "1 of 1 reviews were cut" in t.warned("overflow")[0]


TEXT = st.builds(lambda text, times: text * times, st.text("ab ~Z9\n漢é", min_size=1, max_size=20), st.integers(1, 200))
TEXTS = st.lists(TEXT, min_size=2, max_size=8, unique_by=lambda text: " ".join(text.split()))


@settings(max_examples=40, deadline=None)
@given(texts=TEXTS, overflow=st.sampled_from(["window", "trim", "summarise"]))
async def test_no_request_outgrows_the_window_and_the_estimate_counts_the_same_calls(texts, overflow):
    given = drafts(*texts)
    longest = "." + max(texts, key=len)
    async with table(lambda r: longest if r.brief.purpose == "synthesize" else "s", window=3_000, output=200) as t:
        await t.merge(given, overflow=overflow)
        assert not t.too_large()
        planned = t.stages(given, overflow=overflow)
        assert sum(map(len, planned)) >= len(t.model.requests)
        if overflow != "window":
            assert sum(map(len, planned)) == len(t.model.requests)


PIECES = st.lists(st.integers(0, 900).map(lambda n: Piece("Response 1", "x" * n)), min_size=1, max_size=12)


@given(PIECES, st.integers(200, 2_000))
def test_groups_hold_every_piece_once_and_fit(pieces, room):
    found = groups(pieces, room)
    assert sum(map(len, found)) == len(pieces) and all(total_size(group) <= room for group in found)
    assert [p for group in found for p in group] == [q for p in pieces for q in trimmed([p], room)]


@given(PIECES, st.integers(200, 2_000))
def test_windows_come_to_an_end(pieces, room):
    standing, rest, windows = None, tuple(pieces), 0
    while rest:
        window = next_window(standing, rest, room)
        assert total_size(window.shown) <= room and len(window.rest) < len(rest)
        standing, rest, windows = window.shown[0], window.rest, windows + 1
    assert windows <= max(1, len(pieces) - 1)


async def test_a_resumed_run_goes_on_with_the_same_failures_and_pays_nothing_twice(tmp_path):
    def answer(request):
        if request.brief.purpose != "summarise":
            return "merged"
        return ModelUnavailableError("down") if "draft2" in request.brief.drafts[0] else "short"

    async with table(answer, window=3_000, output=300, path=tmp_path / "j.db") as t:
        before = await t.merge(drafts(*LONG), overflow="summarise")
    async with table(lambda r: "other", window=3_000, output=300, path=tmp_path / "j.db") as t:
        assert await t.merge(drafts(*LONG), overflow="summarise") == before
        assert t.model.requests == []


async def test_a_window_smaller_than_the_answer_it_may_give_still_reads_something():
    small = Role(name="editor", role="Editor", goal="Merge", max_output_tokens=9_000)
    async with table(lambda r: "merged", window=4_000, synthesizer=small) as t:
        await t.merge(drafts("one " * 300, "two"))
        [request] = t.model.requests
        assert t.warned("overflow") == []
    assert request.max_output_tokens == 9_000 and request.brief.drafts == ("one " * 300, "two")


async def test_when_no_draft_can_be_summarised_all_are_cut():
    def answer(request):
        return ModelUnavailableError("down") if request.brief.purpose == "summarise" else "merged"

    async with table(answer, window=3_000, output=300) as t:
        assert (await t.merge(drafts(*LONG), overflow="summarise")).text == "merged"
        assert sum("could not be summarised: down" in warning for warning in t.warned("overflow")) == 7
