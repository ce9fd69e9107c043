"""Folders of this machine in what a run holds, exchanged for names that mean the same on every machine."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, cast

from crewmix.definitions.project import Project, library_root

_MARK = "<<crewmix:"
_NAMES = re.compile(rf"{_MARK}(project|library|home|mark)>>")


class Places:
    """Names for the project's folder, the built-in library and the home folder.

    `here(away(data)) == data` for all data.

    Args:
        project: The project.
        outside: Documents outside of all these. They are taken for ones of the same name in the project, where they are to be
            put on another machine.
    """

    def __init__(self, project: Project, outside: Iterable[str] = ()) -> None:
        folders = {str(library_root()): "library", _home(): "home", str(project.root): "project"}
        folders = {path: name for path, name in folders.items() if len(path) > 1}
        self._folder = {name: path for path, name in folders.items()} | {"mark": _MARK}
        away = {path: f"{_MARK}{name}>>" for path, name in folders.items()}
        for path in outside:
            if not any(path == folder or path.startswith(f"{folder}/") for folder in folders):
                away[path] = f"{_MARK}project>>/{Path(path).name}"
        self._away = {**away, _MARK: f"{_MARK}mark>>"}
        paths = "|".join(re.escape(path) for path in sorted(away, key=len, reverse=True))
        self._found = re.compile(rf"{_MARK}|(?<![\w.-])(?:{paths})(?![\w-]|\.\w)")

    def away(self, data: Any) -> Any:
        """JSON-able data with names in the place of this machine's folders."""
        return _changed(data, lambda text: self._found.sub(lambda found: self._away[found[0]], text))

    def here(self, data: Any) -> Any:
        """JSON-able data with this machine's folders in the place of their names."""
        return _changed(data, lambda text: _NAMES.sub(lambda found: self._folder.get(found[1], found[0]), text))


def _changed(data: Any, change: Callable[[str], str]) -> Any:
    if isinstance(data, str):
        return change(data)
    if isinstance(data, Mapping):
        return {change(k): _changed(v, change) for k, v in cast(Mapping[str, Any], data).items()}
    if isinstance(data, list):
        return [_changed(item, change) for item in cast(list[Any], data)]
    return data


def _home() -> str:
    try:
        return str(Path.home())
    except RuntimeError:
        return ""
