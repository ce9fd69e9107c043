"""What a hostile program can do in the sandbox: nothing to this machine, and never for long."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crewmix.errors import SandboxUnavailableError, UsageError
from crewmix.tools import sandbox
from crewmix.tools.sandbox import python_argv, require_sandbox, run_program, unavailable
from crewmix.tools.sandbox_seccomp import ARCHITECTURES, seccomp_filter
from crewmix.tools.sandbox_walls import Limits, Programs

WORKS = pytest.mark.skipif(unavailable() is not None, reason=f"no sandbox: {unavailable()}")
TRY = """
import ctypes, json, os, socket, sys
def tried(act):
    try:
        return repr(act())
    except OSError as error:
        return error.strerror or str(error)
"""


async def ask(program: str, **limits: float) -> sandbox.Ran:
    source = TRY + textwrap.dedent(program)
    return await run_program(python_argv("p.py"), files={"p.py": source}, limits=Limits(**limits))  # type: ignore[arg-type]


async def told(expression: str, before: str = "") -> object:
    ran = await ask(f"{textwrap.dedent(before)}\nprint(json.dumps({expression}))")
    assert ran.code == 0, ran.stderr
    return json.loads(ran.stdout)


@WORKS
async def test_a_program_gets_its_files_and_input_and_gives_its_output_and_code() -> None:
    program = (
        "import sys\nprint(sys.stdin.read() + open('in/data.txt').read())\nprint('oops', file=sys.stderr)\nsys.exit(3)"
    )
    ran = await run_program(python_argv("p.py"), files={"p.py": program, "in/data.txt": "wörld"}, stdin=b"hello ")
    assert (ran.stdout, ran.stderr, ran.code) == ("hello wörld\n", "oops\n", 3)
    assert (ran.stopped_by, ran.clipped) == (None, False)


@WORKS
async def test_large_input_and_files_arrive_whole() -> None:
    big = "x" * 3_000_000
    ran = await run_program(
        python_argv("-c", "import sys; print(len(sys.stdin.read()), len(open('big').read()))"),
        files={"big": big},
        stdin=big.encode(),
    )
    assert ran.stdout == "3000000 3000000\n"


@WORKS
async def test_it_is_the_python_of_crewmix_without_packages() -> None:
    assert await told("list(sys.version_info[:3])") == list(sys.version_info[:3])
    ran = await ask("import pydantic")
    assert "No module named 'pydantic'" in ran.stderr
    seen = await told(
        "[p for f in found if os.path.isdir(f) for p in os.listdir(f) if p.endswith('.dist-info')]",
        "found = [os.path.join(p, 'site-packages') for p in sys.path]",
    )
    assert seen == []


@WORKS
async def test_a_command_that_does_not_exist_is_the_programs_failure() -> None:
    ran = await run_program(["/usr/bin/no-such-program"])
    assert ran.code == 127 and "No such file" in ran.stderr


@WORKS
@pytest.mark.parametrize(
    "path",
    ["/etc/passwd", "/etc/shadow", "/home", "/var", str(Path(__file__)), str(Path.home() / ".ssh")],
)
async def test_files_of_this_machine_cannot_be_read(path: str) -> None:
    assert await told(f"tried(lambda: (os.listdir if os.path.isdir({path!r}) else open)({path!r}))") in (
        "No such file or directory",
        "Permission denied",
        "[]",
    )


@WORKS
async def test_it_sees_only_its_own_processes_and_no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sesame-open")
    assert await told("sorted(os.environ)") == ["HOME", "LANG", "PATH", "PWD", "PYTHONDONTWRITEBYTECODE"]
    assert await told("open('/proc/1/environ').read()") in ("", "PWD=/\0")
    assert await told("len([p for p in os.listdir('/proc') if p.isdigit()])") == 2
    assert await told("sorted(int(f) for f in os.listdir('/proc/self/fd'))[:-1]") == [0, 1, 2]
    assert await told("[os.getuid(), os.getgid(), os.uname().nodename]") == [65534, 65534, "sandbox"]


@WORKS
async def test_there_is_no_network() -> None:
    with contextlib.closing(__import__("socket").create_server(("127.0.0.1", 0))) as server:
        port = server.getsockname()[1]
        connect = f"tried(lambda: socket.create_connection(('127.0.0.1', {port}), 2))"
        assert await told(connect) == "Connection refused"
    assert await told("tried(lambda: socket.create_connection(('192.0.2.1', 80), 2))") == "Network is unreachable"
    assert await told("[name for _, name in socket.if_nameindex()]") == ["lo"]


@WORKS
@pytest.mark.parametrize("path", ["/usr/x", "/x", "/etc/x", "/bin/x", "/sys/x", "/home/x", "/proc/x", "/dev/x"])
async def test_nothing_outside_memory_can_be_written(path: str) -> None:
    answer = await told(f"tried(lambda: open({path!r}, 'w'))")
    if path == "/dev/x":
        assert not Path(path).exists()
    else:
        assert answer in ("Read-only file system", "No such file or directory", "Permission denied")


@WORKS
@pytest.mark.parametrize("name", ["kernel/core_pattern", "kernel/modprobe", "vm/drop_caches", "kernel/sysrq"])
async def test_the_kernels_settings_cannot_be_written_even_when_root_runs_crewmix(name: str) -> None:
    answer = await told(f"tried(lambda: open('/proc/sys/{name}', 'w'))")
    assert answer in ("Read-only file system", "Permission denied", "No such file or directory")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root could do so")
@WORKS
async def test_root_becomes_nobody_also_outside() -> None:
    program = "import sys\nprint('up', flush=True)\nsys.stdin.read()"
    work = asyncio.create_task(run_program(python_argv("-c", program + "\nwhile True: pass"), stdin=b""))
    try:
        while True:
            owners = [
                entry.stat().st_uid
                for entry in Path("/proc").glob("[0-9]*")
                if _reads(entry / "cmdline").split(b"\0")[0] == python_argv()[0].encode()
                and b"sys.stdin.read()\nwhile True" in _reads(entry / "cmdline")
            ]
            if owners:
                break
            await asyncio.wait({work}, timeout=0.02)
            assert not work.done()
        assert set(owners) == {65534}
    finally:
        work.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await work


def _reads(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


@WORKS
@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("ptrace", 101),
        ("mount", 165),
        ("unshare", 272),
        ("keyctl", 250),
        ("bpf", 321),
        ("io_uring_setup", 425),
        ("setns", 308),
    ],
)
@pytest.mark.skipif(os.uname().machine != "x86_64", reason="numbers of x86_64")
async def test_dangerous_system_calls_are_refused(name: str, number: int) -> None:
    libc = "libc = ctypes.CDLL(None, use_errno=True)"
    assert await told(f"[libc.syscall({number}, 0, 0, 0, 0, 0), os.strerror(ctypes.get_errno())]", libc) == [
        -1,
        "Operation not permitted",
    ]
    assert await told("tried(lambda: os.setuid(0))") in ("Operation not permitted", "Invalid argument")


@WORKS
async def test_a_new_user_namespace_is_refused() -> None:
    ran = await run_program(["/usr/bin/unshare", "--user", "true"])
    assert ran.code != 0


@WORKS
async def test_processes_are_limited_inside() -> None:
    program = """
        import time
        n = 0
        try:
            while n < 500:
                if os.fork() == 0:
                    time.sleep(60)
                n += 1
        except OSError as error:
            print(n, error.strerror, flush=True)
        os._exit(0)
    """
    ran = await ask(program)
    count, reason = ran.stdout.split(" ", 1)
    assert 20 < int(count) < 70 and "temporarily unavailable" in reason


@WORKS
async def test_memory_of_one_process_is_limited() -> None:
    ran = await ask("x = bytearray(2 << 30)")
    assert "MemoryError" in ran.stderr and ran.stopped_by is None


@WORKS
async def test_memory_of_all_processes_together_is_limited() -> None:
    program = """
        import time
        for _ in range(8):
            if os.fork() == 0:
                held = bytearray(os.urandom(1) * (60 << 20))
                time.sleep(60)
        time.sleep(60)
    """
    ran = await ask(program, memory=200 << 20, seconds=30)
    assert (ran.stopped_by, ran.code) == ("memory", 137)


@WORKS
@pytest.mark.parametrize("folder", ["/workspace", "/tmp", "/dev/shm"])
async def test_disk_is_limited_and_in_memory(folder: str) -> None:
    program = f"""
        parts = 0
        def fill():
            global parts
            while parts < 100:
                with open(f'{folder}/{{parts}}', 'wb') as file:
                    file.write(b'x' * (1 << 20))
                parts += 1
        print(json.dumps([tried(fill), parts]))
    """
    ran = await ask(program, disk=8 << 20)
    problem, parts = json.loads(ran.stdout)
    assert problem == "No space left on device" and parts <= 8


@WORKS
async def test_time_is_limited() -> None:
    ran = await ask(
        "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('up', flush=True)\ntime.sleep(60)",
        seconds=0.5,
    )
    assert (ran.stopped_by, ran.code, ran.stdout) == ("time", 137, "up\n")


@WORKS
async def test_processor_time_is_limited() -> None:
    ran = await ask("while True: pass", cpu=1)
    assert ran.stopped_by == "cpu"


@WORKS
async def test_output_is_limited() -> None:
    ran = await ask("while True: print('x' * 1000)", output=5000)
    assert (ran.stopped_by, ran.clipped, len(ran.stdout)) == ("output", True, 5000)


@WORKS
async def test_output_of_exactly_the_limit_is_whole() -> None:
    ran = await ask("print('x' * 4999)", output=5000)
    assert (ran.stopped_by, ran.clipped, len(ran.stdout)) == (None, False, 5000)


def marked(mark: str) -> list[str]:
    """The processes of this machine whose command holds a mark, this one's children included."""
    return [p.parent.name for p in Path("/proc").glob("[0-9]*/cmdline") if mark.encode() in _reads(p)]


