"""What a tool is, what it gets and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from crewmix.errors import ToolDefinitionError
from crewmix.knowledge.sources import Source
from crewmix.models.types import ToolSpec
from crewmix.tools.people import NOBODY, People, Question, ask_person

if TYPE_CHECKING:
    from pydantic import BaseModel

    from crewmix.definitions.spec import ApproveSpec
    from crewmix.journal.scope import Scope
    from crewmix.knowledge.index import Index

Risk = Literal["read", "write", "exec", "net"]
"""What a tool can do to the world. Everything but `read` asks for approval unless a rule says otherwise."""

ToolErrorCode = Literal["bad_args", "denied", "timeout", "failed", "unknown_tool"]


@dataclass(frozen=True, slots=True)
class ToolContext:
    """What a tool may use besides its arguments. A tool gets it by declaring a parameter of this type.

    The parameter is filled in by crewmix and invisible to the model.
    """

    scope: Scope
    """Where in the run the call happens."""
    project: Path
    """The project's folder."""
    folders: tuple[Path, ...] = ()
    """What the crew may read: its `knowledge`, resolved."""
    index: Index | None = None
    """The crew's searchable documents; None = it has none."""
    people: People = NOBODY
    """Who can be asked."""
    rules: tuple[ApproveSpec, ...] = ()
    """The crew's `approve` rules; the first that matches a call decides how consent is had."""

    async def ask(self, question: str) -> str:
        """Ask the person for whom the run works. The answer is kept in the journal: a resumed run does not ask again.

        Args:
            question: What the person reads.

        Raises:
            PersonMissingError: Nobody can be asked.
            WaitingError: Nobody can be asked now, and the run waits for somebody; let it through.
        """
        asked = Question(question, "question", self.scope.role, self.scope.task)
        return await ask_person(self.scope.at("ask"), self.people, asked, {"question": question})


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What came of a tool call. `text` is what the model sees, also when it failed."""

    text: str
    ok: bool = True
    error: ToolErrorCode | None = None
    sources: tuple[Source, ...] = ()
    """What the text was taken from; an answer may cite their tags."""
    clipped: bool = False
    seconds: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """The result as JSON-able data."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ToolResult:
        """The result that `as_dict` described."""
        fields: dict[str, Any] = dict(data)
        fields["sources"] = tuple(Source(**source) for source in data["sources"])
        return cls(**fields)


ToolFunction = Callable[[Mapping[str, Any], ToolContext], Any]
"""Gets validated arguments and returns text, a `ToolResult`, or JSON-able data.

A coroutine function runs on the home loop; any other runs in a thread of its own, so it may block.
"""


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool behind the one door `crewmix.tools.door.call`: validate, approve, run, clip, journal.

    Made from a function by `@tool`, from crewAI tools by the adapter; rarely by hand.
    """

    name: str
    description: str
    parameters: Mapping[str, Any]
    """JSON Schema of the arguments, type object, as the model sees it."""
    function: ToolFunction
    """Does the work."""
    risk: Risk = "read"
    timeout: float = 60.0
    """Seconds until a call counts as failed."""
    source: str = ""
    """Where it comes from, for people: a file, a module, `crewai`."""
    arguments_model: type[BaseModel] | None = field(default=None, compare=False)
    """The pydantic model arguments are validated with; None = by `parameters` alone."""
    original: Callable[..., Any] | None = field(default=None, compare=False, repr=False)
    """The plain function a tool was made from by `@tool`; calling the tool calls it."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the plain function, without approval, timeout or journal: for one's own code and tests.

        Raises:
            ToolDefinitionError: The tool was not made from a function.
        """
        if self.original is None:
            raise ToolDefinitionError(
                f"tool `{self.name}` was not made from a function, so it cannot be called like one"
            )
        return self.original(*args, **kwargs)

    @property
    def spec(self) -> ToolSpec:
        """The tool as the model sees it."""
        return ToolSpec(self.name, self.description, self.parameters)
