"""Placeholders: `{name}` is filled in with the goal or an input, `${NAME}` with an environment variable.

Only `{identifier}` is a placeholder, so code such as `{"a": 1}` or `{}` needs no escaping; `{{name}}` stands for the literal
`{name}`. `${NAME}` is expanded in model settings and knowledge paths only; in other text it stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from crewmix.errors import ModelSetupError

_PLACEHOLDER = re.compile(r"(?<![${])\{\{([A-Za-z_]\w*)\}\}(?!\})|(?<![${])\{([A-Za-z_]\w*)\}(?!\})", re.ASCII)
_VARIABLE = re.compile(r"\$\{([A-Za-z_]\w*)\}", re.ASCII)


def placeholders(text: str) -> tuple[str, ...]:
    """The names of the placeholders in `text`, each once, in order."""
    return tuple(dict.fromkeys(name for _, name in _PLACEHOLDER.findall(text) if name))


def fill(text: str, values: Mapping[str, str]) -> str:
    """`text` with its placeholders replaced. Values are not looked into again.

    Args:
        text: Text with `{name}` placeholders.
        values: What to put in; a placeholder without a value stays as it is.
    """

    def replacement(match: re.Match[str]) -> str:
        literal, name = match.groups()
        return f"{{{literal}}}" if literal else values.get(name, match.group())

    return _PLACEHOLDER.sub(replacement, text)


def variables(text: str) -> tuple[str, ...]:
    """The names of the environment variables in `text`, each once, in order."""
    return tuple(dict.fromkeys(_VARIABLE.findall(text)))


def expand_env(text: str, environ: Mapping[str, str]) -> str:
    """`text` with every `${NAME}` replaced by the environment variable's value.

    Raises:
        ModelSetupError: A variable is not set or empty; the message names it.
    """

    def replacement(match: re.Match[str]) -> str:
        value = environ.get(match.group(1))
        if not value:
            raise ModelSetupError(
                f"the environment variable `{match.group(1)}` is not set",
                hint=f"set it before you start, e.g. `export {match.group(1)}=…`",
            )
        return value

    return _VARIABLE.sub(replacement, text)
