"""Addresses and keys as people write them, checked and brought into one form."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from crewmix.errors import ModelSetupError
from crewmix.models.providers import Provider


def clean_address(text: str, provider: str) -> str:
    """A base address without a trailing slash.

    Raises:
        ModelSetupError: It is missing, no http(s) address, or holds a password or query.
    """
    example = "e.g. `http://127.0.0.1:8000/v1`"
    if not text:
        hint = f"`{provider}/name@http://host/v1`, or `base_url: http://host/v1`"
        raise ModelSetupError(f"a model of `{provider}` needs an address", hint=hint)
    try:
        parts = urlsplit(text.strip())
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise ModelSetupError(f"the address is not valid: {error}", hint=example) from error
    if parts.scheme not in {"http", "https"} or not host or any(c.isspace() for c in parts.geturl()):
        raise ModelSetupError(f"{text!r} is no http address", hint=example)
    if parts.username is not None or parts.password is not None:
        raise ModelSetupError(f"the address of {host} holds a password", hint="write it as `api_key: ${NAME}`")
    if parts.query or parts.fragment:
        raise ModelSetupError(f"the address of {host} must end before `?` and `#`", hint=example)
    return parts.geturl().rstrip("/").removesuffix("/chat/completions")


def clean_key(key: str) -> str:
    """A key without blanks around it.

    Raises:
        ModelSetupError: It cannot be sent in an HTTP header.
    """
    key = key.strip()
    if not key.isascii() or not key.isprintable() or " " in key:
        raise ModelSetupError("the key holds characters that no key has", hint="check the value of the variable")
    return key


def from_variable(known: Provider, environ: Mapping[str, str]) -> str | None:
    """A provider's address from the environment, None when it is not set.

    Ollama's own form is understood: `0.0.0.0:11434`, `myhost`, without scheme or `/v1`.
    """
    text = next((environ[name] for name in known.address_variables if name in environ), None)
    if text is None or not known.own:
        return clean_address(text, "") if text is not None else None
    if "://" not in text:
        text = f"http://{text}"
    url = clean_address(text.replace("//0.0.0.0", "//127.0.0.1").replace("//[::]", "//[::1]"), "")
    parts = urlsplit(url)
    if parts.port is None and parts.scheme == "http":
        url = url.replace(parts.netloc, f"{parts.netloc}:11434", 1)
    return url if url.endswith("/v1") else f"{url}/v1"
