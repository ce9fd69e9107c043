"""Texts that outgrow a prompt are cut visibly, the longest first, and both their ends stay."""

import re

from hypothesis import given
from hypothesis import strategies as st

from crewmix.agents.fit import fitted, size
from crewmix.agents.prompts import quote
from crewmix.models.tokens import at_most

MARK = re.compile(r"\[… ([\d,]+) characters left out …\]")


def test_texts_that_fit_are_left_alone():
    assert fitted(["one", "two"], 100) == (("one", "two"), 0)
    assert fitted([], 0) == ((), 0)


def test_the_longest_is_cut_and_says_how_much_is_missing():
    long = "beginning " + "x" * 5_000 + " ending"
    (short, cut), number = fitted(["short", long], 500)
    assert (short, number) == ("short", 1)
    assert cut.startswith("beginning") and cut.endswith("ending")
    found = MARK.search(cut)
    assert found and int(found[1].replace(",", "")) == len(long) - len(MARK.sub("", cut).replace("\n", ""))


def test_long_texts_are_cut_to_the_same_length():
    kept, number = fitted(["a" * 9_000, "b" * 3_000, "c" * 6_000, "d"], 1_000)
    assert number == 3 and kept[3] == "d"
    assert max(map(len, kept[:3])) - min(map(len, kept[:3])) < 12


def test_what_a_fence_must_outgrow_counts_as_well():
    fences = "~" * 4_000
    (kept,), number = fitted([fences], 1_000)
    assert number == 1 and at_most(quote("Response 1", kept)) < 1_100


TEXT = st.text(alphabet="abc DEF\n~12é漢字🙂", max_size=600)


@given(st.lists(TEXT, max_size=8), st.integers(0, 1_500))
def test_what_is_kept_fits_and_nothing_is_lost_silently(texts, room):
    kept, number = fitted(texts, room)
    assert sum(map(size, kept)) <= room + 30 * len(texts)
    changed = [new for old, new in zip(texts, kept, strict=True) if old != new]
    assert all(MARK.search(new) for new in changed) and len(changed) == number
    if sum(map(size, texts)) <= room:
        assert kept == tuple(texts)


def test_in_no_room_at_all_the_mark_remains():
    (kept,), number = fitted(["word " * 100], 0)
    assert (kept, number) == ("[… 500 characters left out …]", 1)


def test_a_text_no_longer_than_its_mark_would_be_stays():
    assert fitted(["short"], 0) == (("short",), 0)
