"""One turn of a crewAI agent, on a worker thread. Only this file builds crewAI agents and tasks."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from crewmix.agents.base import Failure, Prompt, Turn
from crewmix.agents.prompts import quote
from crewmix.definitions.spec import Role
from crewmix.definitions.tool_names import sanitize_tool_name
from crewmix.errors import CrewmixError
from crewmix.journal.scope import Scope
from crewmix.knowledge.sources import Source
from crewmix.models.adapters.bridge import Bridge
from crewmix.models.adapters.crewai_calls import ModelCalls, TurnAborted, current_calls
from crewmix.models.adapters.crewai_llm import GatewayLLM
from crewmix.models.adapters.crewai_silence import silence_thread
from crewmix.models.types import ChatMessage, ModelReply, ToolCall
from crewmix.tools import door
from crewmix.tools.adapters.crewai import to_crewai
from crewmix.tools.base import Tool, ToolContext, ToolResult

# isort: split
# crewai is imported after `crewai_calls` has loaded it quietly
from crewai import Agent, Task
from crewai.core.providers.human_input import SyncHumanInputProvider, set_provider
from crewai.tools import BaseTool
from crewai.tools.tool_failure import ToolExecutionFailedError
from crewai.utilities.i18n import I18N_DEFAULT

from crewmix.agents.crewai_executor import stay_on_thread
from crewmix.agents.crewai_fields import asking_for_fields, fields_of

if TYPE_CHECKING:
    from crewmix.models.gateway import Gateway

CORRECTIONS = 2
"""How often an answer that breaks a guardrail may be corrected in one turn."""

_CHECK = (
    "Check whether the text keeps every rule. Judge only the rules. "
    'Answer with JSON: {"valid": true or false, "feedback": what breaks which rule, empty when valid}.'
)
_CHECK_SCHEMA = {
    "type": "object",
    "properties": {"valid": {"type": "boolean"}, "feedback": {"type": "string"}},
    "required": ["valid", "feedback"],
    "additionalProperties": False,
}


@dataclass(frozen=True, slots=True)
class Spent:
    """What a turn brought: the text, the model's last reply, what tools found, and the fields where some are wanted."""

    text: str
    reply: ModelReply | None
    sources: tuple[Source, ...]
    data: Mapping[str, Any] | None = None


_making = threading.Lock()
"""crewAI prepares its classes when the first agent is made, which two threads must not do at once."""


class RoleAgents:
    """Gives out crewAI agents for one role of one run.

    Args:
        role: The role.
        gateway: The door to every model.
        tools: The role's tools.
        tool_context: Gives what a tool called at a place of the run may use.
    """

    def __init__(
        self, role: Role, gateway: Gateway, tools: tuple[Tool, ...], tool_context: Callable[[Scope], ToolContext]
    ) -> None:
        self.gateway = gateway
        self.tools = tools
        self.tool_context = tool_context
        profile = gateway.profile(role.llm)
        self.native_tools = profile.tools
        """Whether tools go natively, not described in the prompt."""
        self._kind = (
            role.role,
            role.goal,
            role.backstory,
            role.llm,
            role.max_iter,
            profile.context_window,
            profile.tools,
        )

    def take(self) -> Agent:
        """An agent nobody uses."""
        return _idle.take(self._kind) or self._make()

    def give_back(self, agent: Agent) -> None:
        """Let others use an agent again."""
        _idle.give_back(self._kind, agent)

    def _make(self) -> Agent:
        with _making:
            return self._made()

    def _made(self) -> Agent:
        role, goal, backstory, llm, max_iter, window, native = self._kind
        agent = Agent(
            role=role,
            goal=goal,
            backstory=backstory,
            llm=GatewayLLM(model=llm, provider="crewmix", window=window, native_tools=native),
            max_iter=max_iter + 10,  # our own count ends the turn, with its calls for guardrails and summaries
            max_retry_limit=0,
            use_better_compaction=False,  # our tools clip their results themselves
            allow_delegation=False,
            verbose=False,
        )
        return stay_on_thread(agent)


class _IdleAgents:
    """Agents between two turns, shared by all runs: making one costs 6 ms. They hold nothing of the run that used them."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._agents: OrderedDict[Kind, list[Agent]] = OrderedDict()
        self._count = 0

    def take(self, kind: Kind) -> Agent | None:
        with self._lock:
            idle = self._agents.get(kind)
            if not idle:
                return None
            self._count -= 1
            return idle.pop()

    def give_back(self, kind: Kind, agent: Agent) -> None:
        with self._lock:
            self._agents.setdefault(kind, []).append(agent)
            self._agents.move_to_end(kind)
            self._count += 1
            while self._count > self._most:
                oldest = next(iter(self._agents))
                self._count -= len(self._agents.pop(oldest))


Kind = tuple[str, str, str, str, int, int, bool]
"""What an agent is made from: role, goal, backstory, model, most calls a turn, context window, native tools."""

_idle = _IdleAgents(256)


class _TurnPrompt(SyncHumanInputProvider):
    """Hands crewAI the turn's prompt word for word instead of its own wording."""

    def __init__(self, prompt: Prompt, react: bool) -> None:
        self.prompt = prompt
        self.react = react
        self.correction = ""

    def setup_messages(self, context: Any) -> bool:
        """Called by crewAI before it writes its prompt; True = it is written."""
        system = self.prompt.system
        if self.react:
            described = I18N_DEFAULT.slice("tools").replace("{tools}", context.tools_description)
            system += "\n" + described.replace("{tool_names}", context.tools_names)
        user = "\n\n".join(part for part in (self.prompt.user, self.correction) if part)
        context.messages.extend([{"role": "system", "content": system}, {"role": "user", "content": user}])
        return True