async def gone(mark: str) -> None:
    """Wait until no process holds the mark."""
    async with asyncio.timeout(5):
        while marked(mark):
            await asyncio.sleep(0)


@WORKS
async def test_daemons_die_with_the_program() -> None:
    mark = "daemon-of-a-test-4711"
    program = f"""
        import subprocess
        subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(90)', '{mark}'], start_new_session=True)
        print('started')
    """
    assert (await ask(program)).stdout == "started\n"
    await gone(mark)


@WORKS
async def test_cancelling_kills_everything() -> None:
    mark = "cancelled-in-a-test-4712"
    work = asyncio.create_task(run_program(python_argv("-c", "import time; time.sleep(90)", mark)))
    while not any(_reads(Path("/proc", pid, "cmdline")).startswith(python_argv()[0].encode()) for pid in marked(mark)):
        await asyncio.wait({work}, timeout=0.02)
        assert not work.done()
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    await gone(mark)


@WORKS
async def test_everything_dies_when_crewmix_is_killed() -> None:
    mark = "orphan-of-a-test-4713"
    code = f"""
import asyncio
from crewmix.tools.sandbox import python_argv, run_program
asyncio.run(run_program(python_argv("-c", "import time; time.sleep(90)", "{mark}")))
"""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code)
    while not any(_reads(Path("/proc", pid, "cmdline")).startswith(python_argv()[0].encode()) for pid in marked(mark)):
        await asyncio.sleep(0.02)
        assert process.returncode is None
    process.kill()
    await process.wait()
    await gone(mark)


