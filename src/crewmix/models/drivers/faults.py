"""What a provider's error means: HTTP status, headers and body in, one typed error out.

Providers agree on little but the status, so the body's code and words are read too. What is quoted from a provider is short,
free of keys, and avoids phrases by which crewAI would start retrying on its own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, cast

from crewmix.errors import (
    AuthError,
    BadReplyError,
    BadRequestError,
    ContentFilteredError,
    ContextTooLongError,
    ModelError,
    ModelTimeoutError,
    ModelUnavailableError,
    OutputLimitError,
    QuotaError,
    RateLimitedError,
    ToolsUnsupportedError,
    UnknownModelError,
)
from crewmix.journal.redact import Redactor
from crewmix.models.profile import Profile
from crewmix.models.retry import retry_after

QUOTE = 300
"""Characters of a provider's own words that an error repeats."""

_QUOTA = re.compile(
    r"insufficient_quota|credit balance is too low|insufficient (credit|balance|funds)|billing_hard_limit"
)
_KEY = re.compile(r"(invalid|incorrect|missing|no) api.?key|api key not valid|invalid_api_key|authentication_error")
_CONTEXT = re.compile(
    r"context_length_exceeded|(maximum|max) (context|sequence|model) ?len|exceeds? the (available )?(context|model'?s? max)"
    r"|prompt is too long|context (window|length|size)|input (is )?too long|too many (input )?tokens"
)
_FILTER = re.compile(r"content_filter|content_policy|responsibleaipolicy|content management policy|moderation|flagged")
_TOOLS = re.compile(
    r"(does not|doesn't|not) support(ed)? (for )?(tool|function)|(tool|function)s?( use| call\w*| choice)? (is|are) not "
    r"(supported|enabled)|no endpoints found that support tool|enable-auto-tool-choice|requires? --jinja|support tools"
)
_MODEL = re.compile(r"model_not_found|model\b.{0,120}(not found|does not exist|not exist|no longer|is not available)")
_CREWAI_TRIGGERS = re.compile(r"rate.?limit\w*|too many requests", re.IGNORECASE)


def quote(text: str, secret: str | None = None) -> str:
    """A provider's words, fit for an error message: one line, short, without secrets."""
    line = " ".join(Redactor([secret] if secret else []).text(text[:20_000]).split())
    line = "".join(c if c.isprintable() else "�" for c in _CREWAI_TRIGGERS.sub("request quota", line)[: QUOTE + 1])
    return line if len(line) <= QUOTE else line[: QUOTE - 1] + "…"


ADVICE: Mapping[type[ModelError], str] = {
    ModelUnavailableError: "resume the run when the provider is back, or name a `fallback` of the model",
    RateLimitedError: "set `rpm`, `tpm` or `concurrency` of the model, or name a `fallback` of it",
    ModelTimeoutError: "raise `timeout` of the model, or name a `fallback` of it",
    BadReplyError: "resume the run to ask again; if it stays so, use another model or server",
    ContextTooLongError: "use a model with a larger window",
    OutputLimitError: "raise `max_output_tokens` of the role or the model",
    ContentFilteredError: "say it in other words, or use another model",
    QuotaError: "check the account's plan and billing",
    AuthError: "check the key",
    UnknownModelError: "check the model's name",
    ToolsUnsupportedError: "use a model or server that can call tools",
    BadRequestError: "check the model's `params`, or use another model",
}
"""What a user can do about an error that brings no hint of its own."""


def advice(error: ModelError) -> str | None:
    """What a user can do about an error of this kind."""
    return next((ADVICE[kind] for kind in type(error).__mro__ if kind in ADVICE), None)


def error_in(body: Any) -> Any:
    """What stands for an error in a body with status 200 or an event of a stream; None = nothing does.

    vLLM says `"object": "error"`, OpenRouter puts an `error` into the choice, all others into the body.
    """
    if not isinstance(body, Mapping):
        return None
    fields = cast(Mapping[str, Any], body)
    if fields.get("error") or fields.get("object") == "error":
        return fields
    choices = fields.get("choices")
    first = cast(list[Any], choices)[0] if isinstance(choices, list) and choices else None
    if not isinstance(first, Mapping):
        return None
    choice = cast(Mapping[str, Any], first)
    return choice if choice.get("error") else None


