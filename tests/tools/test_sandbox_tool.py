"""The tool `run_python`: asks first, runs in the sandbox, and says what happened."""

from __future__ import annotations

import pytest

from crewmix.definitions.project import Project
from crewmix.tools import sandbox
from crewmix.tools.base import Tool, ToolResult
from crewmix.tools.door import call
from crewmix.tools.people import People
from crewmix.tools.registry import load_tools
from crewmix.tools.sandbox import unavailable
from support.tool_session import Start

WORKS = pytest.mark.skipif(unavailable() is not None, reason=f"no sandbox: {unavailable()}")


@pytest.fixture
def run_python(tmp_path) -> Tool:
    return load_tools(("run_python",), Project(tmp_path))["run_python"]


async def allowed(*_) -> bool:
    return True


async def asked(start: Start, tool: Tool, **arguments: str) -> ToolResult:
    session = await start(people=People(approve=allowed))
    return await call(tool, arguments, session.context, name="run_python")


async def test_it_asks_for_consent_and_runs_nothing_without(start: Start, run_python: Tool) -> None:
    result = await call(run_python, {"program": "print(1)"}, (await start()).context, name="run_python")
    assert (result.ok, result.error) == (False, "denied") and run_python.risk == "exec"


@WORKS
async def test_it_returns_what_the_program_prints(start: Start, run_python: Tool) -> None:
    result = await asked(start, run_python, program="print(sum(map(int, input().split())))", stdin="1 2 3")
    assert (result.text, result.ok) == ("6", True)


@WORKS
async def test_a_crash_is_told_with_its_traceback(start: Start, run_python: Tool) -> None:
    result = await asked(start, run_python, program="print('so far')\n1 / 0")
    assert not result.ok and result.error == "failed"
    assert result.text.startswith("so far\n\nstderr:\n") and "ZeroDivisionError" in result.text
    assert result.text.endswith("The program ended with exit code 1.")


@WORKS
async def test_silence_and_limits_are_told(start: Start, run_python: Tool) -> None:
    assert (await asked(start, run_python, program="x = 1")).text == "The program printed nothing."
    flood = await asked(start, run_python, program="while True: print('x' * 10_000)")
    assert not flood.ok and flood.text.endswith("The program was stopped: it went over the limit of output.")
    assert flood.clipped


async def test_without_a_sandbox_it_says_why(start: Start, run_python: Tool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "_tried", lambda: "bubblewrap cannot be found")
    result = await asked(start, run_python, program="print(1)")
    assert not result.ok and "bubblewrap cannot be found" in result.text
