"""What one does with a run afterwards: list, show, resume."""

from __future__ import annotations

from crewmix.runs.find import find_run, list_runs, run_events
from crewmix.runs.resume import resume

__all__ = ["find_run", "list_runs", "resume", "run_events"]
