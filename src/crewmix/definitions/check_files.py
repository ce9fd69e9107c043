"""Whether a project's files can be reached: a role or a task is known by the name of its file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from crewmix.definitions.names import Kind
from crewmix.definitions.project import YAML_SUFFIXES, shown
from crewmix.definitions.spec_base import NAME, slug
from crewmix.errors import Problem


def check_files(root: Path) -> Iterator[Problem]:
    """Files of `crews/`, `roles/` and `tasks/` that nothing can name."""
    kinds: tuple[Kind, ...] = ("crews", "roles", "tasks")
    first, second = YAML_SUFFIXES
    for kind in kinds:
        for path in sorted((root / kind).glob(f"*{second}")):
            if path.with_suffix(first).exists():
                message = f"this file is never read: `{path.stem}{first}` beside it has the same name"
                yield Problem("same_name", message, shown(path), hint="rename or remove one of them")
        for path in sorted((root / kind).iterdir()) if kind != "crews" and (root / kind).is_dir() else ():
            if path.suffix in YAML_SUFFIXES and not NAME.fullmatch(path.stem):
                message = f"a {kind.removesuffix('s')} is known by its file's name, and {path.stem!r} cannot be one"
                yield Problem("file_name", message, shown(path), hint=f"rename it, e.g. to `{slug(path.stem)}{first}`")
