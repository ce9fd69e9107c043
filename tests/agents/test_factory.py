"""Who works each role."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from crewmix.agents.direct import DirectActor
from crewmix.agents.factory import make_actor
from crewmix.agents.human import HumanActor
from crewmix.agents.kept_turn import KeptTurns
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

    gateway: Any = FunctionGateway(lambda _: "")

    actors = {role.name: make_actor(role, gateway, {"search": SEARCH}, stage.context) for role in roles}

    assert {name: type(actor) for name, actor in actors.items()} == {
        "thinker": DirectActor,
        "searcher": KeptTurns,
        "careful": KeptTurns,
        "forced": KeptTurns,
        "anna": HumanActor,
    }


def test_an_unknown_tool_is_named_with_the_nearest_one(stage: Stage):
    role = Role(name="searcher", role="Searcher", goal="Search.", tools=("serch",))

    gateway: Any = FunctionGateway(lambda _: "")

    with pytest.raises(NotFoundError, match="serch") as raised:
        make_actor(role, gateway, {"search": SEARCH}, stage.context)
    assert raised.value.hint == "did you mean `search`?"


def test_a_crew_of_thinkers_never_imports_crewai():
    code = """
import sys
from crewmix.agents.factory import make_actor
from crewmix.definitions.spec import Role
make_actor(Role(role="Thinker", goal="Think."), None, {}, None)
make_actor(Role(role="Anna", goal="Decide.", actor="human"), None, {}, None)
import threading
print([m for m in sys.modules if m.split(".")[0] in ("crewai", "autogen_core", "aiohttp", "rich")], len(threading.enumerate()))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert (done.stdout, done.stderr) == ("[] 1\n", "")
