"""Role-playing agent crews, defined in YAML, whose drafts are merged by a Mixture-of-Agents synthesizer.

```python
from crewmix import Crew

crew = Crew.load("research")
result = crew.run("Which of these licences grant patent rights?")
print(result.output, result.cost, result.sources)
```

Names are imported when they are first used, so `import crewmix` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crewmix.chat.base import Choose, Done, Judge, Message, Pattern, Revision, Ruling, Speakers, Transcript, View
    from crewmix.crew import Crew
    from crewmix.definitions.record import Record
    from crewmix.definitions.spec import (
        ApproveSpec,
        BudgetSpec,
        ChatSpec,
        CrewSpec,
        FailureSpec,
        ModelSpec,
        PlanSpec,
        Role,
        SynthesisSpec,
        Task,
    )
    from crewmix.definitions.spec_chat import EdgeSpec, LayerSpec, NodeSpec, ProposerSpec, SelectSpec, StopSpec
    from crewmix.errors import CrewmixError
    from crewmix.journal.shared import Budget
    from crewmix.knowledge.sources import Source
    from crewmix.models.drivers.scripted import ScriptedModel
    from crewmix.models.types import Model, ModelReply, ModelRequest
    from crewmix.options import RunOptions
    from crewmix.planning.estimate import Estimate
    from crewmix.result import Ballot, Merge, RunResult, Score, TaskResult
    from crewmix.running import Running
    from crewmix.synthesis.votes.learning import learn_record
    from crewmix.tools.base import Tool, ToolContext, ToolResult
    from crewmix.tools.function import tool
    from crewmix.tools.people import Consent, Plan, Question

__version__ = "0.1.0"

_HOMES = {
    "crewmix.chat.base": (
        "Choose",
        "Done",
        "Judge",
        "Message",
        "Pattern",
        "Revision",
        "Ruling",
        "Speakers",
        "Transcript",
        "View",
    ),
    "crewmix.crew": ("Crew",),
    "crewmix.definitions.record": ("Record",),
    "crewmix.definitions.spec": (
        "ApproveSpec",
        "BudgetSpec",
        "ChatSpec",
        "CrewSpec",
        "FailureSpec",
        "ModelSpec",
        "PlanSpec",
        "Role",
        "SynthesisSpec",
        "Task",
    ),
    "crewmix.definitions.spec_chat": ("EdgeSpec", "LayerSpec", "NodeSpec", "ProposerSpec", "SelectSpec", "StopSpec"),
    "crewmix.errors": ("CrewmixError",),
    "crewmix.journal.shared": ("Budget",),
    "crewmix.knowledge.sources": ("Source",),
    "crewmix.models.drivers.scripted": ("ScriptedModel",),
    "crewmix.models.types": ("Model", "ModelReply", "ModelRequest"),
    "crewmix.options": ("RunOptions",),
    "crewmix.planning.estimate": ("Estimate",),
    "crewmix.result": ("Ballot", "Merge", "RunResult", "Score", "TaskResult"),
    "crewmix.running": ("Running",),
    "crewmix.synthesis.votes.learning": ("learn_record",),
    "crewmix.tools.base": ("Tool", "ToolContext", "ToolResult"),
    "crewmix.tools.function": ("tool",),
    "crewmix.tools.people": ("Consent", "Plan", "Question"),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "ApproveSpec",
    "Ballot",
    "Budget",
    "BudgetSpec",
    "ChatSpec",
    "Choose",
    "Consent",
    "Crew",
    "CrewSpec",
    "CrewmixError",
    "Done",
    "EdgeSpec",
    "Estimate",
    "FailureSpec",
    "Judge",
    "LayerSpec",
    "Merge",
    "Message",
    "Model",
    "ModelReply",
    "ModelRequest",
    "ModelSpec",
    "NodeSpec",
    "Pattern",
    "Plan",
    "PlanSpec",
    "ProposerSpec",
    "Question",
    "Record",
    "Revision",
    "Role",
    "Ruling",
    "RunOptions",
    "RunResult",
    "Running",
    "Score",
    "ScriptedModel",
    "SelectSpec",
    "Source",
    "Speakers",
    "StopSpec",
    "SynthesisSpec",
    "Task",
    "TaskResult",
    "Tool",
    "ToolContext",
    "ToolResult",
    "Transcript",
    "View",
    "learn_record",
    "tool",
]


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'crewmix' has no attribute {name!r}")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
