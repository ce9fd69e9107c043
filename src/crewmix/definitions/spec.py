"""What may stand in a role, task or crew file: the one definition for YAML, Python, JSON Schema and the docs.

Field names follow crewAI where crewAI has the thing. Unknown fields are mistakes. Every field's description is shown by
editors through `crewmix schema`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from crewmix.definitions.spec_base import Name, Positive, Spec, Temperature, Text, slug
from crewmix.definitions.spec_chat import ChatSpec
from crewmix.definitions.spec_synthesis import SynthesisSpec


class BudgetSpec(Spec):
    """The most that may be spent. Reserved before each call, so never exceeded."""

    usd: Annotated[Decimal, Field(ge=0)] | None = None
    """US dollars."""
    calls: Annotated[int, Field(ge=0)] | None = None
    """Model calls, retries included."""
    tokens: Annotated[int, Field(ge=0)] | None = None
    """Input and output tokens together."""
    seconds: Annotated[float, Field(gt=0)] | None = None
    """Wall-clock time."""
    unpriced: Literal["allow", "deny"] = "deny"
    """Whether a call of unknown price may be made although `usd` is limited."""
    keep_for_synthesis: Annotated[float, Field(ge=0, lt=1)] = 0.2
    """The share of each limit that only syntheses may use, so that a run whose budget ends can still merge what it has. Nothing
    is kept where no synthesis calls a model."""


class Role(Spec):
    """Who someone is: one file in `roles/`.

    In Python: `Role(role="Analyst", goal="…", backstory="…")`.
    """

    name: Name = ""
    """The role's name within the crew. In a file: the file's name. In Python: made from `role` when left out."""
    role: Text
    """The title, e.g. "Senior research analyst"."""
    goal: Text
    """What this role wants to achieve."""
    backstory: str = ""
    """What shapes how it works: experience, habits, limits."""
    llm: str = "default"
    """A name from the crew's `models`, or a model string `provider/model`."""
    tools: tuple[str, ...] = ()
    """Names of tools this role may call."""
    temperature: Temperature | None = None
    """Sampling temperature; None = the provider's default."""
    max_output_tokens: Positive | None = None
    """The longest answer, in tokens."""
    max_iter: Annotated[int, Field(ge=1, le=100)] = 12
    """The most model calls in one turn, tool calls included."""
    guardrails: tuple[str, ...] = ()
    """Rules, each checked by a model on every message of this role; a broken rule makes it try again."""
    approves: bool = False
    """A reviewer: every turn ends in a verdict, and its messages are reviews, not drafts."""
    crew: Name | None = None
    """A crew that works this role: each turn is a run of that crew, with what the role is told as its goal."""
    actor: Literal["auto", "crewai", "direct", "human"] = "auto"
    """Who works the role: `direct` = one model call a turn, `crewai` = a crewAI agent (tools, guardrails), `human` = a
    person. `auto` takes crewAI when the role has tools or guardrails, else direct."""
    budget: BudgetSpec | None = None
    """This role's own budget within the run's."""

    @model_validator(mode="after")
    def _complete(self) -> Role:
        if not self.name:
            object.__setattr__(self, "name", slug(self.role))
        if self.actor in {"direct", "human"} and (self.tools or self.guardrails):
            raise ValueError(f"actor `{self.actor}` cannot use tools or guardrails; leave `actor` out or use `crewai`")
        if self.crew and (self.tools or self.guardrails or self.approves or self.actor != "auto"):
            raise ValueError(
                "a role with `crew` has no `tools`, `guardrails`, `approves` or `actor`: its crew works it"
            )
        return self

    @property
    def needs_crewai(self) -> bool:
        """Whether a crewAI agent works this role."""
        return self.actor == "crewai" or (self.actor == "auto" and bool(self.tools or self.guardrails))


class FailureSpec(Spec):
    """What happens when a task fails."""

    retries: Annotated[int, Field(ge=0, le=10)] = 0
    """How often the whole task is tried again. Failed calls are retried by the model's `attempts` in any case."""
    then: Literal["continue", "stop"] = "continue"
    """`continue`: the run goes on without it and says so. `stop`: the run ends."""


class Task(Spec):
    """One piece of work: a file in `tasks/`, an entry of a crew's `tasks`, or made by the planner."""

    id: Name = ""
    """The task's name within the run. In a file: the file's name. In a list: made from its place when left out."""
    description: Text
    """What to do. `{goal}` and the crew's inputs are filled in."""
    expected_output: str = ""
    """What a good answer looks like."""
    roles: tuple[Name, ...] = ()
    """Who works on it; empty = all roles of the crew."""
    needs: tuple[Name, ...] = ()
    """Tasks whose answers this one gets to see; it starts when they are done."""
    chat: ChatSpec | None = None
    """Overrides the crew's `chat` for this task."""
    synthesis: SynthesisSpec | None = None
    """Overrides the crew's `synthesis` for this task."""
    budget: BudgetSpec | None = None
    """This task's own budget within the run's."""
    output_file: str | None = None
    """Also write the answer to this file, relative to the project."""