@dataclass(slots=True)
class _Tools:
    """The tools of one turn: called from crewAI's threads, run on the run's loop."""

    turn: Turn
    bridge: Bridge
    tools: tuple[Tool, ...]
    tool_context: Callable[[Scope], ToolContext]
    found: list[tuple[str, tuple[Source, ...]]] = field(default_factory=list[tuple[str, tuple[Source, ...]]])

    def call(self, tool: Tool, arguments: dict[str, Any]) -> ToolResult:
        """Run a tool for crewAI. What stops the run has cut the bridge, so the agent's next model call ends the turn."""
        try:
            return self.bridge.run(self._call(tool, tool.name, arguments))
        except CrewmixError as error:
            return ToolResult(error.message, ok=False, error="failed")

    async def reject(self, call: ToolCall) -> str:
        """Answer a tool call that crewAI cannot run."""
        tool = next((t for t in self.tools if t.name == call.name), None)
        return (await self._call(tool, call.name, call.arguments)).text

    async def _call(self, tool: Tool | None, name: str, arguments: str | dict[str, Any]) -> ToolResult:
        context = self.tool_context(self.turn.scope.at("tool"))
        known = [t.name for t in self.tools]
        result = await door.call(tool, arguments, context, name=name, known=known)
        if result.sources:
            self.found.append((f"{name} {arguments}", result.sources))
        return result

    @property
    def sources(self) -> tuple[Source, ...]:
        """What was found, each once, ordered by the calls and not by which of them finished first."""
        return tuple(dict.fromkeys(source for _, found in sorted(self.found, key=lambda f: f[0]) for source in found))


@dataclass(slots=True)
class _Guardrails:
    """The rules a role's message must keep, checked by its model."""

    rules: tuple[str, ...]
    calls: ModelCalls
    prompt: _TurnPrompt
    broken: int = 0

    def check(self, output: Any):  # no return type: crewAI compares it with the type object, not its name
        """A crewAI guardrail: whether the output is fine, and the text or what is wrong."""
        text = str(output.raw)
        feedback = self._broken_rule(text)
        if feedback is None:
            return True, text
        self.broken += 1
        if self.broken > CORRECTIONS:
            message = f"still breaks a rule after {CORRECTIONS} corrections: {feedback}"
            raise TurnAborted(message, "guardrail")
        self.prompt.correction = "\n\n".join(
            (quote("Your last answer", text), f"It breaks a rule: {feedback}", "Give a complete answer that keeps it.")
        )
        return False, feedback

    def _broken_rule(self, text: str) -> str | None:
        rules = "\n".join(f"{number}. {rule}" for number, rule in enumerate(self.rules, 1))
        request = self.calls.request(
            "guardrail",
            [ChatMessage("system", _CHECK), ChatMessage("user", f"Rules:\n{rules}\n\n{quote('Text', text)}")],
            schema=_CHECK_SCHEMA,
            schema_name="check",
        )
        brief = replace(request.brief, question=rules, drafts=(text,), messages=(), context=())
        reply = self.calls.run(self.calls.complete(replace(request, brief=brief), "guardrail"))
        if reply.data["valid"]:
            return None
        return str(reply.data["feedback"]) or "no reason was given"


def take_turn(turn: Turn, bridge: Bridge, agents: RoleAgents) -> Spent | Failure:
    """Take a turn on the calling thread, which must not be the run's loop.

    Args:
        turn: The turn.
        bridge: The way to the run's loop; cutting it ends the turn.
        agents: The role's agents.

    Raises:
        CrewmixError: A model failed, or the run must stop.
    """
    silence_thread()
    role = turn.role
    tools = agents.tools
    mine = _Tools(turn, bridge, tools, agents.tool_context)
    calls = ModelCalls(
        bridge=bridge,
        gateway=agents.gateway,
        scope=turn.scope,
        role=role,
        brief=turn.brief,
        specs={sanitize_tool_name(tool.name): tool.spec for tool in tools},
        reject=mine.reject,
        kept_back=1 if role.guardrails else 0,
        sample=turn.sample,
    )
    prompt = _TurnPrompt(asking_for_fields(turn), react=bool(tools) and not agents.native_tools)
    current_calls.set(calls)
    set_provider(prompt)
    # crewAI shows neither text of the task to the model: `_TurnPrompt` writes the messages.
    task = Task(
        description=turn.brief.question or role.goal,
        expected_output=role.goal,
        guardrail=_Guardrails(role.guardrails, calls, prompt).check if role.guardrails else None,
        guardrail_max_retries=CORRECTIONS + 1,
    )
    agent = agents.take()
    try:
        outcome = _execute(task, agent, [to_crewai(tool, mine.call) for tool in tools])
    finally:
        agents.give_back(agent)
    if bridge.error is not None:
        raise bridge.error
    if isinstance(outcome, Failure):
        return outcome
    data = fields_of(turn, turn.schema, calls, outcome) if turn.schema is not None else None
    return data if isinstance(data, Failure) else Spent(outcome, calls.reply, mine.sources, data)


def _execute(task: Task, agent: Agent, tools: list[BaseTool]) -> str | Failure:
    try:
        return task.execute_sync(agent=agent, tools=tools).raw
    except TurnAborted as aborted:
        if aborted.error is not None:
            raise aborted.error from None
        return Failure(aborted.code, str(aborted))
    except ToolExecutionFailedError as stuck:
        return Failure("tool_loop", str(stuck))
    except Exception as error:
        return Failure("crewai", f"crewAI failed: {type(error).__name__}: {error}")
