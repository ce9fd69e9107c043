"""Conditions on the ways of a `graph`: on a reviewer's verdict and on the fields of a reply."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any, cast

from crewmix.agents.base import Contribution
from crewmix.definitions.check_graph import COMPARED, TRUTH

Wanted = str | bool | float

_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def holds(when: Mapping[str, Wanted], said: Contribution) -> bool:
    """Whether all conditions hold for a reply.

    Words are compared without regard to case and blanks around them, numbers as numbers, also with `<`, `<=`, `>`, `>=`
    and `!=`. A list fits a word when the word is one of its items. A field that the reply does not have fits nothing.

    Args:
        when: `verdict` or the name of a field -> what it must be.
        said: The reply.
    """
    return all(_fits(wanted, _value(name, said)) for name, wanted in when.items())


def _value(name: str, said: Contribution) -> Any:
    if name == "verdict" and said.verdict is not None:
        return said.verdict
    return (said.data or {}).get(name)


def _fits(wanted: Wanted, value: Any) -> bool:
    if value is None:
        return False
    sign, word = "=", wanted
    if isinstance(wanted, str) and (compared := COMPARED.fullmatch(wanted.strip())):
        sign, word = compared.groups()
    if sign in _COMPARE:
        number, limit = _number(value), _number(word)
        return number is not None and limit is not None and _COMPARE[sign](number, limit)
    values = cast(list[Any], value) if isinstance(value, list) else [value]
    return any(_same(word, one) for one in values) is (sign != "!=")


def _same(wanted: Wanted, value: Any) -> bool:
    if isinstance(value, bool) or isinstance(wanted, bool):
        return _truth(wanted) is not None and _truth(wanted) == _truth(value)
    number = _number(wanted)
    if number is not None and number == _number(value):
        return True
    return str(wanted).strip().casefold() == str(value).strip().casefold()


def _truth(value: Any) -> bool | None:
    return value if isinstance(value, bool) else TRUTH.get(str(value).strip().casefold())


def _number(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        return None
