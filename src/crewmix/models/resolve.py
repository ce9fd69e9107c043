"""Which model serves, decided in the open: every profile says why.

`auto` means: `CREWMIX_MODEL`, else a local server the environment names (`OLLAMA_HOST`), else a key in the environment, else
a server that answers on this machine, else `offline/extractive`. Whoever set up a local server is never billed instead: when
it is down, that is an error.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from crewmix.definitions.names import nearest
from crewmix.definitions.placeholders import expand_env
from crewmix.definitions.spec import ModelSpec
from crewmix.errors import ModelSetupError
from crewmix.models.addresses import clean_address, clean_key, from_variable
from crewmix.models.meant import meant
from crewmix.models.probe import chat_models
from crewmix.models.profile import Profile, profile_from_spec
from crewmix.models.providers import PROVIDERS, Provider, is_near
from crewmix.models.types import Model

LOCAL = ("ollama", "lmstudio", "vllm", "llamacpp")
"""Servers that `auto` looks for, best first."""
WITHOUT_SERVER = ("offline", "scripted", "replay", "litellm")
"""Providers without an address of their own."""
KEYLESS = "no key is set and no local server answers: no language model, text is extracted and ranked by rules"


def installed(package: str) -> bool:
    """Whether an optional package can be imported."""
    return find_spec(package) is not None


def _way_to_anthropic(why: str) -> dict[str, Any]:
    if installed("anthropic"):
        return {"protocol": "messages", "why": f"{why}; over the Messages API"}
    return {"why": f"{why}; over its Chat Completions address, as `crewmix[anthropic]` is not installed"}


def split_model(text: str) -> tuple[str, str, str | None]:
    """Provider, model name and address of `provider/model`, `provider:model` or `provider/model@address`.

    Raises:
        ModelSetupError: It has no such form, or no such provider; the hint names the nearest.
    """
    text, at, address = text.strip().partition("@http")
    if at and not address.startswith(("://", "s://")):
        text, at = f"{text}@http{address}", ""
    cut = min((place for place in (text.find("/"), text.find(":")) if place > 0), default=0)
    provider, name = text[:cut].lower(), text[cut + 1 :].strip()
    if not cut or not name:
        guess = next(
            (p for p, start in (("openai", "gpt"), ("anthropic", "claude"), ("gemini", "gemini")) if start in text),
            "ollama",
        )
        hint = f"write `provider/model`, e.g. `{guess}/{text or 'qwen3'}`, or `auto`"
        raise ModelSetupError(f"{text!r} is no model string", hint=hint)
    if provider not in PROVIDERS and provider not in WITHOUT_SERVER:
        names = sorted((*PROVIDERS, *WITHOUT_SERVER))
        near = nearest(provider, names)
        hint = near if near and near.startswith("did") else f"known: {', '.join(names)}"
        raise ModelSetupError(f"unknown model provider {provider!r} in {text!r}", hint=hint)
    return provider, name, f"http{address}" if at else None


async def resolve(
    specs: Mapping[str, ModelSpec | str | Model],
    *,
    environ: Mapping[str, str] = os.environ,
    probe: bool = True,
    folder: Path | None = None,
) -> dict[str, Profile]:
    """The models of a crew as they will be called, by name.

    Args:
        specs: What the crew file or the caller wants: model strings, names of others among them, full specs, or `Model`
            objects.
        environ: Where keys and addresses are looked up.
        probe: Whether `auto` may look for servers on this machine (0.3 s at most). Nothing else is ever probed.
        folder: What relative `scripted/FILE` paths start from; None = the working folder.

    Raises:
        ModelSetupError: A model cannot work as configured; several mistakes come in one error.
        DefinitionError: A script file has mistakes.
    """
    finder = _Finder(environ, probe, folder or Path.cwd())
    profiles: dict[str, Profile] = {}
    errors: list[ModelSetupError] = []
    for name in specs:
        try:
            spec, same_as = meant(name, specs)
            profile = await finder.profile(name, spec)
            profiles[name] = replace(profile, why=f"the same as `{same_as}`") if same_as else profile
        except ModelSetupError as error:
            errors.append(ModelSetupError(f"model `{name}`: {error.message}", hint=error.hint))
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise ModelSetupError("\n".join(map(str, errors)))
    return profiles


class _Finder:
    """Resolves the models of one call; what `auto` means is found out once."""

    def __init__(self, environ: Mapping[str, str], probe: bool, folder: Path) -> None:
        self.environ = {k: v.strip() for k, v in environ.items() if v.strip()}
        self.probe = probe
        self.folder = folder
        self._auto: tuple[str, str | None, str] | None = None

    async def profile(self, name: str, spec: ModelSpec | str | Model) -> Profile:
        """One profile."""
        if not isinstance(spec, str | ModelSpec):
            return _from_object(name, spec)
        if isinstance(spec, str):
            spec = ModelSpec(model=spec)
        if spec.model != "auto":
            return self._named(name, spec, spec.model, spec.base_url, "named in the crew or by the caller")
        if self._auto is None:
            self._auto = await self._find()
        model, address, why = self._auto
        return self._named(name, spec, model, spec.base_url or address, why)

    def _named(self, name: str, spec: ModelSpec, model: str, base_url: str | None, why: str) -> Profile:
        provider, provider_model, address = split_model(model)
        found: dict[str, Any] = {"provider": provider, "provider_model": provider_model, "why": why}
        if provider in WITHOUT_SERVER:
            if provider == "litellm":
                found |= self._litellm(spec, provider_model, address or spec.base_url)
            else:
                found |= self._without_server(name, provider, provider_model)
            return profile_from_spec(name, spec, **found)
        known = PROVIDERS[provider]
        if provider == "anthropic":
            found |= _way_to_anthropic(why)
        own_address = address or (expand_env(base_url, self.environ) if base_url else None)
        url = clean_address(own_address or from_variable(known, self.environ) or known.base_url, provider)
        found |= {
            "model": f"{provider}/{provider_model}" + (f"@{url}" if provider == "openai_compatible" else ""),
            "base_url": url,
            "api_key": self._key(spec, known, own_address is not None, url),
            "local": known.own and is_near(url) and not provider_model.endswith("cloud"),
        }
        if "json_schema" not in spec.model_fields_set:
            found["json_schema"] = known.json_schema
        return profile_from_spec(name, spec, **found)

    def _without_server(self, name: str, provider: str, file: str) -> dict[str, Any]:
        if provider == "offline":
            if file != "extractive":
                raise ModelSetupError(f"there is no `offline/{file}`", hint="the offline model is `offline/extractive`")
            return {"model": "offline/extractive", "local": True}
        if provider == "replay":
            from crewmix.models.drivers.recorded import RecordedModel

            driver = RecordedModel.from_project(self.folder, file)
            return {"model": f"replay/{driver.run_id}", "provider_model": name, "local": True, "driver": driver}
        from crewmix.models.drivers.scripted import ScriptedModel

        # A script's rules go by the crew's name for the model.
        driver = ScriptedModel.from_file(self.folder / file)
        return {"model": f"scripted/{file}", "provider_model": name, "local": True, "driver": driver}

    def _litellm(self, spec: ModelSpec, model: str, address: str | None) -> dict[str, Any]:
        """A model that the `litellm` package finds; it looks up keys and addresses itself unless they are given."""
        if not installed("litellm"):
            raise ModelSetupError(
                f"`litellm/{model}` needs the package litellm, which is not installed",
                hint="`pip install 'crewmix[litellm]'`",
            )
        return {
            "model": f"litellm/{model}",
            "base_url": clean_address(expand_env(address, self.environ), "litellm") if address else None,
            "api_key": clean_key(expand_env(spec.api_key, self.environ)) if spec.api_key is not None else None,
            "protocol": "litellm",
            "json_schema": spec.json_schema and "json_schema" in spec.model_fields_set,
        }

    def _key(self, spec: ModelSpec, known: Provider, own_address: bool, url: str) -> str | None:
        """The key to send. A provider's key goes to no address that a file names, unless the file names the key as well."""
        if spec.api_key is not None:
            return clean_key(expand_env(spec.api_key, self.environ))
        if own_address:
            return None
        variable = next((k for k in known.keys if k in self.environ), None)
        if variable is not None:
            return clean_key(self.environ[variable])
        if known.keys and not is_near(url):
            raise ModelSetupError(
                f"{known.keys[0]} is not set, which {url} needs",
                hint=f"`export {known.keys[0]}=…`, or use a local server (`ollama/qwen3`) or `offline/extractive`",
            )
        return None

    # -- auto ------------------------------------------------------------------------------------------------------

    async def _find(self) -> tuple[str, str | None, str]:
        """Model string, address and reason for `auto`."""
        wanted = self.environ.get("CREWMIX_MODEL")
        if wanted and wanted != "auto":
            return wanted, None, "CREWMIX_MODEL says so"
        for variable in PROVIDERS["ollama"].address_variables:
            if variable in self.environ:
                return await self._ollama(variable)
        if (by_key := await self._by_key()) is not None:
            return by_key
        if self.probe and (local := await self._running()) is not None:
            return local
        return "offline/extractive", None, KEYLESS

    async def _ollama(self, variable: str) -> tuple[str, str | None, str]:
        address = from_variable(PROVIDERS["ollama"], self.environ) or ""
        wanted = self.environ.get("OLLAMA_MODEL")
        if wanted is not None:
            return f"ollama/{wanted}", None, f"{variable} and OLLAMA_MODEL are set"
        if not self.probe:
            raise ModelSetupError(f"{variable} is set but no model is named", hint="set OLLAMA_MODEL or CREWMIX_MODEL")
        models = await chat_models(address, 2.0)
        if not models:
            trouble = "has no model" if models is not None else "does not answer"
            raise ModelSetupError(
                f"{variable} is set, but the server at {address} {trouble}",
                hint="`ollama pull qwen3`" if models is not None else f"start it (`ollama serve`), or unset {variable}",
            )
        return f"ollama/{models[0]}", None, f"{variable} is set and this is the first model there"

    async def _by_key(self) -> tuple[str, str | None, str] | None:
        openai = PROVIDERS["openai"]
        address = from_variable(openai, self.environ)
        if address is not None and (is_near(address) or "OPENAI_API_KEY" in self.environ):
            return await self._at_openai_address(address)
        for name, known in PROVIDERS.items():
            variable = next((k for k in known.keys if k in self.environ), None)
            if variable is not None:
                model = self._openai_model() if name == "openai" else None
                return f"{name}/{model or known.default_model}", None, f"{variable} is set"
        return None

    async def _at_openai_address(self, address: str) -> tuple[str, str | None, str]:
        model = self._openai_model()
        if model is None and address == PROVIDERS["openai"].base_url:
            model = PROVIDERS["openai"].default_model
        if model is None and self.probe and is_near(address) and address.startswith("http:"):
            model = next(iter(await chat_models(address) or ()), None)
        if model is None:
            raise ModelSetupError(
                f"OPENAI_BASE_URL is {address}, but no model is named", hint="set OPENAI_MODEL as well"
            )
        return f"openai/{model}", None, "OPENAI_BASE_URL is set"

    def _openai_model(self) -> str | None:
        return next((self.environ[k] for k in ("OPENAI_MODEL", "OPENAI_MODEL_NAME") if k in self.environ), None)

    async def _running(self) -> tuple[str, str | None, str] | None:
        """The first model of the first local server that answers; all are asked at once."""
        answers = await asyncio.gather(*(chat_models(PROVIDERS[name].base_url) for name in LOCAL))
        for name, models in zip(LOCAL, answers, strict=True):
            if models:
                return f"{name}/{models[0]}", None, f"a server answers at {PROVIDERS[name].base_url}"
        return None


def _from_object(name: str, driver: Model) -> Profile:
    from crewmix.models.drivers.scripted import ScriptedModel

    scripted = isinstance(driver, ScriptedModel)
    provider = "scripted" if scripted else "python"
    return Profile(
        name=name,
        model=f"{provider}/{driver.name if scripted else type(driver).__name__}",
        provider=provider,
        provider_model=name,
        why="it was given as a Python object",
        local=scripted,
        driver=driver,
    )
