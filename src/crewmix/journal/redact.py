"""Keeps secrets out of everything that is stored or shown.

Known secrets (keys of the configured models, environment variables whose names say so) are replaced wherever they occur;
things that look like a key are replaced as well.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from typing import Any, TypeVar

from crewmix.journal.events import Event

E = TypeVar("E", bound=Event)

MASK = "[redacted]"
_SECRET_NAME = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?)$", re.IGNORECASE)
_LOOKS_SECRET = re.compile(
    r"\b(?:sk|pk|rk|xox[abpr]|gh[opsu]|hf|gsk|AKIA|AIza)[-_]?[A-Za-z0-9_-]{20,}|(?<=Bearer )[A-Za-z0-9._~+/=-]{12,}"
)


class Redactor:
    """Replaces secrets in text and data.

    Args:
        secrets: Values to hide besides those of the environment. Values under 8 characters are ignored: hiding them would
            garble ordinary text.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        from_environment = (v for k, v in os.environ.items() if _SECRET_NAME.search(k))
        known = {s for s in (*secrets, *from_environment) if len(s) >= 8}
        # Inside JSON text a quote or a line break of a secret is written differently.
        known |= {json.dumps(s, ensure_ascii=False)[1:-1] for s in known}
        longest_first = sorted(known, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def text(self, value: str) -> str:
        """`value` without secrets."""
        if self._known is not None:
            value = self._known.sub(MASK, value)
        return _LOOKS_SECRET.sub(MASK, value)

    def data(self, value: Any) -> Any:
        """JSON-able data without secrets."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {k: self.data(v) for k, v in value.items()}  # pyright: ignore[reportUnknownVariableType]
        if isinstance(value, list | tuple):
            return type(value)(self.data(v) for v in value)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
        return value

    def event(self, event: E) -> E:
        """An event without secrets."""
        changed = {
            f.name: clean
            for f in fields(event)
            if isinstance(old := getattr(event, f.name), str | Mapping | tuple | list)
            and (clean := self.data(old)) != old
        }
        return replace(event, **changed) if changed else event
