"""Every fault of a provider at every place of a run: bounded requests, a typed end, nothing lost, and a page that says so."""

from __future__ import annotations

import pytest

import fault_matrix
from crewmix.journal.events import MemberFailed, ModelRetried, Warned
from fault_matrix import FAULTS, PLACES, Case, measure_all, table, written

HARMLESS = {"no usage"}
GIVEN_UP = {"429 with `Retry-After` of an hour"}
"""Not waited for, so that also passing once it ends the call."""
REFUSALS = {"model_context", "model_filtered", "model_auth", "model_quota", "model_unknown", "model_output_limit"}
"""What another attempt cannot mend."""


@pytest.fixture(scope="module")
def cases() -> dict[tuple[str, str, bool], Case]:
    return measure_all()


def every(cases, **wanted):
    return [case for case in cases.values() if all(getattr(case, name) == value for name, value in wanted.items())]


def test_a_call_is_sent_three_times_at_most(cases):
    assert {case.requests for case in cases.values()} <= {1, 2, 3}
    assert {case.requests for case in every(cases, fault="429 without `Retry-After`", lasting=True)} == {3}


def test_what_cannot_be_mended_is_sent_once(cases):
    refused = [case for case in cases.values() if case.error in REFUSALS]
    assert {case.error for case in refused} == REFUSALS
    assert {case.requests for case in refused} == {1}


def test_a_fault_that_passes_is_survived_everywhere(cases):
    for case in every(cases, lasting=False):
        final = case.fault in GIVEN_UP or case.error in REFUSALS
        assert final or (case.outcome, case.error) == ("done", ""), case


def test_each_further_attempt_is_an_event(cases):
    for case in cases.values():
        retried = [event for event in case.events if isinstance(event, ModelRetried)]
        if case.fault not in HARMLESS and case.error != "tool_loop":
            assert len(retried) == case.requests - 1, case


def test_a_fault_that_lasts_ends_the_run_with_a_typed_error_or_an_answer_without_it(cases):
    endings = {"direct": "fails", "tools": "fails", "selector": "done", "synthesis": "partial"}
    for case in every(cases, lasting=True):
        if case.fault not in HARMLESS:
            assert case.outcome == endings[case.place], case
            assert case.error.startswith("model_") or case.fault == "unknown tool", case
            assert case.hint or case.fault == "unknown tool", case
            kind = MemberFailed if case.place in ("direct", "tools") else Warned
            assert any(isinstance(event, kind) for event in case.events), case


def test_no_failure_reaches_a_reader_as_an_answer_or_as_a_traceback(cases):
    for case in cases.values():
        assert "Traceback" not in case.told, case
        assert "<html" not in case.told, case
        if case.result is not None:
            assert case.result.output.startswith(("answer ", "fine without usage")), case


def test_nothing_is_lost_and_nothing_is_paid_twice(cases):
    """When the fault is over a resumed run ends well, and asks nothing that was answered before."""
    for case in cases.values():
        assert not case.twice, case
        if case.outcome != "done" and case.fault != "unknown tool":
            assert case.resumed == "done", case


def test_the_page_shows_what_was_measured(cases):
    page = fault_matrix.PAGE.read_text(encoding="utf-8")
    assert page == written(page, table(cases)), "run `python tests/fault_matrix.py`"


def test_the_matrix_is_whole(cases):
    assert len(cases) == len(FAULTS) * len(PLACES) * 2 >= 200
