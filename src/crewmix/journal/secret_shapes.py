"""What is a secret by its looks: keys of the usual services, signed tokens, private keys, passwords in addresses.

Nothing is judged by length or randomness alone, so hashes, UUIDs and identifiers stay as they are. Every shape begins with a
fixed text, which is looked for first: that is what makes 1 MB of ordinary text take milliseconds.
"""

from __future__ import annotations

import re

MASK = "[redacted]"

_MIXED = r"(?=[\w-]*[0-9A-Z])"
"""Not words alone, as in the CSS class `sk-fading-circle-container`."""
_TOKEN = r"[A-Za-z0-9._~+/=-]"
_SERVICES = {
    "sk- sk_ pk- pk_ rk- rk_": rf"(?:{_MIXED}|(?:live|test|proj|ant|or|svcacct|admin)[-_])[\w-]{{20,}}",
    "ghp_ gho_ ghu_ ghs_ ghr_ hf_ gsk_ npm_ r8_ whsec_ shpat_": r"[A-Za-z0-9]{20,}",
    "xoxa- xoxb- xoxe- xoxp- xoxr- xoxs- xapp- glpat- tvly- xai- pplx- nvapi-": rf"{_MIXED}[\w-]{{16,}}",
    "github_pat_ dckr_pat_ dop_v1_ lin_api_ pypi-Ag ya29. AIza": rf"{_MIXED}[\w-]{{20,}}",
    "AKIA ASIA": r"[A-Z0-9]{16}(?![A-Za-z0-9])",
    "SG.": r"[\w-]{16,}\.[\w-]{16,}",
    "eyJ": r"[\w-]{8,}(?:\.[\w-]{6,}){2,4}",
}


def _service(start: str, rest: str) -> tuple[str, re.Pattern[str]]:
    """A key that starts so, not within a word; an escaped line break may stand before it, as in JSON."""
    begin = re.escape(start)
    return start, re.compile(rf"{begin}(?:(?<![A-Za-z0-9]{begin})|(?<=\\[nrt]{begin})){rest}", re.ASCII)


_BREAK = r"(?:\s|\\+[nr])"
_PRIVATE_KEY = re.compile(
    r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----"
    r"(?:(?:[A-Za-z0-9+/=:,.\s-]|\\+[nr])*?-----END (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----"
    rf"|(?:{_BREAK}+[A-Za-z0-9+/=]{{16,}})*(?:{_BREAK}+[A-Za-z0-9+/=]+$)?)"
)
"""To its end, or as far as it goes when it was cut."""
_IN_ADDRESS = re.compile(r"""(:/{2}[^\s/?#@:"'`<>\\]*:)(?![{$<%])[^\s/@"'`<>\\]+(?=@)""")
_BEARER = re.compile(rf"(earer\s+)(?={_TOKEN}*[0-9]){_TOKEN}{{12,}}")
_HEADER = re.compile(
    rf"""(uthorization\\?["']?\s*[:=]\s*\\?["']?(?:Basic|Bearer|Token|ApiKey)\s+)(?=.{_TOKEN}*[0-9A-Z=]){_TOKEN}{{8,}}""",
)
_KEY_HEADER = re.compile(rf"""(-[Kk]ey\\?["']?\s*:\s*\\?["']?)(?={_TOKEN}*[0-9]){_TOKEN}{{16,}}""")
_IN_QUERY = re.compile(
    r"([?&](?:api[_-]?key|key|(?:access_|auth_|refresh_)?token|(?:client_)?secret|password|sig|(?:x-amz-)?signature)=)"
    r"""(?![{$<])[^\s&#"'`<>\\]{8,}""",
    re.IGNORECASE,
)

_WHOLE = [_service(start, rest) for starts, rest in _SERVICES.items() for start in starts.split()]
_WHOLE.append(("-----BEGIN", _PRIVATE_KEY))
_AFTER = [
    ("://", _IN_ADDRESS),
    ("earer ", _BEARER),
    ("uthorization", _HEADER),
    ("-key", _KEY_HEADER),
    ("-Key", _KEY_HEADER),
    *((f"{word}=", _IN_QUERY) for word in ("key", "token", "secret", "password", "sig", "ignature")),
]
"""Patterns whose first group, which says that a secret follows, stays."""


def mask_shapes(text: str) -> str:
    """`text` with everything that looks like a secret masked. Doing it twice changes nothing."""
    for start, pattern in _WHOLE:
        if start in text:
            text = pattern.sub(MASK, text)
    for start, pattern in _AFTER:
        if start in text:
            text = pattern.sub(rf"\1{MASK}", text)
    return text
