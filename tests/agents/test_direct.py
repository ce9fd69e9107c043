"""A role that only thinks: one model call a turn."""

from __future__ import annotations

import pytest

from crewmix.agents.direct import DirectActor
from crewmix.definitions.spec import Role
from crewmix.errors import BudgetExceededError, FencedError, ModelError, QuotaError, StorageError
from crewmix.journal.events import TextDelta
from crewmix.models.types import ModelReply
from support.turns import FunctionGateway, Stage, open_stage

ANALYST = Role(name="analyst", role="Analyst", goal="Find facts.", llm="big", temperature=0.3, max_output_tokens=77)


async def test_a_turn_is_one_call_with_the_roles_prompt_model_and_settings(stage: Stage):
    gateway = FunctionGateway(lambda _: "300 m")

    said = await DirectActor(gateway).speak(stage.turn(ANALYST))

    assert (said.text, said.ok, said.role, said.model) == ("300 m", True, "analyst", "test/model")
    [request] = gateway.requests
    assert (request.model, request.temperature, request.max_output_tokens) == ("big", 0.3, 77)
    assert [m.role for m in request.messages] == ["system", "user"]
    assert (request.brief.purpose, request.brief.role) == ("speak", "analyst")
    assert gateway.scopes == ["task.t1/chat/round.1/analyst/model"]


async def test_text_is_streamed_as_it_arrives(stage: Stage):
    await DirectActor(FunctionGateway(lambda _: "three hundred metres")).speak(stage.turn(ANALYST))

    assert [d.text for d in stage.seen(TextDelta)] == ["three", "hundred", "metres"]
    assert {d.role for d in stage.seen(TextDelta)} == {"analyst"}


async def test_a_failing_model_makes_the_turn_fail_with_its_code_and_hint(stage: Stage):
    def broke(_: object) -> str:
        raise QuotaError("no money", hint="top up")

    said = await DirectActor(FunctionGateway(broke)).speak(stage.turn(ANALYST))

    assert said.failure is not None
    assert (said.ok, said.failure.code) == (False, "model_quota")
    assert "no money" in said.failure.message
    assert "top up" in said.failure.message


@pytest.mark.parametrize(
    "error", [BudgetExceededError("usd", "run", allowed=1, needed=2), FencedError("taken"), StorageError("disk full")]
)
async def test_what_stops_the_run_is_raised(stage: Stage, error: Exception):
    def stop(_: object) -> str:
        raise error

    with pytest.raises(type(error)) as raised:
        await DirectActor(FunctionGateway(stop)).speak(stage.turn(ANALYST))
    assert not isinstance(raised.value, ModelError)


async def test_a_reviewers_verdict_is_taken_out_of_the_text_and_silence_means_revise(stage: Stage):
    critic = Role(name="critic", role="Critic", goal="Find mistakes.", approves=True)

    good = await DirectActor(FunctionGateway(lambda _: "Fine.\nVerdict: approve")).speak(stage.turn(critic))
    bare = await DirectActor(FunctionGateway(lambda _: "Verdict: approve")).speak(stage.turn(critic, round=2))
    silent = await DirectActor(FunctionGateway(lambda _: "Fine.")).speak(stage.turn(critic, round=3))

    assert (good.text, good.verdict) == ("Fine.", "approve")
    assert (bare.text, bare.verdict) == ("Verdict: approve", "approve")
    assert (silent.text, silent.verdict) == ("Fine.", "revise")


async def test_an_answer_cut_at_the_output_limit_is_kept(stage: Stage):
    cut = ModelReply("half an ans", finish_reason="length")

    said = await DirectActor(FunctionGateway(lambda _: cut)).speak(stage.turn(ANALYST))

    assert said.text == "half an ans"


async def test_a_resumed_run_does_not_ask_again(stage: Stage):
    first = FunctionGateway(lambda _: "300 m")
    await DirectActor(first).speak(stage.turn(ANALYST))
    again = open_stage(stage.project, epoch=2)
    gateway = FunctionGateway(lambda _: "another answer")

    said = await DirectActor(gateway).speak(again.turn(ANALYST))

    again.run.store.close()
    assert (said.text, gateway.requests) == ("300 m", [])
