"""Importing crewAI without its noise, its network and its habits.

What crewAI 1.15 does by default, and what becomes of it here:

- telemetry, tracing, version check: off, so no socket is opened and no signal handler is installed;
- consoles, panels and coloured prints: off; its loggers only speak from CRITICAL on, since errors reach us anyway;
- the project's `.env` is loaded into the environment: prevented, it could turn a local run into a paid one;
- a `trained_agents_data.pkl` in the current folder is unpickled for every prompt: prevented;
- a key and a settings folder are created in the home folder: prevented;
- `warnings.warn` and the warning filters are replaced: put back.

What remains: a storage folder, in the temp folder and removed at exit; `atexit` functions that stop crewAI's event threads.
A user's own environment variables win over the ones set here.
"""

from __future__ import annotations

import atexit
import importlib
import logging
import os
import shutil
import tempfile
import threading
import warnings
from collections.abc import Generator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

_lock = threading.Lock()
_loaded = threading.Event()


def load_crewai() -> None:
    """Import crewAI quietly, once. Takes 2 to 6 seconds of CPU the first time; other threads wait for it."""
    if _loaded.is_set():
        return
    with _lock:
        if _loaded.is_set():
            return
        _set_environment()
        with ExitStack() as stack:
            stack.enter_context(_no_dotenv())
            stack.enter_context(_nothing_at_home())
            stack.enter_context(_warnings_kept())
            importlib.import_module("crewai")
            _silence()
        _loaded.set()


def preload() -> None:
    """Start importing crewAI on a thread of its own, so that a run's first model call hides the time it takes."""

    def load() -> None:
        with suppress(Exception):  # who needs crewAI loads it again and gets the error
            load_crewai()

    if not _loaded.is_set():
        threading.Thread(target=load, name="crewmix-load-crewai", daemon=True).start()


def silence_thread() -> None:
    """Switch crewAI's prints off for the current context; to be called at the start of a worker's work."""
    from crewai.events.listeners.tracing.utils import set_suppress_tracing_messages
    from crewai_core.printer import set_suppress_console_output

    set_suppress_console_output(True)
    set_suppress_tracing_messages(True)


def _set_environment() -> None:
    for name, value in {
        "CREWAI_DISABLE_TELEMETRY": "true",
        "CREWAI_DISABLE_TRACKING": "true",
        "CREWAI_TRACING_ENABLED": "false",
        "CREWAI_DISABLE_VERSION_CHECK": "true",
        "CREWAI_TRAINED_AGENTS_FILE": os.path.join(os.devnull, "none.pkl"),  # a path that cannot exist
    }.items():
        os.environ.setdefault(name, value)
    if "CREWAI_STORAGE_DIR" not in os.environ:
        folder = tempfile.mkdtemp(prefix="crewmix-crewai-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        os.environ["CREWAI_STORAGE_DIR"] = folder


def _silence() -> None:
    from crewai.events import event_context
    from crewai.events.event_listener import event_listener
    from rich.console import Console

    if logging.getLogger("crewai").level == logging.NOTSET:
        logging.getLogger("crewai").setLevel(logging.CRITICAL)
    event_listener.formatter.console = Console(quiet=True)
    event_listener.formatter.verbose = False
    defaults = event_context._default_config  # pyright: ignore[reportPrivateUsage]
    defaults.mismatch_behavior = defaults.empty_pop_behavior = event_context.MismatchBehavior.SILENT


@contextmanager
def _no_dotenv() -> Generator[None]:
    before = os.environ.get("PYTHON_DOTENV_DISABLED")
    os.environ["PYTHON_DOTENV_DISABLED"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHON_DOTENV_DISABLED"]
        else:
            os.environ["PYTHON_DOTENV_DISABLED"] = before


@contextmanager
def _nothing_at_home() -> Generator[None]:
    """Let crewAI find no login and no place for settings, both of which it takes quietly."""
    from crewai_core import settings
    from crewai_core.auth import token

    def no_login() -> None:
        raise token.AuthError

    with _replaced(token, "TokenManager", no_login), _replaced(settings, "get_writable_config_path", lambda: None):
        yield


@contextmanager
def _warnings_kept() -> Generator[None]:
    filters = list(warnings.filters)
    warnings.simplefilter("ignore")
    with _replaced(warnings, "warn", warnings.warn):
        try:
            yield
        finally:
            warnings.filters[:] = filters  # pyright: ignore[reportIndexIssue, reportArgumentType]


@contextmanager
def _replaced(module: Any, name: str, value: Any) -> Generator[None]:
    before = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, before)
