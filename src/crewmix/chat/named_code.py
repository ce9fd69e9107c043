"""Loading the Python code that a crew file names as `package.module:name`."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

from crewmix.definitions.own_code import project_file
from crewmix.errors import UsageError


def load_named(path: str, root: Path | None = None) -> object:
    """Whatever is behind `package.module:name`: in a file of the project, else in a module that Python finds.

    Args:
        path: What the crew file says.
        root: The project's folder.

    Raises:
        UsageError: The path is not of that form, the module cannot be imported, or holds no such name.
        ToolDefinitionError: The project's file cannot be run; the message begins with `file:line`.
    """
    module, _, name = path.partition(":")
    if not module or not name:
        raise UsageError(f"{path!r} names no function", hint="write it as `package.module:function`")
    loaded = _module(path, module, root)
    if not hasattr(loaded, name):
        raise UsageError(f"{path!r} names no function", hint=f"`{module}` has no function `{name}`")
    return getattr(loaded, name)


def _module(path: str, module: str, root: Path | None) -> ModuleType:
    from crewmix.tools.files import import_tool_file

    if root is not None and (file := project_file(module, root)):
        return import_tool_file(file)
    try:
        return importlib.import_module(module)
    except Exception as error:
        missing = isinstance(error, ModuleNotFoundError)
        hint = "put its file into the project's folder, or its folder on PYTHONPATH" if missing else None
        text = f"the module of {path!r} cannot be imported: {type(error).__name__}: {error}"
        raise UsageError(text, hint=hint) from error