@WORKS
async def test_no_more_programs_run_at_once_than_there_are_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    at_work = most = 0
    real = sandbox._Program.finish  # pyright: ignore[reportPrivateUsage]

    async def counted(self: object, stdin: bytes) -> sandbox.Ran:
        nonlocal at_work, most
        at_work += 1
        most = max(most, at_work)
        try:
            return await real(self, stdin)  # type: ignore[arg-type]
        finally:
            at_work -= 1

    monkeypatch.setattr(sandbox._Program, "finish", counted)  # pyright: ignore[reportPrivateUsage]
    all_ran = await asyncio.gather(*(run_program(python_argv("-c", f"print({n})")) for n in range(10)))
    assert [ran.stdout for ran in all_ran] == [f"{n}\n" for n in range(10)]
    assert 1 <= most <= (os.cpu_count() or 1)


@WORKS
@pytest.mark.parametrize("path", ["/etc/x", "../x", "a/../../x", "", "a//b", "."])
async def test_files_outside_the_workspace_are_refused(path: str) -> None:
    with pytest.raises(UsageError, match="inside the workspace"):
        await run_program(python_argv("-c", ""), files={path: "x"})


def test_without_bubblewrap_nothing_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Programs, "found", classmethod(lambda cls: cls("", "", "")))
    sandbox._tried.cache_clear()  # pyright: ignore[reportPrivateUsage]
    try:
        with pytest.raises(SandboxUnavailableError, match="bubblewrap") as caught:
            asyncio.run(run_program(["/bin/echo", "hello"]))
        assert caught.value.code == "sandbox" and "apt-get install bubblewrap" in (caught.value.hint or "")
        with pytest.raises(SandboxUnavailableError):
            require_sandbox()
    finally:
        sandbox._tried.cache_clear()  # pyright: ignore[reportPrivateUsage]


