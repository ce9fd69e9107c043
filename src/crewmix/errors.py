"""Every error a user of crewmix can meet, as one tree.

```
CrewmixError
├── UserError                  the input is wrong; exit code 2, never a traceback
│   ├── DefinitionError        mistakes in YAML files: all of them, each with file:line:column
│   ├── NotFoundError          a crew, role, tool, run or file that does not exist
│   ├── ModelSetupError        a model string, key or address that cannot work
│   ├── ToolDefinitionError    a function that cannot become a tool
│   ├── SandboxUnavailableError  programs were to be run, and no sandbox can be made here
│   └── UsageError             arguments that do not fit together
├── RunError                   a run could not go on; exit code 1
│   ├── PlanError              no valid plan after the repair attempt
│   ├── TaskError              a task failed and the crew file says to stop
│   ├── QuorumError            too few members of a round answered
│   ├── StorageError           the journal cannot be read or written
│   ├── FencedError            another process has taken this run over
│   ├── ReplayMissError        a replay met a call that was not recorded
│   ├── PersonMissingError     a person had to be asked, and nobody could be
│   └── ModelError             a provider did not give a usable answer
│       ├── ModelUnavailableError   down, refused, reset, 5xx
│       │   └── CircuitOpenError    it was down so often in a row that nothing was sent
│       ├── RateLimitedError        429, after the allowed attempts
│       ├── ModelTimeoutError       no answer, or a silent stream, within the deadline
│       ├── BadReplyError           not JSON, no choices, empty, cut off, not the wanted schema
│       ├── ContextTooLongError     the prompt is larger than the model's window
│       ├── OutputLimitError        the answer did not fit into the allowed output tokens
│       ├── ContentFilteredError    refused by the provider's filter
│       ├── QuotaError              the account has no money or quota left
│       ├── AuthError               the key is missing, wrong or not allowed
│       ├── UnknownModelError       the provider does not know this model
│       ├── ToolsUnsupportedError   the model cannot call tools
│       └── BadRequestError         the provider refused the request for another reason
├── BudgetExceededError        a call would overshoot a budget; exit code 3
└── RunCancelledError          stopped by the user, a timeout or a closed stream; exit code 130
```

`code` is stable and made for programs, the message is made for people, `hint` says what to do next.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar


class CrewmixError(Exception):
    """Base of every error crewmix raises on purpose.

    Args:
        message: What is wrong, in one sentence.
        hint: What the user can do about it.
    """

    code: ClassVar[str] = "crewmix"
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  hint: {self.hint}" if self.hint else self.message

    def as_dict(self) -> dict[str, Any]:
        """The error as JSON-able data: `code`, `message`, `hint`."""
        return {"code": self.code, "message": self.message, "hint": self.hint}


class UserError(CrewmixError):
    """The user's input is wrong."""

    code = "user"
    exit_code = 2


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in a definition file. Line and column count from 1; 0 means the whole file."""

    code: str
    message: str
    file: str
    line: int = 0
    column: int = 0
    source_line: str = ""
    hint: str | None = None

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        text = f"{where}: {self.message} [{self.code}]"
        if self.source_line:
            shown = self.source_line.replace("\t", " ")
            text += f"\n    {shown}\n    {' ' * (self.column - 1)}^"
        if self.hint:
            text += f"\n    hint: {self.hint}"
        return text


class DefinitionError(UserError):
    """Mistakes in crew, role, task or tool files, all of them at once.

    Args:
        problems: Every mistake found, in file and line order.
    """

    code = "definition"

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        count = "1 mistake" if len(self.problems) == 1 else f"{len(self.problems)} mistakes"
        super().__init__("\n".join([*map(str, self.problems), f"{count} found"]))

    def as_dict(self) -> dict[str, Any]:
        """The error with every problem as data."""
        fields = ("code", "message", "file", "line", "column", "hint")
        return {"code": self.code, "problems": [{f: getattr(p, f) for f in fields} for p in self.problems]}


class NotFoundError(UserError):
    """A named thing does not exist; the hint names the nearest that does."""

    code = "not_found"


class ModelSetupError(UserError):
    """A model cannot be used as it is configured."""

    code = "model_setup"


class ToolDefinitionError(UserError):
    """A function, class or file cannot become a tool."""

    code = "tool_definition"


class SandboxUnavailableError(UserError):
    """Programs are to be run, and no sandbox can be made on this machine."""

    code = "sandbox"


class UsageError(UserError):
    """Arguments that do not fit together."""

    code = "usage"


class RunError(CrewmixError):
    """A run could not go on."""

    code = "run"


class PlanError(RunError):
    """The planner gave no valid task graph, also when told what was wrong."""

    code = "plan"


class TaskError(RunError):
    """A task failed and the crew file says that the run must stop then."""

    code = "task"


class QuorumError(RunError):
    """Fewer members of a round answered than the crew file demands."""

    code = "quorum"


class StorageError(RunError):
    """The journal cannot be read or written."""

    code = "storage"


class FencedError(RunError):
    """Another process works on this run, so this one starts no further call."""

    code = "fenced"


class ReplayMissError(RunError):
    """A replay met a call that the journal does not hold. The message shows the nearest recording and the first difference."""

    code = "replay_miss"


class WaitingError(RunError):
    """The run waits for a person who is not there. It can be answered (`crewmix answer`) and resumed on any process, any day."""

    code = "waiting"
    exit_code = 4


class PersonMissingError(RunError):
    """A person had to be asked, and nobody could be: nobody is there, or the function that asks failed."""

    code = "human_missing"


class RunFileError(UserError):
    """A file is no exported run, or is damaged."""

    code = "run_file"


class ModelError(RunError):
    """A provider gave no usable answer.

    Args:
        message: What happened, without secrets. It must not contain the phrases "rate limit" or "too many requests":
            crewAI retries by text.
        hint: What the user can do.
        provider: Name of the provider, e.g. `openai`.
        status: HTTP status, where there was one.
        retry_after: Seconds the provider asked us to wait.
        request_sent: Whether the provider may have worked on (and billed) the request.
    """

    code = "model"
    retryable: ClassVar[bool] = False

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        provider: str = "",
        status: int | None = None,
        retry_after: float | None = None,
        request_sent: bool = True,
    ) -> None:
        super().__init__(message, hint=hint)
        self.provider = provider
        self.status = status
        self.retry_after = retry_after
        self.request_sent = request_sent


class ModelUnavailableError(ModelError):
    """The provider is down, refused or reset the connection, or answered 5xx."""

    code = "model_unavailable"
    retryable = True


class CircuitOpenError(ModelUnavailableError):
    """The provider failed so often in a row that nothing was sent to it now."""

    code = "model_circuit_open"
    retryable = False


class RateLimitedError(ModelError):
    """The provider answered 429."""

    code = "model_rate_limited"
    retryable = True


class ModelTimeoutError(ModelError):
    """No answer, or a silent stream, within the deadline."""

    code = "model_timeout"
    retryable = True


class BadReplyError(ModelError):
    """The reply is not usable: not JSON, no choices, empty, cut off, or not the wanted schema."""

    code = "model_bad_reply"
    retryable = True


class ContextTooLongError(ModelError):
    """The prompt is larger than the model's window."""

    code = "model_context"


