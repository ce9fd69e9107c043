"""Few statements are weighed as fairly as many."""

from crewmix.models.offline.answer import from_talk
from crewmix.models.offline.review import review
from crewmix.models.types import Brief

ANSWER = """\
- **MPL**: Each Contributor hereby grants You a license under Patent Claims to make, use, sell and import. [MPL.txt:100-119]
- **Apache**: Each Contributor hereby grants to You a royalty-free patent license to make, use and sell. [Apache.txt:73-86]"""
BRIEF = Brief(question="Which of these licences grant patent rights?", messages=(("researcher", ANSWER),))


def test_an_answer_of_two_good_statements_is_approved():
    assert review(BRIEF).endswith("Verdict: approve")


def test_a_role_without_tools_finds_the_answer_in_two_statements():
    assert "[MPL.txt:100-119]" in from_talk(BRIEF) and "[Apache.txt:73-86]" in from_talk(BRIEF)


def test_two_statements_about_something_else_are_no_answer():
    other = Brief(question="How fast is a Boeing 747 at cruise?", messages=BRIEF.messages)
    assert review(other).endswith("Verdict: revise")
    assert "No evidence" in from_talk(other)
