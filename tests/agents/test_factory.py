"""Who works each role."""

from __future__ import annotations

import subprocess
import sys

import pytest

from crewmix.agents.crewai_actor import CrewAIActor
from crewmix.agents.direct import DirectActor
from crewmix.agents.factory import make_actors
from crewmix.agents.human import HumanActor
from crewmix.definitions.spec import Role
from crewmix.errors import NotFoundError
from crewmix.tools.base import Tool
from support.turns import FunctionGateway, Stage


async def _nothing(*_: object) -> str:
    return ""


SEARCH = Tool("search", "Searches.", {"type": "object", "properties": {}}, _nothing)


def test_every_role_gets_the_actor_it_needs(stage: Stage):
    roles = (
        Role(name="thinker", role="Thinker", goal="Think."),
        Role(name="searcher", role="Searcher", goal="Search.", tools=("search",)),
        Role(name="careful", role="Careful", goal="Write.", guardrails=("No swearing.",)),
        Role(name="forced", role="Forced", goal="Think.", actor="crewai"),
        Role(name="anna", role="Anna", goal="Decide.", actor="human"),
    )

    actors = make_actors(roles, FunctionGateway(lambda _: ""), {"search": SEARCH}, stage.context)  # pyright: ignore

    assert {name: type(actor) for name, actor in actors.items()} == {
        "thinker": DirectActor,
        "searcher": CrewAIActor,
        "careful": CrewAIActor,
        "forced": CrewAIActor,
        "anna": HumanActor,
    }


def test_an_unknown_tool_is_named_with_the_known_ones(stage: Stage):
    role = Role(name="searcher", role="Searcher", goal="Search.", tools=("serch",))

    with pytest.raises(NotFoundError, match="serch") as raised:
        make_actors((role,), FunctionGateway(lambda _: ""), {"search": SEARCH}, stage.context)  # pyright: ignore
    assert raised.value.hint == "known tools: search"


def test_a_crew_of_thinkers_never_imports_crewai():
    code = """
import sys
from crewmix.agents.factory import make_actors
from crewmix.definitions.spec import Role
make_actors((Role(role="Thinker", goal="Think."), Role(role="Anna", goal="Decide.", actor="human")), None, {}, None)
import threading
print([m for m in sys.modules if m.split(".")[0] in ("crewai", "autogen_core", "aiohttp", "rich")], len(threading.enumerate()))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert (done.stdout, done.stderr) == ("[] 1\n", "")