class OutputLimitError(ModelError):
    """The answer ended at `max_output_tokens` before there was anything to use. Raise it for the role or the model."""

    code = "model_output_limit"


class ContentFilteredError(ModelError):
    """The provider's filter refused the prompt or the answer."""

    code = "model_filtered"


class QuotaError(ModelError):
    """The account has no quota or money left."""

    code = "model_quota"


class AuthError(ModelError):
    """The key is missing, wrong or not allowed to use this model."""

    code = "model_auth"


class UnknownModelError(ModelError):
    """The provider does not know this model."""

    code = "model_unknown"


class ToolsUnsupportedError(ModelError):
    """The model or server cannot call tools."""

    code = "model_no_tools"


class BadRequestError(ModelError):
    """The provider refused the request."""

    code = "model_bad_request"


class BudgetExceededError(CrewmixError):
    """A call was not made because it could overshoot a budget.

    Args:
        limit: Which limit: `usd`, `calls`, `tokens` or `seconds`.
        owner: Whose budget: `run`, `task.2`, `researcher` …
        allowed: The budget's size.
        needed: What spending would have come to, at worst; infinite when a price is unknown.
        kept: What of it was kept for the synthesis, and so out of this call's reach.
    """

    code = "budget"
    exit_code = 3

    def __init__(self, limit: str, owner: str, *, allowed: float, needed: float, kept: float = 0.0) -> None:
        what = f"the {limit} budget of {owner} is used up"
        hint = f"raise `budget.{limit}` of {owner} in the crew file and resume the run"
        if owner == "run":
            hint = f"`crewmix resume RUN --budget {limit}=+…` goes on with more"
        size = f"{_short(allowed)} allowed"
        if kept:
            size = f"{_short(allowed - kept)} of {_short(allowed)} allowed before the synthesis"
        if limit == "seconds":
            message = f"{what}: {size}, {needed:.1f} gone"
        elif needed == float("inf"):
            message = f"the {limit} budget of {owner} cannot be kept: the price of the next call is unknown"
            hint = "set the model's `price`, or `budget: {unpriced: allow}`"
        else:
            message = f"{what}: {size}, the next call could reach {_short(needed)}"
        super().__init__(message, hint=hint)
        self.limit = limit
        self.owner = owner
        self.allowed = allowed
        self.needed = needed
        self.kept = kept


def _short(value: float) -> str:
    """A count in full, an amount of money with the digits that matter."""
    return f"{value:.0f}" if value >= 1000 else f"{value:.6g}"


class RunCancelledError(CrewmixError):
    """The run was stopped by the user, a timeout or a closed stream. It can be resumed."""

    code = "cancelled"
    exit_code = 130
