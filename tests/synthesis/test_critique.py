"""Critique, then combination: the writer sees the drafts and what was said of each."""

from dataclasses import replace

from crewmix.errors import ModelUnavailableError
from crewmix.synthesis.base import Draft
from support.readers import QUESTION, drafts, table


def answer(request):
    if request.brief.purpose == "critique":
        return f"Response 1 is wrong. ({len(request.brief.drafts)} read)"
    return "combined"


async def test_the_judge_criticises_all_drafts_at_once_and_the_writer_sees_both():
    async with table(answer) as t:
        merged = await t.merge(drafts("draft one", "draft two", "draft three"), method="critique_combine")
        critique, combine = t.model.requests
    assert (merged.text, merged.method, merged.chosen) == ("combined", "critique_combine", "")
    assert (critique.brief.purpose, critique.brief.role, critique.temperature) == ("critique", "judge", 0.0)
    assert (combine.brief.purpose, combine.brief.role, combine.temperature) == ("synthesize", "editor", 0.2)
    for n, text in enumerate(("draft one", "draft two", "draft three"), 1):
        for request in (critique, combine):
            assert f"Response {n}:\n~~~\n{text}\n~~~" in request.messages[0].content
    assert "Review 1:\n~~~\nResponse 1 is wrong. (3 read)\n~~~" in combine.messages[0].content
    assert critique.messages[-1].content.startswith(QUESTION.task) and "solver" not in critique.messages[0].content


async def test_the_numbers_of_the_critique_are_those_the_writer_sees():
    texts = [f"text {n}" for n in range(9)]
    async with table(answer) as t:
        await t.merge(drafts(*texts, "text 3"), method="critique_combine", shuffle=True)
        critique, combine = t.model.requests
        assert t.warned("same_draft") == ["solver#10 gave the same draft as solver#4; it is shown once"]
    assert critique.brief.drafts == combine.brief.drafts != tuple(texts)
    assert sorted(critique.brief.drafts) == texts


async def test_reviews_of_the_chat_stand_beside_the_critique():
    async with table(answer) as t:
        question = replace(QUESTION, reviews=(Draft("critic", "too long"),))
        await t.merge(drafts("one", "two"), question, method="critique_combine")
    assert [author for author, _ in t.model.requests[1].brief.messages] == ["critic", "judge"]


async def test_without_a_critique_the_drafts_are_merged_and_that_is_told(tmp_path):
    def failing(request):
        return ModelUnavailableError("down") if request.brief.purpose == "critique" else answer(request)

    async with table(failing, path=tmp_path / "j.db") as t:
        before = await t.merge(drafts("one", "two"), method="critique_combine")
        assert before.text == "combined" and t.model.asked("synthesize")[0].brief.messages == ()
        assert t.warned("no_critique") == ["the drafts were merged without a critique: down"]
    async with table(answer, path=tmp_path / "j.db") as t:
        assert await t.merge(drafts("one", "two"), method="critique_combine") == before and t.model.requests == []


async def test_drafts_that_outgrow_the_judge_are_criticised_in_groups_at_the_same_time():
    texts = [f"draft{n} " + "word " * 300 for n in range(7)]
    async with table(answer, window=3_000, output=300) as t:
        t.model.answer_together("critique", 2)
        await t.merge(drafts(*texts), method="critique_combine")
        asked = t.model.asked("critique")
        assert [text for request in asked for text in request.brief.drafts] == texts and len(asked) > 1
        assert not t.too_large()
        assert any("criticised in" in warning for warning in t.warned("overflow"))
        stages = t.stages(drafts(*texts), worst=False, method="critique_combine")
        assert len(stages[0]) == len(asked) and sum(map(len, stages)) >= len(t.model.requests)


async def test_a_group_without_a_critique_is_named():
    def failing(request):
        lost = request.brief.purpose == "critique" and "draft0" in request.brief.drafts[0]
        return ModelUnavailableError("down") if lost else answer(request)

    async with table(failing, window=3_000, output=300) as t:
        await t.merge(drafts(*(f"draft{n} " + "word " * 300 for n in range(7))), method="critique_combine")
        [warning] = t.warned("no_critique")
    assert "solver#1" in warning and "got no critique: down" in warning


async def test_the_estimate_has_two_calls_one_after_the_other():
    async with table(answer) as t:
        assert [len(s) for s in t.stages(drafts("one", "two"), method="critique_combine")] == [1, 1]
        assert t.stages(drafts("one"), method="critique_combine") == ()
        assert (await t.merge(drafts("one"), method="critique_combine")).text == "one" and t.model.requests == []
