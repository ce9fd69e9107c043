"""crewmix beside what a program does with its threads and processes: it ends, it forks, its models raise what they like."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from crewmix import Crew, Role
from crewmix.errors import RunError, UsageError
from crewmix.models.types import ModelReply, Usage
from support.command import environment
from support.provider import Fault, Provider

ENDS = """
import sys, threading
from crewmix import Crew, Role
threading.excepthook = lambda failure: None  # the thread of this script, which nobody waits for
asked = threading.Event()

class Silent:
    async def complete(self, request, on_delta=None):
        import asyncio
        asked.set()
        await asyncio.Event().wait()

role = Role(name="a", role="A", goal="g", actor="crewai")
crew = Crew(roles=[role], plan="none", models={"default": Silent()}, project=".")
threading.Thread(target=lambda: crew.run("go"), daemon=True).start()
asked.wait()
"""


def crew(model: object, folder: Path) -> Crew:
    role = Role(name="a", role="A", goal="g")
    return Crew(roles=[role], plan="none", models={"default": model}, project=folder)


def test_a_process_ends_although_a_crewai_turn_waits_for_its_model(tmp_path):
    command = [sys.executable, "-c", ENDS]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_process_is_told_why_it_cannot_run_and_the_first_one_goes_on(tmp_path):
    with Provider("fine") as provider:
        known = crew(provider.model, tmp_path)
        known.run("Why?")
        if (child := os.fork()) == 0:
            code = 1
            try:
                known.run("Why?")
            except UsageError as error:
                code = 0 if "spawn" in str(error.hint) else 2
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert known.run("Why?").output == "fine"


class Odd:
    """A model that does as it is told."""

    def __init__(self, outcome: object) -> None:
        self.outcome = outcome

    async def complete(self, request, on_delta=None):
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return self.outcome


@pytest.mark.parametrize(
    ("outcome", "said"),
    [
        (SystemExit(3), "SystemExit: 3"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
        (asyncio.CancelledError(), "CancelledError"),
        (ModelReply(None), "`text` of its reply is of type NoneType"),  # pyright: ignore[reportArgumentType]
        (ModelReply("x", cost=0.5), "`cost` of its reply is of type float"),  # pyright: ignore[reportArgumentType]
        (ModelReply("x", tool_calls=("x",)), "`tool_calls`"),  # pyright: ignore[reportArgumentType]
        (ModelReply("x", usage=Usage(-5, 0)), "less than nothing"),
    ],
)
def test_whatever_a_python_model_does_is_its_own_failure(outcome, said, tmp_path):
    with pytest.raises(RunError, match="python/Odd failed") as failed:
        crew(Odd(outcome), tmp_path).run("Why?")
    assert said in failed.value.message


def test_half_a_character_from_a_python_model_does_not_end_the_run(tmp_path):
    assert crew(Odd(ModelReply("x\udc80")), tmp_path).run("Why?").output == "x?"


async def test_a_run_that_is_cancelled_before_it_began_is_over_at_once(tmp_path, recwarn):
    with Provider(Fault("hang")) as provider:
        run = asyncio.create_task(crew(provider.model, tmp_path).arun("Why?"))
        await asyncio.sleep(0)
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
        assert provider.bodies == []
    assert [str(w.message) for w in recwarn] == []


def test_a_blocking_run_on_crewmixs_own_loop_is_refused(tmp_path):
    class Nested(Odd):
        async def complete(self, request, on_delta=None):
            return crew(Odd(ModelReply("x")), tmp_path).run("Why?")

    with pytest.raises(UsageError, match="blocking call"):
        crew(Nested(None), tmp_path).run("Why?")
