"""The system calls that a program in the sandbox may not make, as a seccomp filter.

The filter is classic BPF, written by hand so that no library is needed: see seccomp(2) and linux/filter.h. Calls that are
refused give EPERM; a foreign architecture, by which numbers could mean other calls, ends the process.
"""

from __future__ import annotations

import platform
import struct

_REFUSED: dict[str, tuple[int, int]] = {
    # name: number on x86_64, on aarch64
    "acct": (163, 89),
    "add_key": (248, 217),
    "bpf": (321, 280),
    "delete_module": (176, 106),
    "finit_module": (313, 273),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fsopen": (430, 430),
    "init_module": (175, 105),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "io_uring_setup": (425, 425),
    "kexec_file_load": (320, 294),
    "kexec_load": (246, 104),
    "keyctl": (250, 219),
    "mount": (165, 40),
    "mount_setattr": (442, 442),
    "move_mount": (429, 429),
    "open_by_handle_at": (304, 265),
    "open_tree": (428, 428),
    "perf_event_open": (298, 241),
    "personality": (135, 92),
    "pivot_root": (155, 41),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "ptrace": (101, 117),
    "quotactl": (179, 60),
    "reboot": (169, 142),
    "request_key": (249, 218),
    "setns": (308, 268),
    "swapoff": (168, 225),
    "swapon": (167, 224),
    "syslog": (103, 116),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "userfaultfd": (323, 282),
}
ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
"""The machines there is a filter for, and their AUDIT_ARCH numbers."""

_LOAD, _JUMP_EQUAL, _JUMP_AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_NUMBER_AT, _ARCHITECTURE_AT = 0, 4
_ALLOW, _REFUSE, _KILL = 0x7FFF0000, 0x00050001, 0x80000000
_X32 = 0x40000000


def seccomp_filter(machine: str = platform.machine()) -> bytes:
    """The filter as `bwrap --seccomp` reads it.

    Raises:
        KeyError: There is no filter for this machine; `ARCHITECTURES` lists those there are.
    """
    architecture = ARCHITECTURES[machine]
    column = list(ARCHITECTURES).index(machine)
    checks = [(_JUMP_EQUAL, numbers[column]) for numbers in _REFUSED.values()]
    if machine == "x86_64":
        checks.append((_JUMP_AT_LEAST, _X32))
    program = [
        (_LOAD, 0, 0, _ARCHITECTURE_AT),
        (_JUMP_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER_AT),
        *((code, len(checks) - place, 0, number) for place, (code, number) in enumerate(checks)),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _REFUSE),
    ]
    return b"".join(struct.pack("HBBI", *instruction) for instruction in program)
