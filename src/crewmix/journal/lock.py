"""Which runs are being worked: each holds a lock file, which its process's death releases."""

from __future__ import annotations

from pathlib import Path

from filelock import FileLock, Timeout

from crewmix.errors import FencedError

PATIENCE = 0.3
"""Seconds to wait for a lock that somebody holds for a moment only, to see whether the run is worked."""

GLANCE = 0.02
"""Seconds after which a lock that is still held says that the run is worked."""


def lock_run(state: Path, run_id: str) -> FileLock:
    """Take a run for this process; release it when the run is over. May block for `PATIENCE`.

    Args:
        state: The project's `.crewmix` folder.
        run_id: The run.

    Raises:
        FencedError: Another process, or another run of this one, works on it.
        OSError: The folder cannot be written.
    """
    lock = _lock(state, run_id)
    Path(lock.lock_file).parent.mkdir(parents=True, exist_ok=True)
    try:
        lock.acquire(timeout=PATIENCE, poll_interval=PATIENCE / 30)
    except Timeout:
        hint = "wait until it ends, or end that process: a run whose process is gone can be resumed at once"
        raise FencedError(f"run {run_id} is being worked by another process", hint=hint) from None
    return lock


def release_run(lock: FileLock) -> None:
    """Let others take the run, and leave no file behind."""
    Path(lock.lock_file).unlink(missing_ok=True)
    lock.release()


def is_worked(state: Path, run_id: str) -> bool:
    """Whether a process works on the run right now, also one that is stopped (Ctrl-Z)."""
    lock = _lock(state, run_id)
    if not Path(lock.lock_file).exists():
        return False
    try:
        with lock.acquire(timeout=GLANCE, poll_interval=GLANCE / 4):
            return False
    except Timeout:
        return True


def _lock(state: Path, run_id: str) -> FileLock:
    return FileLock(state / "locks" / f"{run_id}.lock", thread_local=False)
