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
    from crewmix.crew import Crew
    from crewmix.definitions.spec import (
        ApproveSpec,
        BudgetSpec,
        ChatSpec,
        CrewSpec,
        FailureSpec,
        ModelSpec,
        PlanSpec,
        Role,
        SelectSpec,
        SynthesisSpec,
        Task,
    )
    from crewmix.errors import CrewmixError
    from crewmix.knowledge.sources import Source
    from crewmix.models.drivers.scripted import ScriptedModel
    from crewmix.models.types import Model, ModelReply, ModelRequest
    from crewmix.planning.estimate import Estimate
    from crewmix.result import RunResult, TaskResult
    from crewmix.tools.base import Tool, ToolContext, ToolResult
    from crewmix.tools.function import tool

__version__ = "0.1.0"

_HOMES = {
    "crewmix.crew": ("Crew",),
    "crewmix.definitions.spec": (
        "ApproveSpec",
        "BudgetSpec",
        "ChatSpec",
        "CrewSpec",
        "FailureSpec",
        "ModelSpec",
        "PlanSpec",
        "Role",
        "SelectSpec",
        "SynthesisSpec",
        "Task",
    ),
    "crewmix.errors": ("CrewmixError",),
    "crewmix.knowledge.sources": ("Source",),
    "crewmix.models.drivers.scripted": ("ScriptedModel",),
    "crewmix.models.types": ("Model", "ModelReply", "ModelRequest"),
    "crewmix.planning.estimate": ("Estimate",),
    "crewmix.result": ("RunResult", "TaskResult"),
    "crewmix.tools.base": ("Tool", "ToolContext", "ToolResult"),
    "crewmix.tools.function": ("tool",),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "ApproveSpec",
    "BudgetSpec",
    "ChatSpec",
    "Crew",
    "CrewSpec",
    "CrewmixError",
    "Estimate",
    "FailureSpec",
    "Model",
    "ModelReply",
    "ModelRequest",
    "ModelSpec",
    "PlanSpec",
    "Role",
    "RunResult",
    "ScriptedModel",
    "SelectSpec",
    "Source",
    "SynthesisSpec",
    "Task",
    "TaskResult",
    "Tool",
    "ToolContext",
    "ToolResult",
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
