"""What is known to go wrong in Mixture-of-Agents code (github.com/togethercomputer/MoA), and does not go wrong here.

Its rounds show each model the characters of its own draft; its last call ignores temperature and length; its proposers wait for
each other; a failed proposer, or all of them, goes unnoticed; a server that hangs is waited for without end; drafts that
outgrow the context become nothing; nothing of it is recorded.
"""

import asyncio

import pytest

from crewmix import Crew
from crewmix.definitions.project import Project
from crewmix.errors import ContextTooLongError, ModelUnavailableError, RunError
from crewmix.runs import find_run, run_events
from support.models import FunctionModel, speaking

NAMES = ("ann", "bob", "cy")


def mixture(model, tmp_path, *, layers=3, **chat):
    roles = [{"name": name, "role": name.title(), "goal": "Answer"} for name in NAMES]
    synthesizer = {
        "name": "reader",
        "role": "Reader",
        "goal": "Merge",
        "temperature": 0.3,
        "max_output_tokens": 321,
    }
    return Crew(
        models={"default": model},
        project=tmp_path,
        plan="none",
        roles=roles,
        synthesizer=synthesizer,
        chat={"pattern": "layers", "layers": layers, **chat},
    )


def test_every_proposer_reads_whole_drafts_of_all_proposers(tmp_path):
    model = FunctionModel(lambda request: f"{request.brief.role} thinks of round {request.brief.round}, at length")
    mixture(model, tmp_path).run("Why?")
    second = [request for request in model.asked("speak") if request.brief.round == 2]
    assert len(second) == 3
    for request in second:
        assert request.brief.drafts == tuple(f"{name} thinks of round 1, at length" for name in NAMES)
        assert all(f"Draft {n}" in request.messages[-1].content for n in (1, 2, 3))
        assert "Draft 4" not in request.messages[-1].content


def test_the_aggregator_keeps_to_its_temperature_and_length(tmp_path):
    model = FunctionModel(speaking)
    mixture(model, tmp_path).run("Why?")
    [last] = model.asked("synthesize")
    assert (last.temperature, last.max_output_tokens) == (0.3, 321)


def test_proposers_of_a_layer_do_not_wait_for_each_other(tmp_path):
    model = FunctionModel(speaking)
    model.answer_together("speak", 3)
    assert mixture(model, tmp_path).run("Why?").output == "merged 3 of Why?"


def test_a_failed_proposer_is_named_and_the_run_is_marked(tmp_path):
    model = FunctionModel(lambda r: ModelUnavailableError("it is down") if r.brief.role == "bob" else speaking(r))
    result = mixture(model, tmp_path, layers=2).run("Why?")
    assert (result.output, result.status) == ("merged 2 of Why?", "partial")
    assert any("bob" in warning and "it is down" in warning for warning in result.warnings)


def test_without_a_single_draft_the_aggregator_does_not_answer_alone(tmp_path):
    model = FunctionModel(lambda _: ModelUnavailableError("it is down"))
    with pytest.raises(RunError, match="only 0 of at least 1") as error:
        mixture(model, tmp_path).run("Why?")
    assert all(name in error.value.message for name in NAMES)
    assert not model.asked("synthesize")


def test_a_proposer_that_hangs_loses_its_turn_and_not_the_run(tmp_path):
    class Hanging(FunctionModel):
        async def complete(self, request, on_delta=None):
            if request.brief.role == "bob":
                await asyncio.Event().wait()
            return await super().complete(request, on_delta)

    result = mixture(Hanging(speaking), tmp_path, layers=2, turn_seconds=0.2).run("Why?")
    assert result.output == "merged 2 of Why?" and any("bob" in warning for warning in result.warnings)


def test_drafts_that_outgrow_the_context_still_become_an_answer(tmp_path):
    long = "The tower was built of stone in many years by many hands. " * 120

    def answer(request):
        if sum(len(message.content) for message in request.messages) > 4 * 5_000:
            return ContextTooLongError("too long")
        return speaking(request) if request.brief.purpose == "synthesize" else f"{request.brief.role}: {long}"

    model = FunctionModel(answer)
    result = mixture(model, tmp_path, layers=2).run("Why?")
    assert result.output.startswith("merged") and len(model.asked("synthesize")) > 1
    assert result.status == "done" and result.warnings


def test_drafts_calls_and_cost_are_on_record(tmp_path):
    result = mixture(FunctionModel(speaking), tmp_path).run("Why?")
    project = Project(tmp_path)
    assert find_run(project, "last").run_id == result.run_id
    kinds = [event["type"] for event in run_events(project, result.run_id)]
    assert (kinds.count("MessageSpoken"), kinds.count("DraftMade"), kinds.count("ModelCalled")) == (6, 3, 7)
    assert (result.calls, result.usage.input_tokens) == (7, 700)
    assert [(message.role, message.round) for message in result.messages] == [(n, r) for r in (1, 2) for n in NAMES]


def test_the_most_it_can_take_is_known_before_it_starts(tmp_path):
    estimate = mixture(FunctionModel(speaking), tmp_path).estimate("Why?")
    assert (estimate.expected.calls, estimate.expected.depth, estimate.worst.calls) == (7, 3, 7)
