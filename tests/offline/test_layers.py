"""A role in a later layer works with the drafts of the layer before."""

from __future__ import annotations

from support.desk import Desk

QUESTION = "How long is the bridge, and who built the tunnel?"
DRAFTS = ("The bridge is 90 metres long. [a.md:1]", "The tunnel was built by Ada Stone. [b.md:3]")


def test_the_drafts_of_the_layer_before_are_merged(desk: Desk) -> None:
    said = desk.speak(QUESTION, drafts=DRAFTS, ask="Several models answered. Weigh them.")
    assert said == " ".join(DRAFTS)


def test_what_drafts_cite_counts_as_found_by_one_who_searches(desk: Desk) -> None:
    said = desk.research(QUESTION, drafts=DRAFTS)
    assert DRAFTS[0] in said
    assert DRAFTS[1] in said


def test_nobody_is_passed_to(desk: Desk) -> None:
    said = desk.speak(QUESTION, drafts=DRAFTS, candidates=("critic", "analyst"))
    assert "Pass to" not in said


def test_refusals_are_not_drafts(desk: Desk) -> None:
    refusal = "This needs a language model, and none is configured. Not done: " + QUESTION
    assert desk.speak(QUESTION, drafts=(refusal, DRAFTS[0], refusal)) == DRAFTS[0]


def test_fifty_long_drafts_are_merged_ranked_and_criticised(desk: Desk) -> None:
    from crewmix.models.types import Brief

    drafts = tuple(
        " ".join(f"Arch {n}-{k} of the bridge was built in {1500 + 50 * k + n} by mason {n}{k}." for k in range(25))
        for n in range(50)
    )
    labels = tuple(f"L{n}" for n in range(50))
    merged = desk.merge("Who built the bridge?", *drafts)
    assert merged.count("mason") >= 8
    assert (
        len(desk.complete(Brief(purpose="rank", question="?", drafts=drafts, candidates=labels)).data["ranking"]) == 50
    )
    assert "Draft 50" in desk.complete(Brief(purpose="critique", question="?", drafts=drafts)).text


def test_a_mixture_of_refusals_is_a_refusal_and_no_search_without_result(desk: Desk) -> None:
    refusal = desk.speak("What is love?")
    assert refusal.startswith("This needs a language model")
    assert desk.speak("What is love?", drafts=(refusal, refusal)) == refusal
    assert desk.merge("What is love?", refusal, refusal) == refusal
    parts = (("t1", "What is love?"), ("t2", "What is hate?"))
    assert desk.merge("?", refusal, refusal, context=parts).count("This needs a language model") == 2
