"""Writes the reference tables of the docs from the code; `python tests/library/reference.py` puts them into the pages.

A table stands between `<!-- fields: Role -->` `<!-- errors -->` or `<!-- events -->` and `<!-- end -->`.
"""

from __future__ import annotations

import re
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from crewmix import errors
from crewmix.definitions import spec, spec_base, spec_chat, spec_synthesis
from crewmix.journal import events
from crewmix.models.drivers import scripted

ROOT = Path(__file__).parents[2]
PAGES = ("docs/crews.md", "docs/roles-and-tools.md", "docs/errors.md", "docs/models.md", "docs/runs.md")
_TABLE = re.compile(r"<!-- (fields: (\w+)|errors|events) -->\n.*?<!-- end -->", re.DOTALL)
_LINKS = {
    "Role": "[role](roles-and-tools.md#a-role)",
    "Task": "[task](crews.md#tasks)",
    "PlanSpec": "[plan](crews.md#plan)",
    "ChatSpec": "[chat](crews.md#chat)",
    "SelectSpec": "[select](crews.md#select)",
    "ProposerSpec": "[proposer](crews.md#proposers)",
    "LayerSpec": "[layer](crews.md#per_layer)",
    "StopSpec": "[stop](crews.md#stop)",
    "NodeSpec": "[node](crews.md#nodes)",
    "EdgeSpec": "[way](crews.md#next)",
    "SynthesisSpec": "[synthesis](crews.md#synthesis)",
    "ModelSpec": "[model](models.md#a-model-in-full)",
    "BudgetSpec": "[budget](crews.md#budget)",
    "FailureSpec": "[on_task_failure](crews.md#on_task_failure)",
    "ApproveSpec": "[consent rule](crews.md#approve)",
    "ScriptedCall": "`{name: …, arguments: {…}}`",
    "ScriptedUsage": "`{input_tokens: …, output_tokens: …}`",
}
HOMES = (spec, spec_chat, spec_synthesis, scripted)
_PLAIN = {"str": "text", "int": "whole number", "float": "number", "Decimal": "number", "bool": "true or false"}


def kind(annotation: Any) -> str:
    """A type in words."""
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return "name" if annotation == spec_base.Name else kind(args[0])
    if origin in (Union, UnionType):
        return " or ".join(dict.fromkeys(kind(a) for a in args if a is not type(None)))
    if origin is Literal:
        return ", ".join(f"`{a}`" for a in args)
    if origin is tuple:
        return f"list of {kind(args[0])}" if Ellipsis in args else f"list of {len(args)} {kind(args[0])}s"
    if origin is dict:
        return f"mapping of names to {kind(args[1])}"
    return "anything" if annotation is Any else {**_PLAIN, **_LINKS}[annotation.__name__]


def default(field: Any) -> str:
    """A default as it would be written in YAML."""
    if field.is_required():
        return "**required**"
    value = field.default
    if isinstance(value, spec_base.Spec):
        given = {k: v for k, v in value.model_dump(exclude_none=True).items() if not isinstance(v, dict | tuple)}
        shown = list(given.items())[: len(given) if len(given) <= 3 else 1]
        return f"`{', '.join(f'{k}: {v}' for k, v in shown)}`" if shown else "none"
    if isinstance(value, bool):
        return f"`{value}`".lower()
    if isinstance(value, dict) and value:
        return f"`{', '.join(f'{k}: {v}' for k, v in value.items())}`"
    return "none" if value in (None, (), {}, "") else f"`{value}`"


def fields(name: str) -> str:
    """The table of one definition's fields."""
    home = next(home for home in HOMES if getattr(vars(home).get(name), "__module__", "") == home.__name__)
    model: type[spec_base.Spec] = getattr(home, name)
    rows = ["| field | what it takes | default | meaning |", "|---|---|---|---|"]
    for key, field in model.model_fields.items():
        annotation = model.__annotations__[key]
        resolved = eval(annotation, vars(home)) if isinstance(annotation, str) else annotation
        meaning = " ".join((field.description or "").split()).replace("|", "\\|")
        rows.append(
            f"| `{field.alias or key}` | {kind(resolved).replace('|', ' or ')} | {default(field)} | {meaning} |"
        )
    return "\n".join(rows)


def error_classes(of: type[errors.CrewmixError] = errors.CrewmixError) -> list[type[errors.CrewmixError]]:
    """Every error class, in the order of the tree."""
    own = [c for c in of.__subclasses__() if c.__module__ == errors.__name__]
    return [c for child in own for c in (child, *error_classes(child))]


def error_table() -> str:
    """The table of error codes."""
    rows = ["| code | class | exit code | cause |", "|---|---|---|---|"]
    for cls in error_classes():
        cause = " ".join((cls.__doc__ or "").split("\n\n")[0].split())
        rows.append(f"| [`{cls.code}`](#{cls.code}) | `{cls.__name__}` | {cls.exit_code} | {cause} |")
    return "\n".join(rows)


def event_table() -> str:
    """The table of events."""
    rows = ["| event | what happened |", "|---|---|"]
    for cls in events.EVENTS.values():
        text = " ".join((cls.__doc__ or "").split())
        rows.append(f"| `{cls.__name__}` | {text.replace('|', chr(92) + '|')} |")
    return "\n".join(rows)


def in_step(page: str) -> str:
    """The page's text with every table written anew."""

    def table(match: re.Match[str]) -> str:
        body = fields(match[2]) if match[2] else {"errors": error_table, "events": event_table}[match[1]]()
        return f"<!-- {match[1]} -->\n{body}\n<!-- end -->"

    return _TABLE.sub(table, page)


if __name__ == "__main__":
    for path in PAGES:
        file = ROOT / path
        file.write_text(in_step(file.read_text(encoding="utf-8")), encoding="utf-8")
