"""Whether the models that a crew names exist, are complete, and hold no secret."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from crewmix.definitions.circles import circles
from crewmix.definitions.names import PROVIDERS, nearest
from crewmix.definitions.nodes import Node
from crewmix.definitions.parts import Parts
from crewmix.definitions.placeholders import variables
from crewmix.definitions.spec import ChatSpec, ModelSpec, SynthesisSpec
from crewmix.definitions.spec_chat import ProposerSpec
from crewmix.errors import Problem

_USERINFO = re.compile(r"://[^/@]*:[^/@]+@")


def model_uses(parts: Parts) -> Iterator[tuple[str, Node]]:
    """Every model that roles, chats and syntheses name, and where."""
    for member in (*parts.roles, *parts.others):
        yield member.role.llm, member.node.at("llm")
    for name, model in parts.models.items():
        for place, text in enumerate(model.fallback):
            yield text, parts.node.at("models", name, "fallback", place)
    owners = [(parts.spec.chat, parts.spec.synthesis, parts.node)]
    for work in parts.tasks:
        owners.append((work.task.chat or ChatSpec(), work.task.synthesis or SynthesisSpec(), work.node))
    for chat, synthesis, node in owners:
        for text, path in (*_of_chat(chat), (synthesis.llm, ("synthesis", "llm"))):
            if text is not None:
                yield text, node.at(*path)


def _of_chat(chat: ChatSpec) -> Iterator[tuple[str | None, tuple[str | int, ...]]]:
    yield chat.select.llm, ("chat", "select", "llm")
    yield chat.replacement, ("chat", "replacement")
    yield from _of_proposers(chat.proposers, ("chat", "proposers"))
    for number, layer in enumerate(chat.per_layer):
        yield layer.llm, ("chat", "per_layer", number, "llm")
        yield from _of_proposers(layer.proposers, ("chat", "per_layer", number, "proposers"))


def _of_proposers(
    proposers: Sequence[str | ProposerSpec], path: tuple[str | int, ...]
) -> Iterator[tuple[str | None, tuple[str | int, ...]]]:
    for place, entry in enumerate(proposers):
        if isinstance(entry, ProposerSpec):
            yield entry.llm, (*path, place, "llm")


def is_model_string(text: str) -> bool:
    """Whether this is `provider/model`, `provider:model` or `auto`, and not a name from a crew's `models`."""
    provider, _, name = text.replace(":", "/", 1).partition("/")
    return text == "auto" or bool(provider and name)


def check_models(parts: Parts, environ: Mapping[str, str]) -> Iterator[Problem]:
    """Models that nobody defined, variables that are not set, and keys that stand in a file."""
    for name in parts.models:
        blamed = name not in parts.given and name in parts.node.at("models").fields
        where = parts.node.at("models", name) if blamed else Node(None, parts.node.source)
        yield from _one_model(name, parts.models, where, environ)
    yield from _fallback_circles(parts)
    for text, where in model_uses(parts):
        if text in parts.models:
            continue
        if not is_model_string(text):
            message = f"there is no model `{text}` in the crew's `models`"
            hint = nearest(text, parts.models) or "write `provider/model`"
            yield where.problem("unknown_model", message, hint=hint)
        else:
            yield from _provider(text, where)
            yield from _unset(text, where, environ)


def _circle(name: str, models: Mapping[str, ModelSpec], where: Node) -> Iterator[Problem]:
    """A model that is another one under a second name must lead to one."""
    seen = [name]
    while _is_another(seen[-1], models):
        target = models[seen[-1]].model
        if target in seen:
            yield where.problem("unknown_model", f"model `{name}` leads back to itself: {' -> '.join([*seen, target])}")
            return
        seen.append(target)


def _is_another(name: str, models: Mapping[str, ModelSpec]) -> bool:
    """Whether a model is another one of the crew. A model string that a role uses stands in `models` under itself."""
    target = models[name].model
    return target in models and target != "auto" and not (target == name and is_model_string(name))


def _fallback_circles(parts: Parts) -> Iterator[Problem]:
    """A model must not stand in for itself, also not by way of others."""
    models = parts.models
    owners = {name: _fallback_owner(name, models) for name in models}
    for circle in circles({name: models[owner].fallback for name, owner in owners.items()}):
        owner, to = owners[circle[0]], circle[1]
        where = parts.node.at("models", owner, "fallback", models[owner].fallback.index(to))
        yield where.problem("fallback_cycle", f"models stand in for each other in a circle: {' -> '.join(circle)}")


def _fallback_owner(name: str, models: Mapping[str, ModelSpec]) -> str:
    """Whose `fallback` a model has: one that is another under a second name has the other's, unless it names its own."""
    seen = set[str]()
    while name not in seen and "fallback" not in models[name].model_fields_set and models[name].model in models:
        seen.add(name)
        name = models[name].model
    return name


def _one_model(
    name: str, models: Mapping[str, ModelSpec], where: Node, environ: Mapping[str, str]
) -> Iterator[Problem]:
    model, place = models[name], where.at("model")
    if not place.size:
        return
    if _is_another(name, models):
        yield from _circle(name, models, place)
    elif not is_model_string(model.model):
        message = f"model `{name}` must be `provider/model`, `auto` or another model's name, not {model.model!r}"
        yield place.problem("unknown_model", message, hint="for example `openai/gpt-5-mini` or `ollama/qwen3`")
    elif where.line:
        yield from _provider(model.model, place)
    secret = where.line and model.api_key and len(model.api_key) >= 12 and not variables(model.api_key)
    if secret:
        hint = "put it into an environment variable and write `${NAME}`"
        yield where.at("api_key").problem("literal_secret", "a key must not stand in the file", hint=hint, on_key=True)
    for field, text in (("model", model.model), ("base_url", model.base_url), ("api_key", model.api_key)):
        yield from _unset(text or "", where.at(field), environ)
        if field != "api_key" and where.line and _USERINFO.search(text or "") and not variables(text or ""):
            hint = "put it into an environment variable and write `${NAME}`"
            yield where.at(field).problem(
                "literal_secret", "a password must not stand in the file", hint=hint, on_key=True
            )


def _provider(text: str, where: Node) -> Iterator[Problem]:
    provider = text.replace(":", "/", 1).partition("/")[0].strip().lower()
    if text != "auto" and provider not in PROVIDERS and not variables(provider):
        yield where.problem(
            "unknown_provider", f"there is no model provider `{provider}`", hint=nearest(provider, PROVIDERS)
        )


def _unset(text: str, where: Node, environ: Mapping[str, str]) -> Iterator[Problem]:
    for name in variables(text):
        if not environ.get(name):
            message = f"the environment variable `{name}` is not set"
            yield where.problem("unset_variable", message, hint=f"set it before you start, e.g. `export {name}=…`")
