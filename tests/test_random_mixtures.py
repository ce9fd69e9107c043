"""Whatever the chat and the synthesis: runs stay within the estimate, and a run that dies anywhere is resumed for nothing."""

import random

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from crewmix import Crew
from crewmix.definitions.project import Project
from crewmix.errors import DefinitionError, RunCancelledError, RunError
from crewmix.runs import find_run
from support.models import FunctionModel
from support.random_crews import Moody, random_crew

SEEDS = st.integers(0, 10**9)
SOME = settings(
    max_examples=120,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.function_scoped_fixture],
)


def crew(fields, model, project):
    models = {"default": model, **({"spare": model} if "'spare'" in str(fields["chat"]) else {})}
    return Crew(models=models, project=project, **fields)


def drawn(seed, project):
    """The fields of a crew that `crewmix check` accepts."""
    fields = random_crew(random.Random(seed))
    try:
        crew(fields, FunctionModel(Moody(seed)), project)
    except DefinitionError:
        assume(False)
    return fields


def outcome(work):
    """What a reader gets: the result, or why there is none."""
    try:
        result = work()
    except RunError as error:
        return error.message
    told = (result.output, result.status, result.drafts, result.messages, result.merge, result.dissent)
    return (*told, result.confidence, result.calls, result.usage, set(result.warnings))


@SOME
@given(seed=SEEDS, refusing=st.sampled_from([0.0, 0.1, 0.4]))
def test_no_run_takes_more_calls_than_estimated_at_worst(seed, refusing, tmp_path):
    fields = drawn(seed, tmp_path)
    model = FunctionModel(Moody(seed, refusing))
    team = crew(fields, model, tmp_path)
    estimate = team.estimate("Why?")
    assert estimate.expected.calls <= estimate.worst.calls
    assert estimate.expected.depth <= estimate.worst.depth <= estimate.worst.calls
    outcome(lambda: team.run("Why?"))
    assert len(model.requests) <= estimate.worst.calls


@SOME
@given(seed=SEEDS, refusing=st.sampled_from([0.0, 0.0, 0.2]), part=st.floats(0, 1, exclude_max=True))
def test_a_run_that_dies_at_any_call_comes_to_the_same_and_nothing_is_paid_twice(seed, refusing, part, tmp_path):
    fields = drawn(seed, tmp_path)
    whole = Moody(seed, refusing)
    model = FunctionModel(whole)
    told = outcome(lambda: crew(fields, model, tmp_path).run("Why?"))
    allowed, asked, paid = int(part * len(model.requests)), [], Moody(seed, refusing)

    def dying(request):
        asked.append(request)
        return paid(request) if len(asked) <= allowed else RunCancelledError("the power went")

    with pytest.raises(RunCancelledError):
        crew(fields, FunctionModel(dying), tmp_path).run("Why?")
    row = find_run(Project(tmp_path), "last")
    again = crew(fields, FunctionModel(paid), tmp_path)
    assert outcome(lambda: again.resume(row)) == told
    assert paid.answered == whole.answered