def error_text(body: Any) -> tuple[str, str]:
    """The codes and the message in an error body of any of the usual shapes."""
    if isinstance(body, list) and body:
        body = cast(Any, body[0])
    if not isinstance(body, Mapping):
        return "", str(cast(Any, body) or "")
    fields = cast(Mapping[str, Any], body)
    error = fields.get("error", fields)
    if not isinstance(error, Mapping):
        return "", str(error)
    details = cast(Mapping[str, Any], error)
    codes = " ".join(str(details[k]) for k in ("code", "type", "status") if details.get(k) is not None)
    message = details.get("message") or details.get("detail") or ""
    return codes, message if isinstance(message, str) else json.dumps(message)


def from_status(profile: Profile, status: int, headers: Mapping[str, str], body: str) -> ModelError:
    """The error that an HTTP response with an error status stands for."""
    try:
        codes, message = error_text(json.loads(body))
    except (ValueError, RecursionError):
        codes, message = "", _without_tags(body)
    return classify(profile, status, codes, message, retry_after(headers))


def from_object(profile: Profile, body: Any) -> ModelError:
    """The error that stands in a response with status 200, or within a stream, and may have cost something."""
    codes, message = error_text(body)
    named = next((int(word) for word in codes.split() if re.fullmatch(r"[45]\d\d", word)), 502)
    error = classify(profile, named, codes, message, None)
    error.status = None
    return error


def classify(profile: Profile, status: int, codes: str, message: str, wait: float | None) -> ModelError:
    """The one typed error for what a provider said."""
    words = f"{codes} {message}".lower()
    kind, what, hint = _kind(profile, status, words)
    quoted = quote(message, profile.api_key)
    asked = f"HTTP {status}" if wait is None else f"HTTP {status}, it asks to wait {wait:g} s"
    text = f"{profile.model}: {what} ({asked})" + (f": {quoted}" if quoted else "")
    return kind(text, hint=hint, provider=profile.provider, status=status, retry_after=wait)


def _kind(profile: Profile, status: int, words: str) -> tuple[type[ModelError], str, str | None]:
    if status == 402 or _QUOTA.search(words):
        return QuotaError, "the account has no credit left", "check the account's plan and billing"
    if (status in (401, 403) and not _FILTER.search(words)) or (status < 500 and _KEY.search(words)):
        return AuthError, "the key was not accepted", f"check {_key_name(profile)}"
    if status < 500 and status not in (408, 409, 425, 429):
        return _refused(profile, status, words)
    if _TOOLS.search(words):
        return ToolsUnsupportedError, "the model cannot call tools", "use a model or server that can"
    if status in (408, 504):
        return ModelTimeoutError, "the provider took too long", None
    if status == 429:
        return RateLimitedError, "the provider takes no more requests now", None
    return ModelUnavailableError, "the provider is not available", None


def _refused(profile: Profile, status: int, words: str) -> tuple[type[ModelError], str, str | None]:
    if status == 413 or _CONTEXT.search(words):
        return ContextTooLongError, "the prompt is too long for the model", "use a model with a larger window"
    if _FILTER.search(words):
        return ContentFilteredError, "the provider's filter refused the prompt", None
    if _TOOLS.search(words):
        return ToolsUnsupportedError, "the model cannot call tools", "use a model or server that can"
    if status == 404 or _MODEL.search(words):
        hint = f"check the model's name and the address {profile.base_url}"
        return UnknownModelError, "the provider does not know this model", hint
    return BadRequestError, "the provider refused the request", _advice(profile, status, words)


def _advice(profile: Profile, status: int, words: str) -> str | None:
    if status < 400:
        return f"the address leads elsewhere: check {profile.base_url}"
    if "response_format" in words or "json_schema" in words:
        return "set `json_schema: false` for this model"
    if "temperature" in words:
        return "leave `temperature` out for this model"
    if "max_tokens" in words or "max_completion_tokens" in words:
        return "set a smaller `max_output_tokens` for this model"
    return None


def _key_name(profile: Profile) -> str:
    from crewmix.models.providers import PROVIDERS

    known = PROVIDERS.get(profile.provider)
    return " or ".join(known.keys) if known and known.keys else f"`api_key` of the model `{profile.name}`"


def _without_tags(body: str) -> str:
    return re.sub(r"<(script|style).*?</\1>|<[^>]*>", " ", body[:4_000], flags=re.DOTALL | re.IGNORECASE)
