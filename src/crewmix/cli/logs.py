"""Logs: silent, or on stderr with `--verbose`."""

from __future__ import annotations

import logging
import os
import sys
from typing import Any

_CHATTY = (
    "httpx",
    "httpcore",
    "openai",
    "autogen_core",
    "autogen_core.events",
    "autogen_agentchat",
    "chromadb",
    "mcp",
    "asyncio",
)


def configure(verbose: bool) -> None:
    """Send the logs of crewmix and of all libraries to stderr, without secrets; or nowhere.

    Args:
        verbose: Whether anyone wants to read them. `CREWMIX_DEBUG=1` adds debug messages.
    """
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    root = logging.getLogger()
    if not verbose:
        # crewAI reports on the root logger, which would reach stderr by Python's handler of last resort.
        root.addHandler(logging.NullHandler())
        return
    from loguru import logger

    from crewmix.journal.redact import Redactor

    redactor = Redactor()
    level = "DEBUG" if os.environ.get("CREWMIX_DEBUG") else "INFO"
    logger.remove()

    def write(message: str) -> None:
        sys.stderr.write(redactor.text(message))

    logger.add(
        write,
        level=level,
        format="{time:HH:mm:ss.SSS} {level: <7} {name}: {message}",
        diagnose=False,
        backtrace=False,
        colorize=False,
    )
    logger.enable("crewmix")
    root.handlers = [_Intercept()]
    root.setLevel(level)


class _Intercept(logging.Handler):
    """Hands the records of the standard library's logging to loguru."""

    def emit(self, record: logging.LogRecord) -> None:
        from loguru import logger

        def name_it(loguru_record: Any) -> None:
            loguru_record["name"] = record.name

        try:
            level: str | int = logger.level(record.levelname).name
        except ValueError:
            level = record.levelno
        logger.patch(name_it).opt(exception=record.exc_info).log(level, "{}", record.getMessage())
