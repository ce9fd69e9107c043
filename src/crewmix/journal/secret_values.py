"""Which values are secrets because of where they stand, and the other ways to write them."""

from __future__ import annotations

import base64
import html
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, cast
from urllib.parse import quote, quote_plus, unquote

from crewmix.definitions.placeholders import variables
from crewmix.journal.secret_shapes import MASK

SHORTEST = 8
"""Shorter values are not hidden: that would garble ordinary text."""
_LONG_PART = 16
"""A line of a private key or one of several keys is hidden by itself too from this length on."""
_SECRET_NAME = re.compile(
    r"(?:(?:^|[_.-]|API|ACCESS|ACCOUNT|PRIVATE|SECRET|AUTH)KEYS?|TOKEN|SECRETS?|PASSWORD|PASSWD|PASSPHRASE|CREDENTIALS?)"
    r"(?=$|[_.-])|(?:^|[_.-])(?:PASS|PAT|DSN|AUTH|JWT|COOKIE|AUTHORIZATION)(?=$|[_.-])|_PWD$",
    re.IGNORECASE,
)
_ADDRESS = re.compile(r"://([^\s/?#@:]*):(?![{$<%])([^\s/@]+)@")
_FIELD = re.compile(r"(?:password|pwd|secret|key|token)=([^;&\s]+)", re.IGNORECASE)


def secrets_in(data: Any) -> Iterator[str]:
    """The values in data, e.g. the environment or a crew file, whose names say that they are secret.

    Of `${NAME}` under such a name it is what the variable holds. Passwords within addresses (`postgres://user:password@host`) are
    found under any name. Not what names an existing file.
    """
    if isinstance(data, Mapping):
        for name, value in cast(Mapping[Any, Any], data).items():
            if not isinstance(value, str):
                yield from secrets_in(value)
                continue
            yield from (word for user, word in _ADDRESS.findall(value) if word != user)
            if _SECRET_NAME.search(str(name)) and not ("/" in value and os.path.exists(value)):
                named = variables(value)
                yield from (os.environ.get(variable, "") for variable in named)
                yield from () if named else (value, *_FIELD.findall(value))
    elif isinstance(data, list | tuple):
        for item in cast(Iterable[Any], data):
            yield from secrets_in(item)


@lru_cache(maxsize=1024)
def forms(secret: str) -> frozenset[str]:
    """All ways in which text may hold a secret, itself first of all; nothing for a value too short to hide.

    As it is; in JSON, in JSON within JSON, in Python's `repr`, in HTML, in addresses, in hexadecimal, and in base64 wherever
    it stands within what was encoded. Long lines and items of a list are found by themselves too.
    """
    parts = {secret.strip(), unquote(secret.strip())}
    parts |= {part for part in re.split(r"[\s,;]+|\\n", secret) if len(part) >= _LONG_PART}
    return frozenset(form for part in parts if len(part) >= SHORTEST and part not in MASK for form in _written(part))


def _written(secret: str) -> Iterator[str]:
    yield from (secret, html.escape(secret), repr(secret)[1:-1], secret.replace("/", "\\/"))
    for ascii_only in (False, True):
        once = json.dumps(secret, ensure_ascii=ascii_only)[1:-1]
        yield from (once, json.dumps(once)[1:-1])
    raw = secret.encode("utf-8", "replace")
    for address in (quote(raw, safe=""), quote(raw), quote_plus(raw)):
        yield from (address, re.sub("%..", lambda found: found.group().lower(), address))
    yield from (raw.hex(), raw.hex().upper())
    for before in range(3):
        # Of what is encoded together with it only the characters that the secret alone decides.
        coded = base64.b64encode(bytes(before) + raw).decode()[-(-before * 8 // 6) : (before + len(raw)) * 8 // 6]
        yield from (coded, coded.translate(_URLSAFE))


_URLSAFE = str.maketrans("+/", "-_")