def test_a_bubblewrap_that_fails_is_no_sandbox(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "bwrap"
    broken.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
    broken.chmod(0o755)
    real = Programs.found()
    monkeypatch.setattr(Programs, "found", classmethod(lambda cls: cls(str(broken), real.prlimit, real.setpriv)))
    sandbox._tried.cache_clear()  # pyright: ignore[reportPrivateUsage]
    try:
        if real.prlimit and real.setpriv:
            assert unavailable() == "bwrap: No permissions to create new namespace"
    finally:
        sandbox._tried.cache_clear()  # pyright: ignore[reportPrivateUsage]


@WORKS
async def test_a_sandbox_that_breaks_later_is_an_error_and_no_result(monkeypatch: pytest.MonkeyPatch) -> None:
    assert unavailable() is None
    real = Programs.found()
    monkeypatch.setattr(Programs, "found", classmethod(lambda cls: cls("/bin/false", real.prlimit, real.setpriv)))
    with pytest.raises(SandboxUnavailableError, match="could not be made"):
        await run_program(python_argv("-c", "print(1)"))


def run_filter(program: bytes, architecture: int, number: int) -> int:
    """What a seccomp filter decides, by the rules of classic BPF."""
    place, value = 0, 0
    while True:
        code = int.from_bytes(program[place * 8 : place * 8 + 2], sys.byteorder)
        true, false = program[place * 8 + 2], program[place * 8 + 3]
        constant = int.from_bytes(program[place * 8 + 4 : place * 8 + 8], sys.byteorder)
        place += 1
        match code:
            case 0x20:
                value = {0: number, 4: architecture}[constant]
            case 0x15:
                place += true if value == constant else false
            case 0x35:
                place += true if value >= constant else false
            case 0x06:
                return constant
            case _:
                raise AssertionError(code)


@pytest.mark.parametrize("machine", ARCHITECTURES)
@given(number=st.integers(0, 2**32 - 1) | st.integers(0, 500))
def test_the_filter_decides_every_call(machine: str, number: int) -> None:
    refused = {"x86_64": {101, 165, 272, 308, 321, 425}, "aarch64": {117, 40, 97, 268, 280, 425}}[machine]
    allowed = {"x86_64": {0, 1, 2, 59, 231, 257}, "aarch64": {63, 64, 56, 221, 94}}[machine]
    architecture, program = ARCHITECTURES[machine], seccomp_filter(machine)
    verdict = run_filter(program, architecture, number)
    assert verdict in (0x7FFF0000, 0x00050001)
    assert number not in allowed or verdict == 0x7FFF0000
    assert number not in refused or verdict == 0x00050001
    assert machine != "x86_64" or number < 0x40000000 or verdict == 0x00050001
    other = next(value for value in ARCHITECTURES.values() if value != architecture)
    assert run_filter(program, other, number) == 0x80000000


def test_asking_for_the_sandbox_imports_no_framework() -> None:
    code = "import sys, crewmix.tools.sandbox; sys.exit(bool({'crewai', 'autogen_core', 'aiohttp'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
