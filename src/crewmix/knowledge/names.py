"""What documents are called: readable, unique, and the same on every machine where that is possible."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


def document_names(files: Iterable[tuple[Path, Path]], project: Path) -> dict[Path, str]:
    """A name for each file: relative to the project, or to the folder it was found in where it lies outside.

    Args:
        files: (file, the folder or file it was found through), all resolved.
        project: The project's folder, resolved.

    Returns:
        File to name, `/` between its parts. No two files have the same name.
    """
    inside: dict[Path, str] = {}
    outside: list[tuple[Path, Path]] = []
    for file, root in files:
        if file.is_relative_to(project):
            inside[file] = file.relative_to(project).as_posix()
        else:
            outside.append((file, root if file.is_relative_to(root) else file))
    taken = {name: file for file, name in inside.items()}
    names = dict(inside)
    for file, root in outside:
        for depth in range(len(root.parts)):
            start = root.parents[depth] if depth < len(root.parents) else Path(root.anchor)
            name = file.relative_to(start).as_posix()
            if taken.setdefault(name, file) == file:
                names[file] = name
                break
        else:
            names[file] = file.as_posix()
    return names
