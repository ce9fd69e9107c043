"""What of an answer's wording stands in which draft."""

from hypothesis import given
from hypothesis import strategies as st

from crewmix.synthesis.readers.overlap import uses
from support.readers import drafts


def shares(answer, *texts):
    return [share for _, share in uses(answer, drafts(*texts))]


def test_a_copied_draft_is_used_whole_and_an_unrelated_one_not_at_all():
    text = "Three cats sit on the mat."
    assert uses(text, drafts(text, "Nobody knows how many there are.")) == (("solver#1", 1.0), ("solver#2", 0.0))


def test_an_answer_made_of_two_drafts_uses_both():
    one, two = "the first claim is that prices rise", "however wages have kept pace with them so far"
    first, second = shares(f"{one}; {two}", one, two)
    assert 0.3 < first < second < 0.7 and first + second < 1


def test_case_and_punctuation_do_not_matter():
    assert shares("THREE CATS: sit here!", "three cats sit here") == [1.0]


def test_in_scripts_without_spaces_characters_count():
    assert shares("猫が三匹います", "はい、猫が三匹います。", "犬が一匹") == [1.0, 0.0]
    first, second = shares("มีแมวสามตัวบนเสื่อ", "มีแมวสามตัว", "ฝนตกหนัก")
    assert 0.5 < first < 1 and second == 0.0


def test_very_short_and_empty_answers():
    assert shares("42", "It is 42", "41") == [1.0, 0.0]
    assert shares("", "text") == [0.0] and shares("…", "text", "") == [0.0, 0.0]
    assert uses("text", ()) == ()


@given(st.text(max_size=80), st.lists(st.text(max_size=80), max_size=4))
def test_shares_are_shares(answer, texts):
    assert all(0 <= share <= 1 for share in shares(answer, *texts))
    if any(c.isalnum() for c in answer):
        assert shares(answer, answer) == [1.0]
