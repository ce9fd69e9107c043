"""What one does with a run afterwards: list, show, resume, answer, replay, fork, compare, export, import, prune."""

from __future__ import annotations

from crewmix.runs.costs import run_costs
from crewmix.runs.diff import diff
from crewmix.runs.export import export_run
from crewmix.runs.find import find_run, list_runs, run_events
from crewmix.runs.fork import fork
from crewmix.runs.importing import import_run
from crewmix.runs.prune import prunable_runs, prune_runs
from crewmix.runs.replay import replay
from crewmix.runs.resume import resume
from crewmix.runs.training import training_lines
from crewmix.runs.waiting import answer, open_questions

__all__ = [
    "answer",
    "diff",
    "export_run",
    "find_run",
    "fork",
    "import_run",
    "list_runs",
    "open_questions",
    "prunable_runs",
    "prune_runs",
    "replay",
    "resume",
    "run_costs",
    "run_events",
    "training_lines",
]
