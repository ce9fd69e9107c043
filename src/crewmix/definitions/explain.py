"""pydantic's complaints about a tree of nodes, as problems with a place and in plain English."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError

from crewmix.definitions.names import METHODS, PATTERNS, nearest
from crewmix.definitions.nodes import Node
from crewmix.definitions.spec_base import Spec, slug
from crewmix.errors import Problem

S = TypeVar("S", bound=Spec)

_NOT_TEXT = ("string_type", "literal_error")
_NOT_MAPPING = ("model_type", "dict_type")
_NOT_LIST = ("tuple_type", "list_type")
_STAND_IN = "?"
_SECRET_FIELDS = ("api_key",)


def validate(kind: type[S], node: Node) -> tuple[S | None, Node, list[Problem]]:
    """Check a tree against a model, strictly: a number in quotes is no number.

    Args:
        kind: What the tree should describe.
        node: The tree.

    Returns:
        The model, the tree it was made from, and all problems. With problems the model is made from what is right, so that
        further mistakes can be looked for; it is None when too little is right.
    """
    problems: list[Problem] = []
    for attempt in range(4):
        try:
            return kind.model_validate_json(json.dumps(node.plain()), strict=True), node, problems
        except ValidationError as error:
            mistakes = _mistakes(error, node)
        told = [m for m in mistakes if (not attempt and not m.misspelt(mistakes)) or m.kind == "value_error"]
        problems += [mistake.problem(kind) for mistake in told if mistake.node.size or mistake.kind == "value_error"]
        repaired = _without(node, mistakes, again=bool(attempt))
        if repaired is None:
            break
        node = repaired
    return None, node, problems


def in_words(error: ValidationError) -> str:
    """The first of pydantic's complaints about a single value, in plain English: `must be a whole number`."""
    first = error.errors(include_url=False, include_input=False)[0]
    kind, context = first["type"], first.get("ctx", {})
    if kind in _WANTED:
        return f"must be {_WANTED[kind]}"
    if kind == "literal_error":
        return f"must be {context['expected']}"
    return f"must {_BOUNDS[kind].format(**context)}" if kind in _BOUNDS else f"is not right: {first['msg']}"


@dataclass(frozen=True)
class _Mistake:
    """One complaint, at the place in the tree that it is about."""

    kind: str
    path: tuple[str | int, ...]
    node: Node
    """The node at `path`; for a missing key the mapping it is missing from."""
    in_union: bool
    context: Mapping[str, Any]
    text: str
    instead: str = ""
    """What else could stand here, in a union."""

    def misspelt(self, others: Sequence[_Mistake]) -> bool:
        """Whether a key is missing because its name is written wrongly, which is told of that name."""
        wrong = [other.path for other in others if other.kind == "extra_forbidden"]
        near = (nearest(str(path[-1]), [str(self.path[-1])]) for path in wrong if path[:-1] == self.path[:-1])
        return self.kind == "missing" and any(hint and hint.startswith("did") for hint in near)

    def problem(self, model: type[Spec]) -> Problem:
        name = _dotted(self.path)
        if self.kind == "missing":
            return self.node.problem("missing_key", f"`{name}` is missing", on_key=bool(self.path[1:]))
        if self.kind == "extra_forbidden":
            known = _model_at(model, self.path[:-1]).model_fields
            hint = nearest(str(self.path[-1]), known)
            if self.path[-1] == "<<":
                hint = "crews and roles share settings with `extends: name`"
            return self.node.problem("unknown_key", f"unknown key `{name}`", hint=hint, on_key=True)
        code, said, hint = self._explain()
        if self.kind == "model_type" and not self.in_union and hint is None:
            hint = _keys_hint(_model_at(model, self.path), self.node)
        if any(field in self.path for field in _SECRET_FIELDS):
            said = said.split(", not ")[0]
        return self.node.problem(code, f"`{name}` {said}" if name else said, hint=hint)

    def _explain(self) -> tuple[str, str, str | None]:
        """Code, predicate and hint."""
        kind, context, shown = self.kind, self.context, _show(self.node)
        if kind == "value_error":
            return "senseless", f"does not fit together: {context['error']}", None
        if kind == "literal_error":
            choices = context["expected"].replace(" or ", ", ").replace("'", "").split(", ")
            listed = " or ".join(f"`{choice}`" for choice in choices) + (f" or {self.instead}" if self.instead else "")
            near = nearest(str(self.node.value), choices)
            return "wrong_value", f"must be {listed}, not {shown}", near if near and near.startswith("did") else None
        if kind in _LENGTHS:
            most, name = _LENGTHS[kind]
            number, there = context[name], len(self.node.items)
            noun = "entry" if number == 1 else "entries"
            return "wrong_value", f"must hold at {most} {number} {noun}, not {there or 'none'}", None
        if kind == "string_pattern_mismatch":
            rule = "must be a name of letters, digits, `_` and `-` that does not start with a digit"
            return "wrong_value", f"{rule}, not {shown}", f"for example `{slug(str(self.node.value))}`"
        wanted = _WANTED.get(kind)
        if wanted is not None:
            if self.instead and kind == "string_type":
                wanted = "a name or a mapping" if self.instead == "a mapping" else f"text, {self.instead}"
            return "wrong_type", f"must be {wanted}, not {shown}", self._type_hint(wanted)
        bound = _BOUNDS.get(kind)
        if bound is not None:
            return "wrong_value", f"must {bound.format(**context)}, not {shown}", None
        return "wrong_value", f"is not right: {self.text}", None

    def _type_hint(self, wanted: str) -> str | None:
        if self.node.value is None:
            return "leave the key out, or write a value behind it"
        if wanted == "a list" and self.node.text:
            return f"write [{self.node.text[:60]}]"
        if wanted == "text" and not isinstance(self.node.value, list | dict):
            return "put the value into quotes"
        if isinstance(self.node.value, str) and self.node.text and wanted in {"a whole number", "a number"}:
            return "write the number without quotes" if self.node.text.replace(".", "", 1).isdigit() else None
        return None


