"""The walls of the sandbox: the bubblewrap command line. These arguments are the boundary; nothing else holds.

A program gets a user, process, network, IPC and host name space of its own, a read-only `/usr`, the Python of crewmix without
its packages, and a `/workspace` in memory. It gets no capability, no environment, no device but the harmless ones.
"""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

NOBODY = "65534"
WORKSPACE = "/workspace"
_STAGE = "/mnt"


@dataclass(frozen=True, slots=True)
class Limits:
    """What a program may use. Sizes in bytes."""

    seconds: float = 20.0
    """Wall time of the whole program."""
    cpu: int = 10
    """Seconds of processor time of each process."""
    memory: int = 1 << 30
    """Address space of each process, and memory of all of them together."""
    disk: int = 64 << 20
    """Each of `/workspace`, `/tmp` and `/dev/shm`; also the longest file."""
    processes: int = 64
    open_files: int = 256
    output: int = 200_000
    """Of stdout, and of stderr."""


@dataclass(frozen=True, slots=True)
class Programs:
    """The programs on this machine that make a sandbox, as absolute paths; empty where they are missing."""

    bwrap: str
    prlimit: str
    setpriv: str

    @classmethod
    def found(cls) -> Programs:
        """Those of the `PATH`."""
        return cls(*(shutil.which(name) or "" for name in ("bwrap", "prlimit", "setpriv")))


def python_program() -> str:
    """The Python that crewmix runs on, not that of its virtual environment. It has the same path inside."""
    base = Path(sys.base_prefix, "bin", f"python{sys.version_info[0]}.{sys.version_info[1]}")
    return str(base.resolve() if base.exists() else Path(sys.executable).resolve())


def _python_parts() -> tuple[str, ...]:
    """What of that Python is not in `/usr` anyway: the program and its library folder."""
    parts = (python_program(), str(Path(sys.base_prefix, "lib")))
    return tuple(part for part in parts if not part.startswith("/usr/"))


def _packages() -> str:
    """The folder of packages installed beside that Python, which programs are not to see; empty where there is none."""
    folder = sysconfig.get_path("purelib", vars={"base": sys.base_prefix, "platbase": sys.base_prefix})
    shown = folder.startswith(f"{Path(sys.base_prefix, 'lib')}/") and Path(folder).is_dir()
    return folder if shown else ""


def command(
    programs: Programs, limits: Limits, files: Mapping[str, int], *, seccomp: int, status: int, argv: Sequence[str]
) -> list[str]:
    """The command that runs `argv` inside.

    Args:
        programs: What makes the sandbox.
        limits: What the program may use.
        files: Path below the workspace -> descriptor of its content.
        seccomp: Descriptor of the seccomp filter.
        status: Descriptor to which bubblewrap writes how the program ended.
        argv: What to run.
    """
    # Root's own uid inside would be root's outside to the kernel's sysctl checks, so root becomes nobody first. Nobody
    # cannot look into root's home, so whatever of Python lies there is shown to it at another place before.
    as_root = os.geteuid() == 0
    parts = {part: f"{_STAGE}/{number}" if as_root else part for number, part in enumerate(_python_parts())}
    return [
        *(_stage(programs, parts) if as_root else ()),
        programs.bwrap,
        *("--unshare-all", "--unshare-user", "--disable-userns", "--die-with-parent", "--new-session", "--clearenv"),
        *("--cap-drop", "ALL", "--uid", NOBODY, "--gid", NOBODY, "--hostname", "sandbox"),
        *_system(),
        *("--proc", "/proc", "--ro-bind", "/proc/sys", "/proc/sys", "--dev", "/dev"),
        *_in_memory(("/tmp", "/dev/shm", WORKSPACE), limits.disk),
        *_python(parts),
        *(arg for path, content in files.items() for arg in ("--file", str(content), f"{WORKSPACE}/{path}")),
        *("--remount-ro", "/", "--chdir", WORKSPACE),
        *("--setenv", "PATH", "/usr/local/bin:/usr/bin:/bin", "--setenv", "HOME", WORKSPACE),
        *("--setenv", "LANG", "C.UTF-8", "--setenv", "PYTHONDONTWRITEBYTECODE", "1"),
        *("--seccomp", str(seccomp), "--json-status-fd", str(status), "--"),
        *_limited(programs, limits),
        *argv,
    ]


def _stage(programs: Programs, parts: Mapping[str, str]) -> list[str]:
    binds = [arg for part, place in parts.items() for arg in ("--ro-bind", part, place)]
    # A process name space of its own, since root's death signal does not reach nobody's processes.
    return [
        *(programs.bwrap, "--die-with-parent", "--unshare-pid", "--dev-bind", "/", "/"),
        *("--tmpfs", _STAGE, *binds, "--"),
        *(programs.setpriv, "--reuid", NOBODY, "--regid", NOBODY, "--clear-groups", "--"),
    ]


def _system() -> list[str]:
    args = ["--ro-bind", "/usr", "/usr"]
    for name in ("/bin", "/lib", "/lib64", "/sbin"):
        if Path(name).is_symlink():
            args += ["--symlink", os.readlink(name), name]
        elif Path(name).is_dir():
            args += ["--ro-bind", name, name]
    for name in ("/etc/ld.so.cache", "/etc/alternatives", "/etc/localtime"):
        args += ["--ro-bind-try", name, name]
    return args


def _in_memory(folders: Sequence[str], size: int) -> list[str]:
    return [arg for folder in folders for arg in ("--size", str(size), "--tmpfs", folder)]


def _python(parts: Mapping[str, str]) -> list[str]:
    args = [arg for part, place in parts.items() for arg in ("--ro-bind", place, part)]
    return [*args, "--tmpfs", packages, "--remount-ro", packages] if (packages := _packages()) else args


def _limited(programs: Programs, limits: Limits) -> list[str]:
    # Set inside, where the new user namespace counts processes by itself; outside, root would not be limited at all.
    return [
        programs.prlimit,
        f"--cpu={limits.cpu}:{limits.cpu + 1}",
        f"--as={limits.memory}",
        f"--fsize={limits.disk}",
        f"--nproc={limits.processes}",
        f"--nofile={limits.open_files}",
        "--core=0",
        "--",
    ]
