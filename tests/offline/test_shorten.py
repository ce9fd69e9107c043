"""A draft that is too long is shortened to its most telling sentences."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from crewmix.models.offline.shorten import shortened
from crewmix.models.types import Brief

STORY = " ".join(f"The weather on day {n} was mild and nothing happened at all in the valley." for n in range(40))
BRIDGE = "The bridge over the river is 90 metres long. [a.md:1]"


def shorten(text: str, limit: int, question: str = "How long is the bridge?") -> str:
    return shortened(Brief(purpose="summarise", question=question, drafts=(text,), limit=limit))


def test_what_answers_the_question_stays_with_its_citation() -> None:
    kept = shorten(f"{STORY} {BRIDGE} {STORY}", 30)
    assert BRIDGE in kept
    assert len(kept.split()) <= 30 + kept.count("- ")


def test_sentences_are_unchanged_and_in_their_own_order() -> None:
    text = "Ada built the bridge in 1931. It has nine arches. Tolls ended in 1950. " + STORY
    kept = [line.removeprefix("- ") for line in shorten(text, 25, "bridge arches tolls").splitlines()]
    assert kept == [s for s in kept if s in text]
    assert [text.index(s) for s in kept] == sorted(text.index(s) for s in kept)


def test_a_short_text_stays_as_it_is() -> None:
    assert shorten(f"# Bridge\n\n{BRIDGE}", 50) == f"# Bridge\n\n{BRIDGE}"


def test_a_text_without_sentences_is_cut_visibly() -> None:
    assert shorten("word " * 500, 10) == "word word word word word word word word word word …"


@given(st.text(max_size=400), st.integers(1, 40))
def test_it_keeps_to_the_limit_whatever_the_text(text: str, limit: int) -> None:
    kept = shorten(text, limit)
    assert len([w for w in kept.split() if w not in {"-", "…"}]) <= max(
        limit, len(text.split()) * (len(kept) == len(text))
    )


def test_chinese_counts_characters_not_lines() -> None:
    text = "长城很长。" * 3 + "".join(f"今天第{n}天天气很好。" for n in range(50))
    assert len(shorten(text, 30, "长城有多长？")) < 60