def _keys_hint(model: type[BaseModel], node: Node) -> str:
    """What the mapping could be that a single value stands in for: that of its main key, if it has one and the value fits."""
    first, chosen = next(iter(model.model_fields)), node.plain()
    known = {"pattern": PATTERNS, "method": METHODS}.get(
        first, (chosen,) if model.model_fields[first].is_required() else ()
    )
    if chosen in known and _fits(model, {first: chosen}):
        return f"write {{{first}: {chosen}}}"
    return f"its keys are {', '.join(f'`{key}`' for key in model.model_fields)}"


def _fits(model: type[BaseModel], fields: Mapping[str, Any]) -> bool:
    try:
        model.model_validate_json(json.dumps(fields), strict=True)
    except ValidationError:
        return False
    return True


_WANTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "decimal_type": "a number",
    "decimal_parsing": "a number",
    "finite_number": "a finite number",
    "is_instance_of": "a number",
    "bool_type": "`true` or `false`",
    "bool_parsing": "`true` or `false`",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
}
_BOUNDS = {
    "greater_than": "be more than {gt:g}",
    "greater_than_equal": "be at least {ge:g}",
    "less_than": "be less than {lt:g}",
    "less_than_equal": "be at most {le:g}",
    "string_too_short": "not be empty; write at least {min_length} character",
    "string_too_long": "be at most {max_length} characters long",
}
_LENGTHS = {"too_short": ("least", "min_length"), "too_long": ("most", "max_length")}


def _mistakes(error: ValidationError, root: Node) -> list[_Mistake]:
    """The complaints, without those about the branches of a union that nobody meant."""
    found: list[_Mistake] = []
    for detail in error.errors(include_url=False):
        path, node, in_union = _trail(root, detail["loc"])
        kind, last, context = detail["type"], detail["loc"][-1:], detail.get("ctx", {})
        if kind == "missing" and isinstance(last[0], int):  # an entry of a list of fixed length
            found = [mistake for mistake in found if mistake.path != path]
            kind, in_union, context = "too_short", False, {"min_length": last[0] + 1}
        elif kind == "missing":
            path, in_union = (*path, *last), False
        found.append(_Mistake(kind, path, node, in_union, context, detail["msg"]))
    kept: list[_Mistake] = []
    for mistake in found:
        misled = mistake.in_union and _below(mistake.path, found)
        if (
            not misled
            and _meant(mistake, found)
            and not any(mistake.in_union and other.path == mistake.path for other in kept)
        ):
            kept.append(replace(mistake, instead=_instead(mistake, found)))
    return [mistake for mistake in kept if not (mistake.kind == "too_short" and _below(mistake.path, kept))]


