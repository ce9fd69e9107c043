"""Which runs are being worked: each holds a lock file, which its process's death releases."""

from __future__ import annotations

from pathlib import Path

from filelock import FileLock, Timeout

from crewmix.errors import FencedError


def lock_run(state: Path, run_id: str) -> FileLock:
    """Take a run for this process; release it when the run is over.

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
        lock.acquire()
    except Timeout:
        raise FencedError(f"run {run_id} is being worked by another process", hint="wait until it ends") from None
    return lock


def release_run(lock: FileLock) -> None:
    """Let others take the run, and leave no file behind."""
    Path(lock.lock_file).unlink(missing_ok=True)
    lock.release()


def is_worked(state: Path, run_id: str) -> bool:
    """Whether a process works on the run right now."""
    lock = _lock(state, run_id)
    if not Path(lock.lock_file).exists():
        return False
    try:
        with lock:
            return False
    except Timeout:
        return True


def _lock(state: Path, run_id: str) -> FileLock:
    return FileLock(state / "locks" / f"{run_id}.lock", timeout=0, thread_local=False)
