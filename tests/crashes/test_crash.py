"""A run that was killed goes on in another process, and pays for no answered call again."""

import asyncio
import json
import os
import signal
import subprocess
import threading
from pathlib import Path

import pytest

from support.command import crewmix
from support.provider import Provider, Reply
from support.trio import project, start


def finished(folder: Path, *arguments: str) -> dict:
    return json.loads(crewmix(*arguments, "--json", cwd=folder).stdout.splitlines()[-1])


def kill(child: subprocess.Popen) -> None:
    os.kill(child.pid, signal.SIGKILL)
    child.communicate()


class Gate:
    """Answers every request but the n-th, which it holds back for ever."""

    def __init__(self, held: int) -> None:
        self.held = held
        self.count = 0
        self.reached = threading.Event()

    async def __call__(self, body):
        self.count += 1
        if self.count == self.held:
            self.reached.set()
            await asyncio.Event().wait()
        said = " ".join(str(m["content"]) for m in body["messages"])
        if body.get("tools") and not any(m["role"] == "tool" for m in body["messages"]):
            return Reply(tool_calls=[("note", {"text": "once"})])
        return Reply(text=f"answer {len(said)}")


def outputs(result: dict) -> tuple:
    result = result.get("result", result)
    return result["output"], [(m["role"], m["text"]) for t in result["tasks"] for m in t["messages"]]


@pytest.mark.parametrize("held", [1, 2, 3, 4])
def test_a_killed_run_is_finished_by_resume_without_paying_twice(held, tmp_path):
    with Provider(Gate(0)) as provider:
        whole = finished(project(tmp_path / "whole", provider.url), "run", "trio", "Why?")
        calls = provider.calls
    gate = Gate(held)
    with Provider(gate) as provider:
        folder = project(tmp_path / "killed", provider.url)
        child = start(folder, "run", "trio", "Why?")
        assert gate.reached.wait(60)
        kill(child)
        provider.wait_until(lambda p: p.in_flight == 0)
        resumed = finished(folder, "resume", "last")
        assert outputs(resumed) == outputs(whole)
        assert provider.calls == calls == 4, "each call was answered once"
        assert len(provider.bodies) == calls + 1, "only the call in flight was made again"


def test_a_tool_with_side_effects_runs_once_although_the_run_was_killed(tmp_path):
    gate = Gate(3)
    with Provider(gate) as provider:
        folder = project(tmp_path / "p", provider.url, tools="tools: [note]\n")
        child = start(folder, "run", "trio", "Why?", "--yes")
        assert gate.reached.wait(60)
        kill(child)
        provider.wait_until(lambda p: p.in_flight == 0)
        finished(folder, "resume", "last", "--yes")
        assert (folder / "tools" / "notes.txt").read_text() == "once\n"


def test_ctrl_c_stops_the_run_and_leaves_it_resumable(tmp_path):
    gate = Gate(2)
    with Provider(gate) as provider:
        folder = project(tmp_path / "p", provider.url)
        child = start(folder, "run", "trio", "Why?")
        assert gate.reached.wait(60)
        child.send_signal(signal.SIGINT)
        _, shown = child.communicate(timeout=30)
        assert child.returncode == 130
        assert "crewmix resume" in shown and "Traceback" not in shown
        provider.wait_until(lambda p: p.in_flight == 0)
        assert provider.disconnects == 1 and len(provider.bodies) == 2
        finished(folder, "resume", "last")
        assert provider.calls == 4


SLOW = '''
from pathlib import Path
from crewmix import tool

HERE = Path(__file__).parent

@tool(risk="write")
def note(text: str) -> str:
    """Write a line into the notebook."""
    with (HERE / "notes.txt").open("a") as book:
        book.write(text + chr(10))
    if (HERE / "told").exists():
        (HERE / "told").write_text("at work")
        (HERE / "hold").read_text()
    return "written"
'''


def test_a_tool_that_was_at_work_when_the_process_died_runs_again_and_the_run_says_so(tmp_path):
    with Provider(Gate(0)) as provider:
        folder = project(tmp_path / "p", provider.url, tools="tools: [note]\n")
        tools = folder / "tools"
        (tools / "note.py").write_text(SLOW)
        os.mkfifo(tools / "told")
        os.mkfifo(tools / "hold")
        child = start(folder, "run", "trio", "Why?", "--yes")
        assert (tools / "told").read_text() == "at work"
        kill(child)
        (tools / "told").unlink()
        resumed = finished(folder, "resume", "last", "--yes")
        assert (tools / "notes.txt").read_text() == "once\nonce\n"
        assert any("note" in warning and "runs again" in warning for warning in resumed["warnings"])