def _instead(mistake: _Mistake, found: list[_Mistake]) -> str:
    kinds = _rivals(mistake, found) if mistake.in_union else set[str]()
    if kinds.intersection(_NOT_MAPPING):
        return "a mapping"
    return "a list of words" if kinds.intersection(_NOT_LIST) else "a number, `true` or `false`" if kinds else ""


def _below(path: tuple[str | int, ...], mistakes: list[_Mistake]) -> bool:
    """Whether something within the value at `path` is wrong; what pydantic says of the whole value then misleads."""
    return any(len(other.path) > len(path) and other.path[: len(path)] == path for other in mistakes)


def _meant(mistake: _Mistake, found: list[_Mistake]) -> bool:
    """Whether a complaint about a branch of a union is about the branch that was meant."""
    if not mistake.in_union:
        return True
    if isinstance(mistake.node.value, dict):
        closer = _rivals(mistake, found).difference(_NOT_TEXT, _NOT_LIST)
        return mistake.kind not in _NOT_TEXT or not closer
    return mistake.kind not in _NOT_MAPPING


def _rivals(mistake: _Mistake, found: list[_Mistake]) -> set[str]:
    return {other.kind for other in found if other.in_union and other.path == mistake.path}


def _trail(node: Node, loc: tuple[str | int, ...]) -> tuple[tuple[str | int, ...], Node, bool]:
    """The part of `loc` that leads through the tree, where it ends, and whether a union's tag came last."""
    path: list[str | int] = []
    tagged = False
    for step in loc:
        below = node.at(step)
        tagged = below is node
        if not tagged:
            path.append(step)
            node = below
    return tuple(path), node, tagged


def _without(node: Node, mistakes: list[_Mistake], *, again: bool) -> Node | None:
    """The tree without what is wrong, and with a stand-in for what is missing; None when nothing is left.

    Stand-ins and what lost a part are of size 0. `again`: what cannot do without a part that was taken out, or that a
    stand-in does not fit, goes as well.
    """
    lost = [m for m in mistakes if again and (m.kind == "missing" or m.node.value == _STAND_IN)]
    wrong = {mistake.path for mistake in mistakes if mistake.kind != "missing"} | {m.path[:-1] for m in lost}
    missing = {mistake.path for mistake in mistakes if mistake.kind == "missing"}
    if () in wrong:
        return None

    def copy(part: Node, path: tuple[str | int, ...]) -> Node:
        if isinstance(part.value, list):
            rest = [copy(below, (*path, i)) for i, below in enumerate(part.value) if (*path, i) not in wrong]
            return replace(part, value=rest, size=part.size if len(rest) == len(part.value) else 0)
        if isinstance(part.value, dict):
            fields = {k: copy(below, (*path, k)) for k, below in part.value.items() if (*path, k) not in wrong}
            added = {str(p[-1]): Node(_STAND_IN, part.source, size=0) for p in missing if p[:-1] == path}
            return replace(part, value={**fields, **added}, size=part.size if len(fields) == len(part.value) else 0)
        return part

    return copy(node, ())


def _model_at(model: type[BaseModel], path: tuple[str | int, ...]) -> type[BaseModel]:
    """The model that describes the mapping at `path`."""
    named = False
    for step in path:
        field = None if named else model.model_fields.get(str(step))
        named = field is not None and _is_mapping(field.annotation)
        model = (field and _model_in(field.annotation)) or model
    return model


def _is_mapping(annotation: Any) -> bool:
    """Whether the keys are names that the user makes up."""
    return get_origin(annotation) is dict or any(map(_is_mapping, get_args(annotation)))


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_model_in, get_args(annotation))), None)


def _dotted(path: tuple[str | int, ...]) -> str:
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".")[:120]


def _show(node: Node) -> str:
    value = node.value
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, dict):
        return "a mapping"
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:59]}…"
