"""The draft that has most in common with the others, for answers that are not closed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crewmix.definitions.spec import Role, SynthesisSpec
from crewmix.synthesis.base import Desk, Draft, Question
from crewmix.synthesis.measures import similar, similarities
from crewmix.synthesis.methods import make_synthesis
from support.readers import drafts, table

ROLE = Role(name="editor", role="Editor", goal="Merge")
CATS = (
    "The cat sat on the red mat all day.",
    "The cat sat on a red mat all day long.",
    "All day the cat sat on the mat.",
)
OUTLIER = "Share prices fell sharply in early trading."
MEASURES = ("bleu", "tfidf")


async def choose(*texts, measure="bleu"):
    given = tuple(Draft(f"m{n}", text) for n, text in enumerate(texts, 1))
    method = make_synthesis(SynthesisSpec(method="similarity", measure=measure), Desk(None, ROLE, ROLE, None))
    assert method.stages(Question("", "", ""), given, worst=True) == ()
    async with table(lambda request: "") as here:
        return await method.merge(here.scope, Question("", "", ""), given)


@pytest.mark.parametrize("measure", MEASURES)
async def test_the_draft_most_like_the_others_wins_and_outliers_are_named(measure):
    answer = await choose(OUTLIER, *CATS, measure=measure)
    scores = [score.value for score in answer.scores]
    assert answer.chosen != "m1" and answer.text in CATS
    assert answer.confidence == max(scores) > 2 * scores[0]
    assert next((s.author, s.words, s.by) for s in answer.scores) == ("m1", 7, measure)
    assert [line.split(": ")[-1] for line in answer.dissent] == ["m1"]


@pytest.mark.parametrize("measure", MEASURES)
async def test_of_equal_drafts_the_first_is_taken_with_full_confidence(measure):
    answer = await choose(*[CATS[0]] * 3, measure=measure)
    assert (answer.chosen, answer.confidence, answer.dissent) == ("m1", pytest.approx(1.0), ())


@pytest.mark.parametrize("measure", MEASURES)
async def test_drafts_that_share_nothing_give_the_first_without_confidence(measure):
    answer = await choose("one two", "three four", measure=measure)
    assert (answer.chosen, answer.confidence) == ("m1", 0.0)


async def test_a_tie_is_told_and_a_copy_is_no_rival():
    async with table(lambda request: "") as here:
        answer = await here.merge(drafts("one two", "three four"), method="similarity")
        assert answer.chosen == "solver#1"
        assert here.warned("tie") == ["solver#1 and solver#2 are equally like the others; solver#1 was given first"]
    async with table(lambda request: "") as here:
        await here.merge(drafts(CATS[0], CATS[0], OUTLIER), method="similarity")
        assert here.warned("tie") == []


async def test_a_single_draft_is_the_answer():
    assert (await choose("alone")).text == "alone"


@pytest.mark.parametrize("measure", MEASURES)
def test_scripts_without_spaces_are_compared_by_characters(measure):
    near = similar("猫は一日中赤いマットの上に座っていた。", "猫は一日中マットの上に座っていました。", measure)
    far = similar("猫は一日中赤いマットの上に座っていた。", "株価は今朝大きく下落した。", measure)
    assert near > 0.5 > 2 * far


def test_bleu_of_a_known_pair():
    """Unigrams 5/6, and with one added to both sides 4/6, 2/5 and 1/4: the geometric mean, without a brevity penalty."""
    first = similarities(("the cat sat on the mat", "the cat is on the mat"), "bleu")[0][1]
    assert first == pytest.approx((5 / 6 * 4 / 6 * 2 / 5 * 1 / 4) ** 0.25)


def test_a_short_excerpt_pays_for_what_it_leaves_out():
    whole = "one two three four five six seven eight"
    rows = similarities((whole, "one two three four"), "bleu")
    assert rows[1][0] == pytest.approx(2.718281828 ** (1 - 8 / 4))


@given(st.lists(st.text(max_size=60), min_size=1, max_size=5), st.sampled_from(MEASURES))
def test_similarity_is_between_0_and_1_and_of_equal_texts_1(texts, measure):
    rows = similarities(texts, measure)
    assert all(0 <= value <= 1 + 1e-9 for row in rows for value in row)
    for a in texts:
        assert similar(a, a, measure) in (0.0, 1.0)
        assert similar(a, texts[0], measure) == pytest.approx(similar(texts[0], a, measure))
