"""What `crewmix doctor` looks at. Keys are named, never shown."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from crewmix.cli.facts import OFFLINE
from crewmix.cli.text import clean, count, one_line
from crewmix.definitions.project import Project
from crewmix.errors import CrewmixError

PACKAGES = ("crewai", "pyautogen", "autogen-agentchat", "pydantic", "aiohttp", "genai-prices")
EXTRAS = {
    "anthropic": "Claude is reached over Chat Completions, without its prompt cache",
    "litellm": "no model string may begin with `litellm/`",
}
"""Optional packages, and what is so without them."""
OLDEST, NEWEST = (3, 11), (3, 13)


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the examination. `ok` None = neither good nor bad."""

    what: str
    ok: bool | None
    found: str


def examine(project: Project) -> list[Finding]:
    """Look at everything; nothing that is found stops the rest."""
    findings: list[Finding] = []
    for look in (_python, _packages, _extras, _project, _files, _keys, _servers, _model, _journal, _sandbox):
        findings += _carefully(look, project)
    return findings


def _carefully(look: Callable[[Project], Iterator[Finding]], project: Project) -> list[Finding]:
    try:
        return list(look(project))
    except CrewmixError as error:
        what = one_line(f"{error.message} ({error.hint})" if error.hint else error.message, 400)
    except Exception as error:
        what = one_line(f"{type(error).__name__}: {error}", 400)
    return [Finding(look.__name__.strip("_"), False, what)]


def _python(_project: Project) -> Iterator[Finding]:
    fits = OLDEST <= sys.version_info[:2] <= NEWEST
    needs = "" if fits else f"; crewmix needs {OLDEST[0]}.{OLDEST[1]} to {NEWEST[0]}.{NEWEST[1]}"
    yield Finding("python", fits, f"{platform.python_version()} in {clean(sys.prefix)}{needs}")


def _packages(_project: Project) -> Iterator[Finding]:
    found: list[str] = []
    missing: list[str] = []
    for name in PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    yield Finding("packages", not missing, ", ".join(found) + "".join(f", {name} is MISSING" for name in missing))


def _extras(_project: Project) -> Iterator[Finding]:
    found: list[str] = []
    for name, without in EXTRAS.items():
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            found.append(f"no {name}: {without} (`pip install 'crewmix[{name}]'`)")
    yield Finding("extras", None, "; ".join(found))


def _project(project: Project) -> Iterator[Finding]:
    names = {kind: len(project.names(kind)) for kind in ("crews", "roles", "tasks", "tools")}
    parts = ", ".join(f"{number} {kind}" for kind, number in names.items())
    yield Finding("project", True, clean(f"{project.root} ({parts}, the built-in ones included)"))


def _files(project: Project) -> Iterator[Finding]:
    from crewmix.definitions.load import check_project

    problems = check_project(project)
    text = f"{count(len(problems), 'mistake')}; `crewmix check` shows them" if problems else "no mistakes"
    yield Finding("files", not problems, text)


def _keys(_project: Project) -> Iterator[Finding]:
    from crewmix.models.providers import PROVIDERS

    names = [key for provider in PROVIDERS.values() for key in provider.keys]
    present = [name for name in names if os.environ.get(name)]
    yield Finding("keys", None, f"set: {', '.join(present)}" if present else "none of the providers' keys is set")


def _servers(_project: Project) -> Iterator[Finding]:
    from crewmix.loop import wait_for
    from crewmix.models.probe import chat_models
    from crewmix.models.providers import PROVIDERS
    from crewmix.models.resolve import LOCAL

    found: list[str] = []
    for name in LOCAL:
        url = PROVIDERS[name].base_url
        models = wait_for(chat_models(url))
        if models is not None:
            found.append(f"{name} at {url} ({', '.join(models[:3]) or 'no model'})")
    yield Finding("servers", None, one_line("; ".join(found) or "no model server answers on this machine", 400))


def _model(project: Project) -> Iterator[Finding]:
    from crewmix.loop import wait_for
    from crewmix.models.resolve import resolve

    profile = wait_for(resolve({"default": "auto"}, folder=project.root))["default"]
    real = profile.model != OFFLINE
    hint = "" if real else "; set OPENAI_API_KEY or start Ollama for a real one"
    yield Finding("model", True if real else None, one_line(f"{profile.model} serves: {profile.why}{hint}", 400))


def _journal(project: Project) -> Iterator[Finding]:
    from crewmix.runs import list_runs

    # Looking must leave nothing behind: where there is no journal yet, ask whether its folder could be made.
    folder = next(p for p in (project.state, project.root, *project.root.parents) if p.is_dir())
    blocked = project.state.exists() and not project.state.is_dir()
    writable = not blocked and os.access(project.database if project.database.exists() else folder, os.W_OK)
    runs = list_runs(project, limit=1_000_000)
    state = "can be written" if writable else "CANNOT be written: runs cannot be resumed"
    yield Finding("journal", writable, clean(f"{project.database} {state}, {count(len(runs), 'run')}"))


def _sandbox(_project: Project) -> Iterator[Finding]:
    from crewmix.tools.sandbox import HINT, unavailable

    reason = unavailable()
    works = "works: `synthesis: {method: tested}` and the tool `run_python` can run programs"
    yield Finding("sandbox", None if reason else True, f"none: {one_line(reason, 200)}; {HINT}" if reason else works)
