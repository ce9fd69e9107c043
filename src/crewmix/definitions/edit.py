"""Changing single fields of a recorded definition: `roles.critic.llm=openai/gpt-5`."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from crewmix.definitions.check_models import model_uses
from crewmix.definitions.compare import by_name
from crewmix.definitions.definition import CrewDefinition
from crewmix.definitions.names import nearest
from crewmix.definitions.nodes import SourceFile
from crewmix.definitions.recorded import as_parts, recorded_definition
from crewmix.definitions.spec import ModelSpec
from crewmix.definitions.spec_base import NAME
from crewmix.definitions.yaml_tree import parse_yaml
from crewmix.errors import RunFileError, UsageError

_FREE = {"models", "params", "nodes", "fields", "handoffs", "weights", "when"}
"""Mappings whose names are the user's own."""
_FIXED = {"path"}
_CAN_BE_NONE = {"plan", "budget"}


def edited(data: Mapping[str, Any], settings: Sequence[str], root: Path) -> CrewDefinition:
    """A recorded definition with other values in some places.

    Args:
        data: The definition as data.
        settings: `PLACE=VALUE`, e.g. `roles.critic.llm=openai/gpt-5`, `tasks.facts.description=…`, `chat.max_turns=6`,
            `models.default=ollama/qwen3`, `budget.usd=0.5`, `plan=none`; values are YAML.
        root: The project's folder.

    Raises:
        UsageError: A place does not exist, or cannot hold the value.
    """
    now: dict[str, Any] = copy.deepcopy(dict(data))
    crew = recorded_definition(now, root)
    for setting in settings:
        place, mark, text = setting.partition("=")
        if not mark or not place.strip():
            raise UsageError(f"--set {setting!r} is not PLACE=VALUE", hint="e.g. `--set roles.critic.llm=openai/gpt-5`")
        _set(now, place.strip(), text, place.strip())
        try:
            crew = recorded_definition(now, root)
        except RunFileError as error:
            raise UsageError(f"--set {setting!r} is not possible: {error.message.partition(': ')[2]}") from error
    return _with_used_models(crew)


def _set(data: Any, path: str, text: str, whole: str) -> None:
    """Put a value into the place that `path` leads to, below `data`."""
    name, *rest = path.split(".", 1)
    fields = by_name(data)
    if fields is None:
        raise UsageError(f"--set {whole}: there is nothing below `{whole.removesuffix(path).rstrip('.')}`")
    known = {key: key for key in fields if key not in _FIXED}
    parent = whole.removesuffix(f".{path}").rpartition(".")[2]
    # What is wrong in a mapping that was not there before, the check of the whole tells.
    free = isinstance(data, dict) and (parent in _FREE or (not data and parent != "inputs"))
    if name not in known and not (free and not rest):
        # A model's name may itself hold dots: `models.openai/gpt-4.1.timeout`.
        name = max((key for key in known if path == key or path.startswith(f"{key}.")), key=len, default=name)
        rest = [path[len(name) + 1 :]] if path != name else []
    if name not in known and not (free and not rest):
        raise UsageError(f"--set {whole}: there is no `{name}`", hint=nearest(name, known))
    if rest:
        below = fields[name]
        _set(_opened(data, name) if below is None else below, rest[0], text, whole)
        return
    old = fields.get(name)
    value = _value(whole, text, old)
    if parent == "models" and isinstance(value, str):
        value = {"model": value}
    if whole == "plan" and value == "none":
        value = None
    kind, fits = ("list", isinstance(value, list)) if isinstance(old, list) else ("mapping", isinstance(value, dict))
    left_out = value is None and whole in _CAN_BE_NONE
    if name == whole and isinstance(old, list | dict) and not fits and not left_out:
        raise UsageError(f"--set {whole}: {text!r} is no {kind}", hint=f"set a field of it: `--set {whole}.…=VALUE`")
    if isinstance(data, list):
        entries = cast(list[Any], data)
        entries[list(fields).index(name)] = value
    else:
        data[name] = value


def _opened(data: Any, name: str) -> dict[str, Any]:
    """The mapping that stands at `name` from now on, where there was nothing."""
    fields: dict[str, Any] = {}
    data[name] = fields
    return fields


def _value(place: str, text: str, old: Any) -> Any:
    node, problems = parse_yaml(SourceFile(place, f"value: {text}"))
    value = node.at("value").plain() if node is not None and not problems else None
    if isinstance(old, str) and not isinstance(value, str):
        return text
    if problems or node is None:
        raise UsageError(f"--set {place}: {text!r} is not YAML: {problems[0].message}")
    return value


def _with_used_models(crew: CrewDefinition) -> CrewDefinition:
    """The crew with exactly those models that it names in `models` or uses."""
    used = [text for text, _ in model_uses(as_parts(crew, SourceFile("")))]
    names = dict.fromkeys((*(name for name in crew.models if NAME.fullmatch(name)), *used))
    models = {name: crew.models.get(name) or ModelSpec(model=name) for name in names}
    return replace(crew, models=models, crews={name: _with_used_models(team) for name, team in crew.crews.items()})