class PlanSpec(Spec):
    """Splitting the goal into tasks by the planner role."""

    max_tasks: Annotated[int, Field(ge=1, le=50)] = 4
    """The most tasks."""


class ModelSpec(Spec):
    """A model of the crew, in full. The short form is just the model string."""

    model: str
    """`provider/model`, e.g. `openai/gpt-5-mini`, `ollama/qwen3`, `offline/extractive`; `auto`; or the name of another model of
    the crew, which this one is then the same as."""
    base_url: str | None = None
    """Address of an OpenAI-compatible server, e.g. `http://127.0.0.1:8000/v1`; for `anthropic/…`, of the Messages API."""
    api_key: str | None = None
    """Usually `${NAME}` of an environment variable. Never write a key into the file."""
    temperature: Temperature | None = None
    """Default for roles that set none."""
    max_output_tokens: Positive | None = None
    """Default for roles that set none."""
    context_window: Positive | None = None
    """Tokens the model can read; None = from the price table, else 128,000."""
    timeout: Annotated[float, Field(gt=0)] = 120.0
    """Seconds one attempt may take before any answer or between two pieces of a stream."""
    attempts: Annotated[int, Field(ge=1, le=10)] = 3
    """The most requests for one call."""
    concurrency: Positive = 64
    """The most requests at the same time, over all runs of the process."""
    rpm: Positive | None = None
    """The most requests a minute."""
    tpm: Positive | None = None
    """The most tokens a minute."""
    price: Annotated[tuple[Annotated[Decimal, Field(ge=0)], ...], Field(min_length=2, max_length=3)] | None = None
    """US dollars per million tokens: input, output and, if it differs, input read from the provider's prompt cache; overrides
    the price table."""
    fallback: tuple[str, ...] = ()
    """Models that answer in its place when it does not, in order: names of the crew's models, or model strings."""
    deadline: Annotated[float, Field(gt=0)] = 900.0
    """Seconds one call may take in all, with every attempt and wait."""
    tools: bool = True
    """Whether the model can call tools."""
    json_schema: bool = True
    """Whether the server holds answers to a JSON Schema itself; else the schema goes into the prompt."""
    stream: bool = True
    """Whether the server can stream; else answers come in one piece."""
    stream_usage: bool = True
    """Whether the server takes `stream_options`, to count the tokens of a stream."""
    cache: bool = False
    """Answer equal requests from the project's cache, at no cost."""
    params: dict[str, Any] = {}
    """Further fields of the request body, passed on as they are."""


class ApproveSpec(Spec):
    """Who must agree before a tool runs. The first matching rule counts."""

    tools: str
    """Glob over tool names, e.g. `run_*`."""
    by: Literal["human", "always", "never"] = "human"
    """`human`: ask. `always`: run without asking. `never`: refuse."""
    arguments: str | dict[str, str] = "*"
    """Glob over the arguments as JSON text; or globs by the arguments' names, all of which must match: `{path: "out/*"}`."""


class CrewSpec(Spec):
    """Roles + plan + chat + synthesis + budget: one file in `crews/`."""

    name: Name = ""
    """The crew's name. In a file: the file's name."""
    description: str = ""
    """What the crew is for, in one line."""
    extends: str | None = None
    """Another crew to start from: a name or a path. Fields written here replace the other's."""
    roles: Annotated[tuple[Name | Role, ...], Field(min_length=1)]
    """Who works: names of files in `roles/`, or roles written out here."""
    planner: Name | Role = "planner"
    """The role that splits the goal."""
    synthesizer: Name | Role = "synthesizer"
    """The role that merges drafts into one answer."""
    judge: Name | Role = "judge"
    """The role that compares, ranks and marks drafts."""
    plan: PlanSpec | Literal["none"] = PlanSpec()
    """How the goal is split. `none` = the goal is the only task."""
    tasks: tuple[Name | Task, ...] = ()
    """A fixed plan: names of files in `tasks/`, or tasks written out here. Replaces `plan`."""
    chat: ChatSpec = ChatSpec()
    """How the roles talk a task through."""
    synthesis: SynthesisSpec = SynthesisSpec()
    """How drafts become one answer."""
    models: dict[Name, str | ModelSpec] = {"default": "auto"}
    """Names for models; `default` serves roles that name none."""
    knowledge: tuple[str, ...] = ()
    """Folders or files the crew may search and cite, relative to the project."""
    inputs: dict[Name, str | None] = {}
    """Placeholders for descriptions and role texts, with their default; null = must be given at the start."""
    budget: BudgetSpec | None = None
    """The whole run's budget."""
    on_task_failure: FailureSpec = FailureSpec()
    """What happens when a task fails."""
    review: Literal["none", "plan"] = "none"
    """`plan`: a person sees the plan, and may change it, before its tasks begin."""
    approve: tuple[ApproveSpec, ...] = ()
    """Consent rules for tools. Without a rule, tools that write, execute or reach the network ask."""

    @field_validator("models")
    @classmethod
    def _has_default(cls, models: dict[str, str | ModelSpec]) -> dict[str, str | ModelSpec]:
        return models if "default" in models else {"default": "auto", **models}
