"""Replies in fields: shown as words, and read from what a person writes."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, cast

from crewmix.models import structured

_ITEM = re.compile(r"^\s*(?:[-*•]|\d+[.)])\s+")
_TRUTH = {"true": True, "yes": True, "y": True, "false": False, "no": False, "n": False}


def as_words(data: Mapping[str, Any]) -> str:
    """The fields of a reply as lines that people and models read easily, lists as bullets."""
    return "\n".join(_line(name, value) for name, value in data.items())


def _line(name: str, value: Any) -> str:
    if isinstance(value, list):
        items = [_word(item) for item in cast(list[Any], value)]
        return "\n".join([f"{name}:", *(f"- {item}" for item in items)]) if items else f"{name}: none"
    word = _word(value)
    return f"{name}:\n{word}" if "\n" in word else f"{name}: {word}"


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return value.strip() if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def fields_wanted(schema: Mapping[str, Any]) -> str:
    """The words that ask a person for the fields of a reply."""
    lines = [f"- {name}: {_wanted(kind)}" for name, kind in schema["properties"].items()]
    return "\n".join(["Please answer with these fields, each on a line `name: value` (or as JSON):", *lines])


def _wanted(kind: Mapping[str, Any]) -> str:
    if "enum" in kind:
        return " or ".join(f"`{word}`" for word in kind["enum"])
    wanted = {
        "number": "a number",
        "boolean": "yes or no",
        "array": "a list, with `;` between items or one `- item` a line",
    }
    return wanted.get(kind["type"], "text")


def from_words(text: str, schema: Mapping[str, Any]) -> tuple[dict[str, Any], str | None]:
    """The fields in what a person wrote, as JSON or as `name: value` lines, and what is wrong with them.

    Args:
        text: What was written. Where a single field is wanted, its name may be left out.
        schema: JSON Schema of type object with fields of type string, number, boolean, or array of strings.
    """
    if text.lstrip().startswith(("{", "```")):
        return structured.read(text, schema)
    kinds: Mapping[str, Any] = schema["properties"]
    written = _parts(text, kinds)
    if not written and len(kinds) == 1:
        written = {name: text for name in kinds}
    missing = [name for name in schema.get("required", ()) if name not in written]
    if missing:
        return {}, "there is no " + " and no ".join(f"`{name}`" for name in missing)
    data = {name: _value(value, kinds[name]) for name, value in written.items()}
    return structured.read(json.dumps(data, ensure_ascii=False), schema)


def _parts(text: str, kinds: Mapping[str, Any]) -> dict[str, str]:
    """What stands after each field's name, up to the next one."""
    names = "|".join(re.escape(name).replace("_", "[ _]") for name in sorted(kinds, key=len, reverse=True))
    found = list(re.finditer(rf"^[ \t*_`-]*({names})[ \t*_`]*[:=][*_`]*", text, re.IGNORECASE | re.MULTILINE))
    ends = [match.start() for match in found[1:]] + [len(text)]
    known = {name.casefold(): name for name in kinds}
    return {
        known[match.group(1).replace(" ", "_").casefold()]: text[match.end() : end].strip()
        for match, end in zip(found, ends, strict=False)
    }


def _value(text: str, kind: Mapping[str, Any]) -> Any:
    """`text` as a value of this kind, or as it is where it is none."""
    word = text.strip() if kind["type"] in {"string", "array"} else text.strip(" \t\n*_`")
    if "enum" in kind:
        plain = word.strip("*_`.").casefold()
        return next((option for option in kind["enum"] if option.casefold() in {word.casefold(), plain}), word)
    if kind["type"] == "boolean":
        return _TRUTH.get(word.casefold(), word)
    if kind["type"] == "number":
        try:
            return float(word.replace(",", ".") if word.count(",") == 1 and "." not in word else word)
        except ValueError:
            return word
    if kind["type"] == "array":
        items = [part for line in word.splitlines() for part in _ITEM.sub("", line).split(";")]
        return [item.strip() for item in items if item.strip() and item.strip().casefold() != "none"]
    return word
