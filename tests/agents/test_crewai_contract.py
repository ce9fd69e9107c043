"""What we rely on in crewAI, also where its documentation does not promise it. A new crewAI release must pass this."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from crewmix.models.adapters.crewai_silence import load_crewai

load_crewai()

# ruff: noqa: E402
from crewai import Agent, Task
from crewai.core.providers.human_input import SyncHumanInputProvider, set_provider
from crewai.hooks.dispatch import HookAborted
from crewai.llms.base_llm import BaseLLM
from crewai.tools import BaseTool
from crewai.tools.tool_failure import ToolFailure
from crewai.utilities.i18n import I18N_DEFAULT
from pydantic import BaseModel


class Stop(HookAborted):
    pass


class Answer(BaseModel):
    text: str

    def model_dump_json(self, **_: Any) -> str:
        return self.text


class ScriptLLM(BaseLLM):
    """Returns or raises what stands in `script`; the last entry stays."""

    script: list[Any]
    seen: list[Any]
    tools_seen: list[Any]

    def supports_function_calling(self) -> bool:
        return True

    def get_context_window_size(self) -> int:
        return 100_000

    def get_input_tokens_count(self, *_: Any, **__: Any) -> int:
        return 1

    def call(self, messages: Any, tools: Any = None, *_: Any, **more: Any) -> Any:
        self.seen.append(([dict(m) for m in messages], self.stop_sequences, more.get("from_agent")))
        self.tools_seen.append(tools)
        entry = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(entry, Exception):
            raise entry
        return entry

    call._crewai_rate_limit_wrapped = True  # pyright: ignore[reportFunctionMemberAccess]


class Echo(BaseTool):
    name: str = "echo"
    description: str = "Echoes."
    fails: bool = False

    def _run(self, text: str = "?") -> Any:
        if self.fails:
            raise Stop("from the tool")
        return ToolFailure(message="it failed") if text == "fail" else f"echo {text}"


class Prompted(SyncHumanInputProvider):
    def setup_messages(self, context: Any) -> bool:
        self.described = (context.tools_names, context.tools_description)
        context.messages.extend([{"role": "system", "content": "S {tools}"}, {"role": "user", "content": "U {input}"}])
        return True


def wanted(*texts: str) -> list[dict[str, Any]]:
    return [
        {"id": f"c{n}", "type": "function", "function": {"name": "echo", "arguments": f'{{"text": "{text}"}}'}}
        for n, text in enumerate(texts)
    ]


def perform(*script: Any, tools: Any = (), **task: Any) -> tuple[str, ScriptLLM]:
    llm = ScriptLLM(model="x/y", script=list(script), seen=[], tools_seen=[])
    agent = Agent(
        role="R",
        goal="G",
        backstory="B",
        llm=llm,
        max_retry_limit=0,
        use_better_compaction=False,
        allow_delegation=False,
    )
    set_provider(Prompted())
    task = {"description": "D", "expected_output": "E", **task}
    return Task(**task).execute_sync(agent=agent, tools=list(tools)).raw, llm  # pyright: ignore


def test_a_provider_may_write_the_messages_itself_and_braces_stay():
    _, llm = perform(Answer(text="ok"))

    messages, _, from_agent = llm.seen[0]
    assert [(m["role"], m["content"]) for m in messages] == [("system", "S {tools}"), ("user", "U {input}")]
    assert from_agent is not None


@pytest.mark.parametrize("tools", [(), (Echo(),)])
def test_an_answer_given_as_a_model_is_not_parsed_and_becomes_the_raw_output(tools: Any):
    text = "Action: echo\nAction Input: {}\nFinal Answer: no"

    assert perform(Answer(text=text), tools=tools)[0] == text


def test_a_plain_text_answer_is_parsed_which_is_why_we_give_models():
    assert perform("Thought: x\nFinal Answer: cut")[0] == "cut"


def test_hook_aborted_is_neither_retried_nor_changed():
    stop = Stop("no")
    llm = ScriptLLM(model="x/y", script=[stop], seen=[], tools_seen=[])
    agent = Agent(role="R", goal="G", backstory="B", llm=llm)  # crewAI's own retries stay on

    with pytest.raises(Stop) as raised:
        Task(description="D", expected_output="E").execute_sync(agent=agent)
    assert raised.value is stop
    assert len(llm.seen) == 1


def test_another_error_is_not_retried_without_retries():
    llm = ScriptLLM(model="x/y", script=[RuntimeError("429 too many requests, rate limit")], seen=[], tools_seen=[])
    agent = Agent(role="R", goal="G", backstory="B", llm=llm, max_retry_limit=0)

    with pytest.raises(RuntimeError, match="too many"):
        Task(description="D", expected_output="E").execute_sync(agent=agent)
    assert len(llm.seen) == 1


def test_an_agent_works_again_after_an_abort():
    llm = ScriptLLM(model="x/y", script=[Stop("no"), Answer(text="ok")], seen=[], tools_seen=[])
    agent = Agent(role="R", goal="G", backstory="B", llm=llm, max_retry_limit=0)
    with pytest.raises(Stop):
        Task(description="D", expected_output="E").execute_sync(agent=agent)

    assert Task(description="D", expected_output="E").execute_sync(agent=agent).raw == "ok"
    assert len(llm.seen[-1][0]) == 2


def test_tool_calls_are_run_in_order_and_shown_with_their_ids():
    raw, llm = perform(wanted("a", "b"), Answer(text="done"), tools=(Echo(),))

    assert raw == "done"
    assistant, first, second = llm.seen[1][0][2:]
    assert [c["id"] for c in assistant["tool_calls"]] == ["c0", "c1"]
    assert [(m["tool_call_id"], m["name"], m["content"]) for m in (first, second)] == [
        ("c0", "echo", "echo a"),
        ("c1", "echo", "echo b"),
    ]


def test_tools_come_in_openais_shape_with_strict_schemas_which_is_why_we_send_our_own():
    _, llm = perform(Answer(text="ok"), tools=(Echo(),))

    function = llm.tools_seen[0][0]["function"]
    assert (function["name"], function["strict"]) == ("echo", True)
    assert function["parameters"]["required"] == ["text"]


def test_what_a_tool_raises_becomes_text_even_an_abort():
    _, llm = perform(wanted("a"), Answer(text="ok"), tools=(Echo(fails=True),))

    assert "from the tool" in llm.seen[1][0][-1]["content"]


def test_a_tool_failure_is_shown_as_its_message():
    _, llm = perform(wanted("fail"), Answer(text="ok"), tools=(Echo(),))

    assert "it failed" in llm.seen[1][0][-1]["content"]


def test_an_unknown_tool_is_answered_by_text():
    call = wanted("a")
    call[0]["function"]["name"] = "nope"

    _, llm = perform(call, Answer(text="ok"), tools=(Echo(),))

    assert llm.seen[1][0][-1]["tool_call_id"] == "c0"


def test_refused_tools_bring_the_react_loop_and_its_stop_words():
    react = 'Action: echo\nAction Input: {"text": "a"}'

    raw, llm = perform(RuntimeError("does not support tools"), react, "Final Answer: b", tools=(Echo(),))

    assert raw == "b"
    assert llm.tools_seen == [llm.tools_seen[0], None, None]
    assert llm.seen[1][1] == ["\nObservation:"]


def test_the_react_wording_has_the_two_places_we_fill_in():
    text = I18N_DEFAULT.slice("tools")

    assert text.count("{tools}") == 1
    assert "{tool_names}" in text


def test_a_guardrail_gets_the_raw_text_and_sends_the_agent_back():
    def check(output: Any):
        return ("bad" not in output.raw, output.raw if "bad" not in output.raw else "feedback")

    raw, llm = perform(Answer(text="bad"), Answer(text="good"), guardrail=check)

    assert raw == "good"
    assert len(llm.seen) == 2


def test_an_abort_in_a_guardrail_passes():
    def check(output: Any):
        raise Stop("broken")

    with pytest.raises(Stop):
        perform(Answer(text="bad"), guardrail=check)


def test_our_llm_class_is_not_wrapped_with_crewais_own_retry():
    from crewmix.models.adapters.crewai_llm import GatewayLLM

    assert not hasattr(GatewayLLM.call, "__wrapped__")
    assert not hasattr(GatewayLLM.acall, "__wrapped__")
    parameters = list(inspect.signature(BaseLLM.call).parameters)
    assert list(inspect.signature(GatewayLLM.call).parameters) == parameters


def test_no_slot_builds_a_model_of_crewais_own(monkeypatch: pytest.MonkeyPatch):
    built: list[Any] = []
    from crewai.llm import LLM

    original = LLM.__new__
    monkeypatch.setattr(LLM, "__new__", lambda cls, *a, **k: built.append(a) or original(cls, *a, **k))

    perform(wanted("a"), Answer(text="ok"), tools=(Echo(),), guardrail=lambda output: (True, output.raw))

    assert built == []


def test_the_places_where_we_silence_crewai_exist():
    from crewai.events import event_context
    from crewai.events.event_listener import event_listener
    from crewai_core import printer, settings
    from crewai_core.auth import token

    assert event_listener.formatter.console.quiet
    assert event_context._default_config.empty_pop_behavior is event_context.MismatchBehavior.SILENT
    assert callable(settings.get_writable_config_path)
    assert issubclass(token.AuthError, Exception)
    assert callable(printer.set_suppress_console_output)


def test_an_executor_works_a_turn_by_its_own_kickoff():
    from crewai.agents.agent_executor import AgentExecutor

    assert "self.kickoff()" in inspect.getsource(AgentExecutor.invoke)
    assert inspect.iscoroutinefunction(AgentExecutor.kickoff_async)
