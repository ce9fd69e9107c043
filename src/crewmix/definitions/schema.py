"""JSON Schemas of crew, role and task files, for completion and checks in editors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from crewmix.definitions.names import METHODS, PATTERNS
from crewmix.definitions.spec import CrewSpec, Role, Task
from crewmix.definitions.spec_base import FUNCTION, Spec
from crewmix.errors import UsageError

SchemaKind = Literal["crew", "role", "task"]

_MODELS: dict[SchemaKind, type[Spec]] = {"crew": CrewSpec, "role": Role, "task": Task}
_EXTENDS = {
    "anyOf": [{"type": "string"}, {"type": "null"}],
    "default": None,
    "description": "Another role to start from: a name or a path. Fields written here replace the other's.",
}


def json_schema(kind: SchemaKind) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of one kind of file, made from the models that check it."""
    made: dict[str, Any] = _MODELS[kind].model_json_schema()
    made = {"$schema": "https://json-schema.org/draft/2020-12/schema", **made, "title": f"crewmix {kind}"}
    parts: dict[str, dict[str, Any]] = {**made.get("$defs", {}), kind.capitalize(): made}
    for name, part in parts.items():
        fields: dict[str, Any] = part["properties"]
        if name == "ChatSpec":
            fields["pattern"]["anyOf"] = [{"enum": list(PATTERNS)}, {"pattern": f"^{FUNCTION.pattern}$"}]
        elif name == "NodeSpec":
            many = {key: fields["next"].pop(key) for key in ("type", "items")}
            fields["next"]["anyOf"] = [many, many["items"]]
        elif name == "SynthesisSpec":
            fields["method"]["enum"] = list(METHODS)
        elif name == "Role":
            fields["extends"] = _EXTENDS
        if "extends" in fields:
            part["anyOf"] = [{"required": part.pop("required")}, {"required": ["extends"]}]
    return made


def write_schemas(folder: Path) -> list[Path]:
    """Write `crew.schema.json`, `role.schema.json` and `task.schema.json` into a folder, made when missing.

    A YAML file refers to one by its first line: `# yaml-language-server: $schema=PATH`.

    Raises:
        UsageError: The folder cannot be written.
    """
    written: list[Path] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for kind in _MODELS:
            path = folder / f"{kind}.schema.json"
            path.write_text(json.dumps(json_schema(kind), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
            written.append(path)
    except OSError as error:
        raise UsageError(f"{folder} cannot be written: {error.strerror or error}") from error
    return written
