"""Drafts become one answer that a reader accepts: nothing twice, nothing uncited lost, disputes named."""

from hypothesis import given
from hypothesis import strategies as st

from crewmix.models.offline.merge import merge
from crewmix.models.offline.sentences import TAG, statements
from crewmix.models.types import Brief
from crewmix.synthesis.readers.aggregate import split_dissent
from support.desk import Desk

LONG = "The bridge is 90 metres long."
OTHER = "The bridge is 70 metres long."


def test_the_same_statement_appears_once_with_all_its_citations(desk: Desk) -> None:
    merged = desk.merge("How long is the bridge?", f"{LONG} [a.md:1]", f"- {LONG} [b.md:2-3]\n- {LONG} [a.md:1]")
    assert merged == f"{LONG} [a.md:1] [b.md:2-3]"


def test_disagreements_are_listed_at_the_end_as_the_engine_reads_them(desk: Desk) -> None:
    text, dissent = split_dissent(desk.merge("How long is the bridge?", f"{LONG} [a.md:1]", f"{OTHER} [b.md:2]"))
    assert LONG in text
    assert OTHER in text
    assert dissent == ('"The bridge is 70 metres long" [b.md:2] but "The bridge is 90 metres long" [a.md:1]',)


def test_a_denial_contradicts_and_different_subjects_do_not(desk: Desk) -> None:
    drafts = ("The tower is open on Sundays. [a.md:1]", "The tower is not open on Sundays. [b.md:1]")
    assert split_dissent(desk.merge("When is the tower open?", *drafts))[1] != ()
    drafts = ("The tower is 20 metres high. [a.md:1]", "The bridge over the river was painted in 1931. [b.md:1]")
    assert split_dissent(desk.merge("How high is the tower and when was the bridge painted?", *drafts))[1] == ()


def test_answers_to_parts_stand_under_their_questions(desk: Desk) -> None:
    merged = desk.merge(
        "How long is the bridge, and who built the tunnel?",
        f"{LONG} [a.md:1]",
        "The tunnel was built by Ada Stone. [b.md:3]",
        context=(("t1", "How long is the bridge?"), ("t2", "Who built the tunnel?")),
    )
    assert merged == (
        f"**How long is the bridge?**\n{LONG} [a.md:1]\n\n"
        "**Who built the tunnel?**\nThe tunnel was built by Ada Stone. [b.md:3]"
    )


def test_a_part_without_evidence_says_so(desk: Desk) -> None:
    merged = desk.merge(
        "x", f"{LONG} [a.md:1]", "No evidence found in the documents for: the tunnel",
        context=(("t1", "How long is the bridge?"), ("t2", "Who built the tunnel?")),
    )  # fmt: skip
    assert merged.endswith("No evidence found in the documents for: Who built the tunnel?")


def test_dissent_of_the_parts_is_kept(desk: Desk) -> None:
    part = f'{LONG} [a.md:1]\n\nDisagreements:\n- "The bridge is 70 metres long" [b.md:2] but …'
    merged = desk.merge("x", part, "Ada built it. [c.md:1]", context=(("t1", "How long?"), ("t2", "Who built it?")))
    assert split_dissent(merged)[1] == ('"The bridge is 70 metres long" [b.md:2] but …',)


def test_without_any_evidence_the_answer_is_plain(desk: Desk) -> None:
    nothing = "No evidence found in the documents for: the tunnel"
    assert (
        desk.merge("Who built the tunnel?", nothing, nothing)
        == "No evidence found in the documents for: Who built the tunnel?"
    )


def test_a_declined_creation_is_declined_once(desk: Desk) -> None:
    question = "Write a function that sorts a list"
    declined = desk.speak(question)
    assert desk.merge(question, declined, declined) == declined


def test_code_is_not_cut_into_sentences(desk: Desk) -> None:
    short = "It is long. [a.md:1]"
    code = (
        "The bridge function returns its length:\n\n```python\ndef bridge():\n    return 90\n```\n\nThe bridge is long."
    )
    assert desk.merge("What does the bridge function return?", short, code) == code


def test_claims_without_citation_give_way_to_cited_ones(desk: Desk) -> None:
    assert (
        desk.merge("How long is the bridge?", f"{LONG} [a.md:1]", "The bridge is quite long, I think.")
        == f"{LONG} [a.md:1]"
    )
    assert desk.merge("How long is the bridge?", LONG, LONG) == LONG


drafts = st.lists(
    st.sampled_from([f"{LONG} [a.md:1]", f"- {OTHER} [b.md:2]", "# Head", "It rains.", "", "```\nx = 1\n```"]),
    max_size=6,
)


@given(st.lists(drafts.map("\n".join), min_size=1, max_size=4))
def test_a_merge_never_invents_a_citation_or_a_sentence(texts: list[str]) -> None:
    merged = merge(Brief(purpose="synthesize", question="How long is the bridge?", drafts=tuple(texts)))
    assert merged.strip()
    known = {tag for text in texts for tag in TAG.findall(text)}
    assert set(TAG.findall(merged)) <= known
    sentences = {s.text.rstrip(".") for text in texts for s in statements(text)}
    body, _ = split_dissent(merged)
    assert all(s.text.rstrip(".") in sentences or s.text.startswith("No evidence") for s in statements(body))
