"""Keeps secrets out of everything that is stored or shown.

Known secrets (keys of the configured models, environment variables whose names say so, passwords in addresses) are replaced
wherever they occur, however they are written; what looks like a key is replaced as well.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, TypeVar, cast

from crewmix.journal.secret_shapes import MASK, mask_shapes
from crewmix.journal.secret_values import forms, secrets_in

__all__ = ["MASK", "Redactor", "StreamRedactor", "learn"]

if TYPE_CHECKING:
    from crewmix.journal.events import Event

E = TypeVar("E", bound="Event")

_learned: set[str] = set()


def learn(secrets: Iterable[str]) -> None:
    """Hide these values too from now on, wherever this process writes: in runs, logs and errors alike."""
    _learned.update(secrets)


class Redactor:
    """Replaces secrets in text and data. Doing it twice changes nothing.

    Args:
        secrets: Values to hide besides those of the environment and those learned. Values under 8 characters are ignored:
            hiding them would garble ordinary text.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets = {*secrets, *secrets_in(os.environ)}
        self._learned = -1
        self._forms: tuple[str, ...] = ()

    @property
    def known(self) -> tuple[str, ...]:
        """Every form of every known secret, the longest first."""
        if self._learned != len(_learned):
            self._learned = len(_learned)
            found = {form for secret in {*self._secrets, *_learned} for form in forms(secret)}
            self._forms = tuple(sorted(found, key=lambda form: (-len(form), form)))
        return self._forms

    def text(self, value: str) -> str:
        """`value` without secrets."""
        for form in self.known:
            if form in value:
                value = value.replace(form, MASK)
        return mask_shapes(value)

    def data(self, value: Any) -> Any:
        """JSON-able data without secrets."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.data(k): self.data(v) for k, v in cast(Mapping[Any, Any], value).items()}
        if isinstance(value, list | tuple):
            return type(cast(Any, value))(self.data(v) for v in cast(Iterable[Any], value))
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


_WORD = re.compile(r"[!-~]*")
_ADDRESS = re.compile(r"\S*")
_ANNOUNCES = re.compile(
    r"\S{0,80}(?:uthorization\S{0,3}(?:\s*[:=])?\s+(?:\S+\s+)?|earer\s+|-[Kk]ey\S{0,3}\s*(?::\s*)?)\Z"
)
"""Words that say that a secret comes next."""
_PRIVATE_KEY = re.compile(r"-----BEGIN.*?(?:-----END [A-Z0-9 ]*-----|\Z)", re.DOTALL)
_LONGEST = 8_000
"""Characters that are held back at most."""
_REST = 1_000
"""Characters that are still held back then."""
_NO_KEY = re.compile(r".*[^\w.~+/=-]", re.DOTALL)
"""All up to the last character that no key holds."""


class StreamRedactor:
    """Removes secrets from text that arrives in pieces: a word is let go when it is over, so that a secret is seen whole.

    ```python
    stream = StreamRedactor(redactor)
    for piece in pieces:
        show(stream.feed(piece))
    show(stream.end())
    ```

    Args:
        redactor: Knows the secrets.
    """

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._held = ""

    def feed(self, text: str) -> str:
        """The next piece in; out comes what can be told to be no part of a secret, which may be nothing."""
        self._held += text
        cut = self._safe(self._held)
        ready, self._held = self._held[:cut], self._held[cut:]
        return self._redactor.text(ready) if ready else ""

    def end(self) -> str:
        """What was held back, now that nothing follows."""
        ready, self._held = self._held, ""
        return self._redactor.text(ready)

    def _safe(self, text: str) -> int:
        """How much of the text can be no part of a secret that is still coming."""
        backwards = text[::-1]
        word, address = (len(text) - _matched(pattern, backwards) for pattern in (_WORD, _ADDRESS))
        cut = address if "://" in text[address:] else word
        if (announced := _ANNOUNCES.search(text, max(0, cut - 200), cut)) is not None:
            cut = announced.start()
        ends = (key.span() for key in _PRIVATE_KEY.finditer(text))
        cut = min([cut, *(start for start, end in ends if end > cut or end == len(text))])
        cut = min([cut, *(_start(text, form, cut) for form in self._spaced)])
        if len(text) - cut <= _LONGEST:
            return cut
        ready = len(text) - _REST
        return _matched(_NO_KEY, text[:ready]) or ready

    @property
    def _spaced(self) -> list[str]:
        """Known secrets that are not one word."""
        return [form for form in self._redactor.known if _matched(_WORD, form) < len(form)]


def _matched(pattern: re.Pattern[str], text: str) -> int:
    """How many characters at the start of the text fit."""
    found = pattern.match(text)
    return found.end() if found is not None else 0


def _start(text: str, secret: str, cut: int) -> int:
    """Where a secret begins that ends beyond `cut`, or perhaps beyond the text; `cut` when there is none."""
    whole = text.find(secret, max(0, cut - len(secret)))
    begun = next((n for n in range(min(len(secret) - 1, len(text)), 0, -1) if text.endswith(secret[:n])), 0)
    return min(cut, len(text) - begun, whole if whole >= 0 else cut)
