"""Imports a project's tool files, each as a private module."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
import threading
import traceback
from pathlib import Path
from types import ModuleType

from crewmix.errors import ToolDefinitionError
from crewmix.models.adapters.crewai_silence import load_crewai

_lock = threading.RLock()
_loaded: dict[Path, tuple[tuple[int, int], ModuleType]] = {}


def import_tool_file(path: Path) -> ModuleType:
    """The module of a tool file, run once and again only when the file has changed.

    While it runs, it can import other files of its folder; the folder does not stay on `sys.path` and those modules do not
    stay in `sys.modules`, so projects do not get in each other's way. No bytecode is written beside it.

    Args:
        path: A `.py` file.

    Raises:
        ToolDefinitionError: It cannot be read or run; the message begins with `file:line`.
    """
    path = path.resolve()
    with _lock:
        try:
            info = path.stat()
            stamp = (info.st_mtime_ns, info.st_size)
            if path in _loaded and _loaded[path][0] == stamp:
                return _loaded[path][1]
            text = path.read_bytes()
            code = compile(text, str(path), "exec", dont_inherit=True)
        except SyntaxError as error:
            raise ToolDefinitionError(f"{path}:{error.lineno or 0}: not valid Python: {error.msg}") from error
        except (OSError, ValueError) as error:
            raise ToolDefinitionError(f"{path}: the file cannot be read: {error}") from error
        if b"crewai" in text:
            load_crewai()  # before the file does, so that it happens quietly
        module = _new_module(path)
        _run(path, module, code)
        _loaded[path] = (stamp, module)
        return module


def _new_module(path: Path) -> ModuleType:
    digest = hashlib.sha256(str(path).encode()).hexdigest()[:12]
    spec = importlib.util.spec_from_file_location(f"_crewmix_tools_{digest}_{path.stem}", path)
    if spec is None:
        raise ToolDefinitionError(f"{path}: not a Python file")
    return importlib.util.module_from_spec(spec)


def _run(path: Path, module: ModuleType, code: object) -> None:
    folder = str(path.parent)
    before = set(sys.modules)
    sys.path.insert(0, folder)
    sys.modules[module.__name__] = module  # dataclasses and pydantic look their module up there
    try:
        exec(code, module.__dict__)  # pyright: ignore[reportArgumentType]
    except (Exception, SystemExit) as error:
        del sys.modules[module.__name__]
        raise _failure(path, error) from error
    finally:
        sys.path.remove(folder)
        for name in set(sys.modules) - before - {module.__name__}:
            if Path(getattr(sys.modules[name], "__file__", None) or "/").parent == path.parent:
                del sys.modules[name]


def _failure(path: Path, error: BaseException) -> ToolDefinitionError:
    if isinstance(error, ToolDefinitionError) and str(path) in error.message:
        return error
    frames = traceback.walk_tb(error.__traceback__)
    line = [0, *(number for frame, number in frames if frame.f_code.co_filename == str(path))][-1]
    if isinstance(error, ToolDefinitionError):
        return ToolDefinitionError(f"{path}:{line}: {error.message}", hint=error.hint)
    return ToolDefinitionError(f"{path}:{line}: importing this file failed: {type(error).__name__}: {error}")
