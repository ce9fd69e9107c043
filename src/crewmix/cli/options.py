"""The options that several commands share, and how their values are read."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from crewmix.errors import NotFoundError, UsageError

if TYPE_CHECKING:
    from crewmix.definitions.project import Project
    from crewmix.definitions.spec import BudgetSpec

ProjectOption = Annotated[
    Path | None,
    typer.Option("--project", metavar="DIR", help="The project's folder. [default: found from here upwards]"),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else, for a program to read.")]
CrewArgument = Annotated[str, typer.Argument(help="A crew's name, or the path of its file.", show_default=False)]
GoalArgument = Annotated[
    str, typer.Argument(help="What the crew is to work out; - reads it from stdin.", show_default=False)
]
RunArgument = Annotated[
    str, typer.Argument(help="A run's id, the beginning of it, or last; last~1 is the one before.", show_default=False)
]
ModelOption = Annotated[
    list[str] | None,
    typer.Option(
        "--model", "-m", metavar="[NAME=]MODEL", help="Use MODEL, e.g. ollama/qwen3, as the crew's NAME or default."
    ),
]
InputOption = Annotated[
    list[str] | None, typer.Option("--input", "-i", metavar="NAME=TEXT", help="Fill a placeholder of the crew.")
]
KnowledgeOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--knowledge", "-k", metavar="PATH", help="A file or folder to search and cite, instead of the crew's own."
    ),
]
BudgetOption = Annotated[
    str | None,
    typer.Option(
        "--budget",
        metavar="LIMITS",
        help="The most to spend, e.g. usd=0.50,calls=20,tokens=100000,seconds=60; with resume, usd=+0.20 adds to the limit.",
    ),
]


def find_project(folder: Path | None) -> Project:
    """The project in `folder`, or the one found from the current folder upwards.

    Raises:
        NotFoundError: `folder` is no folder.
    """
    from crewmix.definitions.project import Project

    if folder is None:
        return Project.find()
    if not os.path.isdir(folder):  # `Path.is_dir` raises for a name that is too long
        raise NotFoundError(
            f"there is no folder {str(folder)!r}", hint="`--project` names the folder that holds `crews/`"
        )
    return Project(folder.resolve())


def read_goal(goal: str) -> str:
    """The goal as given, or all of stdin for `-`.

    Raises:
        UsageError: It is empty, or stdin is no text.
    """
    if goal == "-":
        try:
            goal = sys.stdin.read()
        except UnicodeDecodeError as error:
            raise UsageError(f"stdin is not {error.encoding} text: {error.reason}") from error
    if not goal.strip():
        raise UsageError("the goal is empty", hint="say what the crew is to work out")
    return goal.strip()


def read_pairs(values: Sequence[str] | None, option: str) -> dict[str, str]:
    """`NAME=TEXT` values as a mapping.

    Raises:
        UsageError: A value has no `=` or no name, or a name is given twice.
    """
    pairs: dict[str, str] = {}
    for value in values or ():
        name, mark, text = value.partition("=")
        if not mark or not name.strip():
            raise UsageError(f"{option} {value!r} is not NAME=TEXT")
        if name.strip() in pairs:
            raise UsageError(f"{option} gives {name.strip()!r} twice")
        pairs[name.strip()] = text
    return pairs


def read_models(values: Sequence[str] | None) -> dict[str, str]:
    """`NAME=MODEL` or `MODEL` (the default) values as a mapping.

    Raises:
        UsageError: A name has no model, or two models.
    """
    # A model string can hold `=` in its address, but a name cannot hold `/`, `:` or `@`.
    named = [
        v if (head := v.partition("="))[1] and not set("/:@") & set(head[0]) else f"default={v}" for v in values or ()
    ]
    models = read_pairs(named, "--model")
    for name, model in models.items():
        if not model.strip():
            raise UsageError(f"--model gives {name!r} no model", hint="e.g. `--model openai/gpt-5-mini`")
    return models


def read_budget(text: str | None) -> BudgetSpec | dict[str, Any] | None:
    """`usd=0.5,calls=20` as a budget; `usd=+0.20` adds to an earlier limit and stays text.

    Raises:
        UsageError: An unknown limit, or a value that is no number or negative.
    """
    if text is None:
        return None
    from pydantic import ValidationError

    from crewmix.definitions.explain import in_words
    from crewmix.definitions.spec import BudgetSpec

    limits = read_pairs([part.strip() for part in text.split(",") if part.strip()], "--budget")
    unknown = [name for name in limits if name not in BudgetSpec.model_fields]
    if unknown or not limits:
        what = f"--budget does not know {unknown[0]!r}" if unknown else "--budget names no limit"
        raise UsageError(what, hint=f"the limits are {', '.join(BudgetSpec.model_fields)}")
    values = {name: value.replace("_", "").strip() for name, value in limits.items()}
    try:
        spec = BudgetSpec.model_validate({name: value.removeprefix("+") for name, value in values.items()})
    except ValidationError as error:
        name = str(error.errors()[0]["loc"][0])
        raise UsageError(f"--budget {name}={limits[name]!r} is not possible: it {in_words(error)}") from error
    added = {name: value for name, value in values.items() if value.startswith("+")}
    return {**spec.model_dump(exclude_unset=True), **added} if added else spec
