"""Crews whose providers fail: other models stand in, nothing is paid twice, and a run goes on as soon as the provider does."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import Counter
from functools import partial
from typing import Any

import pytest

from crewmix import ChatSpec, Crew, Role, tool
from crewmix.definitions.project import Project
from crewmix.definitions.spec import ModelSpec
from crewmix.errors import DefinitionError, RunError
from crewmix.journal.events import CircuitOpened, ModelFellBack, TextDelta
from crewmix.models import breaker
from crewmix.models.breaker import FAILURES
from crewmix.runs import find_run, list_runs
from support.clock import Clock
from support.model_world import no_waiting
from support.provider import Fault, Provider, Reply, last_text

DOWN = Fault("status", 503)


@tool
def population(city: str) -> int:
    """Inhabitants of a city."""
    return len(city) * 100_000


def good(body: dict[str, Any]) -> Reply | str:
    if body.get("tools") and not any(message["role"] == "tool" for message in body["messages"]):
        return Reply(None, [("population", {"city": "Porto"})])
    return f"{body['model']} says: {last_text(body)[-40:]}"


def crew(folder, first: Provider, second: Provider | None = None, *, tools: bool = False, **fields: Any) -> Crew:
    models: dict[str, Any] = {"default": ModelSpec(model=f"openai_compatible/first@{first.url}")}
    if second is not None:
        backup = f"openai_compatible/second@{second.url}"
        models["default"] = models["default"].model_copy(update={"fallback": (backup,)})
        models["default"] = ModelSpec.model_validate(models["default"].model_dump())
    names = ["population"] if tools else []
    roles = [Role(name=name, role=name.title(), goal="Answer", tools=names) for name in ("zoe", "adam")]
    fields = {"plan": "none", "chat": ChatSpec(max_turns=2), **fields}
    return Crew(roles=roles, models=models, tools=[population] if tools else [], project=folder, **fields)


@pytest.mark.parametrize("tools", [False, True], ids=["direct", "crewAI with tools"])
def test_a_crew_goes_on_with_another_model_and_says_so(tools, tmp_path, monkeypatch):
    no_waiting(monkeypatch)
    events: list[Any] = []
    with Provider(DOWN) as first, Provider(good) as second:
        result = crew(tmp_path, first, second, tools=tools).run("How many?", on_event=events.append)
        assert result.status == "done"
        assert result.output.startswith("second says")
        assert {draft.model for draft in result.drafts} == {second.model.replace("test-model", "second")}
        told = [text for text in result.warnings if "was asked instead" in text]
        assert len(told) == 1
        assert "/first@" in told[0]
        assert "/second@" in told[0]
        assert len(first.bodies) == FAILURES
        assert next(event for event in events if isinstance(event, CircuitOpened)).seconds == 5
        assert sum(isinstance(event, ModelFellBack) for event in events) == len(second.bodies)


@pytest.mark.parametrize("tools", [False, True], ids=["direct", "crewAI with tools"])
async def test_cancelled_anywhere_a_run_with_fallbacks_goes_on_and_pays_nothing_twice(tools, tmp_path, monkeypatch):
    no_waiting(monkeypatch)
    answered: Counter[str] = Counter()

    def count(body: dict[str, Any]) -> Reply | str:
        answered[json.dumps([body["messages"], body.get("tools")])] += 1
        return good(body)

    with Provider(Fault("status", 401)) as first, Provider(count) as second:
        team = crew(tmp_path / "whole", first, second, tools=tools)
        whole = await team.arun("How many?")
        calls = len(second.bodies)
        for stop in range(1, calls):
            answered.clear()
            before = len(second.bodies)

            hanging = threading.Event()

            async def hang(body: dict[str, Any], last: int = before + stop, hanging: Any = hanging) -> Any:
                if len(second.bodies) > last:
                    hanging.set()
                    await asyncio.Event().wait()
                return count(body)

            second.script(hang)
            folder = tmp_path / str(stop)
            team = crew(folder, first, second, tools=tools)
            work = asyncio.ensure_future(team.arun("How many?"))
            assert await asyncio.to_thread(hanging.wait, 30)
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
            second.script(count)
            refused = len(first.bodies)
            result = await asyncio.to_thread(team.resume, find_run(Project(folder), "last"))
            assert result.output == whole.output
            assert max(answered.values()) == 1
            assert sum(answered.values()) == calls
            assert len(first.bodies) - refused == calls - stop - 1


def test_many_runs_leave_a_provider_alone_that_is_down_and_go_on_when_it_is_back(tmp_path, monkeypatch):
    """Ten runs at once, then each resumed in the same process: no waiting for what happened before."""
    no_waiting(monkeypatch)
    clock = Clock()
    monkeypatch.setattr(breaker, "Breaker", partial(breaker.Breaker, clock=lambda: clock.now, wait=clock.wait))

    async def work() -> list[BaseException | Any]:
        return await asyncio.gather(*(team.arun(f"How many {n}?") for n in range(10)), return_exceptions=True)

    with Provider(DOWN) as first:
        team = crew(tmp_path, first, chat=ChatSpec(max_turns=1))
        failed = asyncio.run(work())
        assert all(isinstance(error, RunError) for error in failed)
        assert len(first.bodies) < 30
        first.script(good)
        waited = clock.now
        for row in list_runs(Project(tmp_path)):
            assert team.resume(row).status == "done"
        assert clock.now == waited


def test_text_of_a_model_that_is_given_up_is_followed_by_the_event_that_voids_it(tmp_path):
    heard: list[Any] = []
    with Provider(Fault("cut_stream")) as first, Provider("whole") as second:
        team = crew(tmp_path, first, second, chat=ChatSpec(max_turns=1))
        team.definition.models["default"] = team.definition.models["default"].model_copy(update={"attempts": 1})
        team.run("How many?", on_event=heard.append, deltas=True)
    seen = [event for event in heard if isinstance(event, TextDelta | ModelFellBack)]
    kinds = [event.text if isinstance(event, TextDelta) else "VOID" for event in seen]
    assert kinds == ["half ", "of ", "VOID", "whole"]


def test_a_fallback_that_does_not_exist_is_a_mistake_of_the_crew(tmp_path):
    role = Role(name="zoe", role="Zoe", goal="Answer")
    with pytest.raises(DefinitionError, match="there is no model `slw`"):
        Crew(roles=[role], models={"default": {"model": "ollama/q", "fallback": ["slw"]}}, project=tmp_path)
    models = {"default": {"model": "ollama/q", "fallback": ["b"]}, "b": {"model": "ollama/r", "fallback": ["default"]}}
    with pytest.raises(DefinitionError, match="default -> b -> default"):
        Crew(roles=[role], models=models, project=tmp_path)
