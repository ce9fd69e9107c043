"""crewAI at work in a fresh process: it prints nothing, connects nowhere, changes and leaves nothing behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

WORK = """
import asyncio, json, logging, os, signal, socket, sys, threading, warnings

before = dict(os.environ)
signals = {s: signal.getsignal(s) for s in signal.valid_signals()}
warn, filters, handlers, level = warnings.warn, list(warnings.filters), list(logging.root.handlers), logging.root.level
sockets = []
class Socket(socket.socket):
    def connect(self, address):
        sockets.append(str(address))
        return super().connect(address)
socket.socket = Socket
socket.getaddrinfo = lambda *a, **k: sockets.append(str(a)) or []

from pathlib import Path
from crewmix.agents.crewai_actor import CrewAIActor
from crewmix.definitions.spec import Role
from crewmix.errors import QuotaError
from crewmix.models.types import ModelReply
from crewmix.tools.base import Tool
from support.turns import FunctionGateway, asks, open_stage

async def broken(arguments, context):
    raise ValueError("the tool is broken")

def model(request):
    if request.brief.purpose == "guardrail":
        return ModelReply("", data={"valid": "good" in request.brief.drafts[0], "feedback": "not good"})
    if request.brief.round == 8:
        return asks(("search", "{}"))
    if request.brief.round == 9:
        raise QuotaError("no money")
    if request.tools and len(request.messages) < 4:
        return asks(("search", "{}"), ("search", "no json"), ("unknown", "{}"))
    return "good" if "not good" in request.messages[1].content else "bad"

async def main():
    stage = open_stage(Path("journal"))
    await stage.run.store.create_run("r1", "crew", "goal", {})
    role = Role(name="r", role="Analyst", goal="Find.", tools=("search",), guardrails=("Be good.",))
    tool = Tool("search", "Searches.", {"type": "object", "properties": {}}, broken)
    actor = CrewAIActor(role, FunctionGateway(model), (tool,), stage.context)
    from crewmix.models.types import Brief
    said = await actor.speak(stage.turn(role))
    looped = await actor.speak(stage.turn(role, Brief(question="?", round=8), round=8))
    failed = await actor.speak(stage.turn(role, Brief(question="?", round=9), round=9))
    stage.run.store.close()
    return said.text, looped.failure.code, failed.failure.code

outcome = asyncio.run(main())
Path("report.json").write_text(json.dumps({
    "outcome": outcome,
    "signals": [str(s) for s, h in signals.items() if signal.getsignal(s) is not h],
    "sockets": sockets,
    "warnings": warnings.warn is warn and warnings.filters == filters,
    "root_logger": logging.root.handlers == handlers and logging.root.level == level,
    "environment": sorted(k for k in os.environ if os.environ[k] != before.get(k)),
    "storage": os.environ["CREWAI_STORAGE_DIR"],
}))
"""


@pytest.fixture(scope="module")
def worked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str], dict[str, Any]]:
    """A process in a folder of its own that took two crewAI turns, and what it reports."""
    root = tmp_path_factory.mktemp("silence")
    for folder in ("home", "temp", "project"):
        (root / folder).mkdir()
    (root / "project" / ".env").write_text("OPENAI_API_KEY=from-dotenv\n")
    (root / "project" / "trained_agents_data.pkl").write_bytes(b"cposix\nsystem\n(S'touch hacked'\ntR.")
    (root / "project" / "work.py").write_text(WORK)
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("CREWAI", "OTEL", "XDG", "OPENAI", "TOKENIZERS"))}
    environment = {
        **kept,
        "HOME": str(root / "home"),
        "TMPDIR": str(root / "temp"),
        "PYTHONPATH": str(Path(__file__).parents[1]),
    }
    command = [sys.executable, "work.py"]
    done = subprocess.run(
        command, cwd=root / "project", env=environment, capture_output=True, text=True, check=False, timeout=100
    )
    report = root / "project" / "report.json"
    return root, done, json.loads(report.read_text()) if report.exists() else {}


def test_it_works_and_prints_nothing(worked: Any):
    _, done, report = worked

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert report["outcome"] == ["good", "tool_loop", "model_quota"]


def test_it_opens_no_connection_and_looks_up_no_name(worked: Any):
    assert worked[2]["sockets"] == []


def test_signals_warnings_and_the_root_logger_stay_as_they_were(worked: Any):
    report = worked[2]

    assert (report["signals"], report["warnings"], report["root_logger"]) == ([], True, True)


def test_the_environment_gets_only_crewais_own_switches_and_no_key_from_a_dotenv_file(worked: Any):
    foreign = [name for name in worked[2]["environment"] if not name.startswith("CREWAI_")]

    assert foreign in ([], ["TOKENIZERS_PARALLELISM"])


def test_nothing_is_left_in_the_home_and_temp_folders_and_no_pickle_is_loaded(worked: Any):
    root, _, report = worked

    assert list((root / "home").rglob("*")) == []
    assert list((root / "temp").rglob("*")) == []
    assert not Path(report["storage"]).exists()
    left = {p.relative_to(root / "project").as_posix() for p in (root / "project").rglob("*")}
    assert left == {".env", "trained_agents_data.pkl", "work.py", "report.json", "journal", "journal/crewmix.db"}
