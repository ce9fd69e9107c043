"""`runs --prune`: what would be deleted, the question, and what was."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from crewmix.cli.output import say, say_json, warn
from crewmix.cli.text import count, one_line
from crewmix.definitions.names import nearest
from crewmix.errors import UsageError
from crewmix.journal.reading import DAMAGED
from crewmix.runs.prune import Prunable, prunable_runs, prune_runs

if TYPE_CHECKING:
    from crewmix.definitions.project import Project

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_STATUSES = ("done", "partial", "failed", "budget", "cancelled", "interrupted", "waiting", DAMAGED)


@dataclass(frozen=True, slots=True)
class Wish:
    """Which runs are to be deleted, and how."""

    keep: int | None
    older_than: str | None
    status: Sequence[str]
    dry_run: bool
    yes: bool
    as_json: bool

    @property
    def selects(self) -> bool:
        """Whether it says which runs."""
        return self.keep is not None or self.older_than is not None or bool(self.status)


def prune(project: Project, wish: Wish) -> int:
    """Delete the runs that were wished away, after asking.

    Raises:
        UsageError: It is not said which, an age or a status cannot be read, or nobody can be asked.
    """
    if not wish.selects:
        raise UsageError(
            "--prune does not say which runs", hint="e.g. `--keep 20`, `--older-than 30d` or `--status failed`"
        )
    unknown = [status for status in wish.status if status not in _STATUSES]
    if unknown:
        raise UsageError(f"there is no status {unknown[0]!r}", hint=nearest(unknown[0], _STATUSES))
    age = None if wish.older_than is None else read_age(wish.older_than)
    found = prunable_runs(project, keep=wish.keep or 0, older_than=age, status=wish.status)
    if wish.dry_run or not found:
        _tell(found, None, wish.as_json)
        return 0
    if not wish.yes and not _agreed(found):
        warn("Nothing was deleted.")
        return 1
    pruned = prune_runs(project, found)
    _tell(pruned.runs, pruned.freed, wish.as_json)
    return 0


def read_age(text: str) -> float:
    """`30d`, `12h`, `45m` as seconds.

    Raises:
        UsageError: It is no age.
    """
    found = re.fullmatch(r"(\d{1,9})([smhdw])", text.strip(), re.ASCII)
    if found is None:
        raise UsageError(f"--older-than {text!r} is no age", hint="e.g. 30d, 12h or 2w")
    return float(int(found[1]) * _SECONDS[found[2]])


def _agreed(found: Sequence[Prunable]) -> bool:
    """Whether the person at the terminal agrees.

    Raises:
        UsageError: There is nobody.
    """
    if not sys.stdin.isatty():
        raise UsageError("nobody can be asked whether to delete", hint="`--yes` deletes, `--dry-run` only shows")
    warn(_lines(found))
    warn(f"Delete {count(len(found), 'run')}, {_size(sum(run.size for run in found))}? [y/N]")
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def _tell(runs: Sequence[Prunable], freed: int | None, as_json: bool) -> None:
    if as_json:
        listed: list[dict[str, Any]] = [
            {"run_id": run.row.run_id, "status": run.row.status, "bytes": run.size} for run in runs
        ]
        say_json({"runs": listed, "deleted": freed is not None, "bytes_freed": freed or 0})
        return
    if not runs:
        say("There is no such run.")
        return
    say(_lines(runs))
    total = f"{count(len(runs), 'run')}, {_size(sum(run.size for run in runs))}"
    if freed is None:
        say(f"Would delete {total}.")
    else:
        say(f"Deleted {total}; the journal is {_size(freed)} smaller.")


def _lines(runs: Sequence[Prunable]) -> list[str]:
    return [
        f"{one_line(run.row.run_id)}  {one_line(run.row.status):11}  {_size(run.size):>9}"
        f"  {one_line(run.row.crew)}: {one_line(run.row.goal, 80)}"
        for run in runs
    ]


def _size(size: float) -> str:
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:,.0f} {unit}" if unit == "bytes" else f"{size:,.1f} {unit}"
        size /= 1000
    return f"{size:,.1f} GB"
