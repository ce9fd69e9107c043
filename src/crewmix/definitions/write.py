"""Definition files out: YAML text, schema header, and never over a file that exists."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from crewmix.definitions.schema import SchemaKind, write_schemas
from crewmix.errors import UsageError

SCHEMAS = Path(".crewmix", "schemas")
"""Where a project keeps its schemas, below its folder."""


def header(kind: SchemaKind) -> str:
    """The first line of a file in `crews/`, `roles/` or `tasks/`, by which editors find its schema."""
    return f"# yaml-language-server: $schema=../{SCHEMAS.as_posix()}/{kind}.schema.json\n"


def yaml_text(data: Mapping[str, Any]) -> str:
    """Plain data as YAML, in the order it is given; text of several lines as a block."""
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.width = 110
    yaml.indent(mapping=2, sequence=4, offset=2)  # pyright: ignore[reportUnknownMemberType]
    stream = io.StringIO()
    yaml.dump(_blocks(data), stream)  # pyright: ignore[reportUnknownMemberType]
    return stream.getvalue()


def write_project(folder: Path, files: Mapping[str, str]) -> list[Path]:
    """Write a project's files, its schemas and a `.gitignore` that names `.crewmix/`.

    Args:
        folder: The project's folder, made when missing.
        files: Text by path below the folder.

    Returns:
        The files, schemas left out.

    Raises:
        UsageError: Some of the files exist, or the folder cannot be written; then nothing was written.
    """
    paths = {folder / name: text for name, text in files.items()}
    existing = [str(path.relative_to(folder)) for path in paths if path.exists() or path.is_symlink()]
    if existing:
        raise UsageError(f"{folder} already has {', '.join(existing)}", hint="move them away, or choose another folder")
    try:
        write_schemas(folder / SCHEMAS)
        for path, text in paths.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return [*paths, *_ignore_state(folder / ".gitignore")]
    except OSError as error:
        raise UsageError(f"{error.filename or folder} cannot be written: {error.strerror or error}") from error


def _ignore_state(path: Path) -> list[Path]:
    text = path.read_text(encoding="utf-8", errors="surrogateescape") if path.exists() else ""
    if any(line.strip().strip("/") == ".crewmix" for line in text.splitlines()):
        return []
    start = text if not text or text.endswith("\n") else f"{text}\n"
    path.write_text(f"{start}.crewmix/\n.env\n", encoding="utf-8", errors="surrogateescape")
    return [path]


def _blocks(data: Any) -> Any:
    from ruamel.yaml.scalarstring import LiteralScalarString

    if isinstance(data, Mapping):
        return {key: _blocks(value) for key, value in data.items()}  # pyright: ignore[reportUnknownVariableType]
    if isinstance(data, list):
        return [_blocks(value) for value in data]  # pyright: ignore[reportUnknownVariableType]
    if isinstance(data, str) and "\n" in data:
        return LiteralScalarString("\n".join(line.rstrip() for line in data.splitlines()))
    return data
