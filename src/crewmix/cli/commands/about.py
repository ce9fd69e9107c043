"""`models`, `tools`, `doctor`, `version`: what is there to work with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from crewmix.cli.options import JsonOption, ProjectOption, find_project

if TYPE_CHECKING:
    from crewmix.definitions.project import Project
    from crewmix.models.profile import Profile


def models(
    crew: Annotated[
        str | None, typer.Argument(help="Whose models. [default: what `auto` finds]", show_default=False)
    ] = None,
    as_json: JsonOption = False,
    project: ProjectOption = None,
) -> None:
    """Say which model would serve, and why. Calls no model."""
    from crewmix.cli.facts import model_lines
    from crewmix.cli.output import say, say_json

    profiles = _profiles(find_project(project), crew)
    if as_json:
        names = ("model", "provider", "base_url", "protocol", "local", "why")
        say_json({name: {n: getattr(p, n) for n in names} for name, p in profiles.items()})
        return
    say(model_lines({name: (p.model, p.why) for name, p in profiles.items()}))


def tools(as_json: JsonOption = False, project: ProjectOption = None) -> None:
    """List the tools that roles can be given."""
    from dataclasses import asdict

    from crewmix.cli.output import say, say_json
    from crewmix.cli.text import indent, one_line
    from crewmix.tools.registry import describe_tools

    found = describe_tools(find_project(project))
    if as_json:
        say_json([asdict(tool) for tool in found])
        return
    for tool in found:
        if tool.problem:
            say([tool.name, *indent(f"BROKEN: {tool.problem}")])
        else:
            what = one_line(f"[{tool.risk}] {tool.description}", 200)
            say([tool.name, f"    {what}", f"    {one_line(tool.source, 200)}"])


def version(as_json: JsonOption = False) -> None:
    """Print the version."""
    from crewmix import __version__
    from crewmix.cli.output import say, say_json

    if as_json:
        say_json({"version": __version__})
    else:
        say(f"crewmix {__version__}")


def doctor(as_json: JsonOption = False, project: ProjectOption = None) -> int:
    """Look at all that a run needs: what is there, what is missing."""
    from crewmix.cli.doctor import examine
    from crewmix.cli.output import say, say_json

    findings = examine(find_project(project))
    if as_json:
        say_json([{"what": f.what, "ok": f.ok, "found": f.found} for f in findings])
    else:
        say([f"{'ok ' if f.ok else '-- ' if f.ok is None else 'BAD'} {f.what:12} {f.found}" for f in findings])
    return 1 if any(f.ok is False for f in findings) else 0


def _profiles(project: Project, crew: str | None) -> dict[str, Profile]:
    from crewmix.loop import wait_for
    from crewmix.models.resolve import resolve

    specs: dict[str, Any] = {"default": "auto"}
    if crew is not None:
        from crewmix.definitions.load import load_crew

        specs = dict(load_crew(crew, project).models)
    return wait_for(resolve(specs, folder=project.root))
