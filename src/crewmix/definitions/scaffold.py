"""`crewmix init`: a small project that works at once, also without a key or a network."""

from __future__ import annotations

from pathlib import Path

from crewmix.definitions.spec_base import slug
from crewmix.definitions.write import header, write_project

_CREW = """\
# A crew of two: one role looks things up in docs/, the other one checks what it says.
# Try it:  crewmix run {name} "When is the garden open, and what does a plot cost?"
description: Answer a question from the documents in docs/, with citations.
roles: [finder, checker]
tasks: [answer]                 # a fixed plan; write `plan: {{max_tasks: 4}}` instead to let a planner split the goal
chat:
  pattern: round_robin          # finder, checker, finder, ...
  max_turns: 4
  stop_when: approved           # ... until the checker approves
knowledge: [docs/]
models:
  default: auto                 # a key from the environment, a local server, or the offline extractor
budget: {{calls: 30, seconds: 300}}   # reserved before each call, so never exceeded
"""

_FINDER = """\
# Who someone is. Field names are crewAI's; `crewmix schema` tells your editor all of them.
role: Finder
goal: Answer the question with facts from the documents, and say where each one stands.
backstory: >-
  You search before you answer. You quote figures and names exactly as they are written, and where the documents say
  nothing you say so instead of guessing.
tools: [knowledge_search, days_between]   # built in, and your own from tools/days_between.py
temperature: 0.2
"""

_CHECKER = """\
role: Checker
goal: Make sure that every part of the question is answered and every statement has its source.
backstory: >-
  You compare the answer with the question, part by part. You approve when nothing is missing and nothing is made up;
  otherwise you name what is wrong in one sentence each.
approves: true                  # every turn ends in a verdict
"""

_TASK = """\
# A piece of work. {goal} is what you ask for when you start a run.
description: "Answer from the documents: {goal}"
expected_output: A short answer of complete sentences, each with the place it was taken from.
roles: [finder, checker]
"""

_TOOL = '''\
"""A tool is a typed Python function with a docstring: the model reads both."""

from datetime import date

from crewmix import tool


@tool
def days_between(start: date, end: date) -> int:
    """Count the days from one date to another.

    Args:
        start: The first day, as YYYY-MM-DD.
        end: The last day, as YYYY-MM-DD.
    """
    return (end - start).days
'''

_DOCUMENT = """\
# The Mill Lane community garden

The garden is open every day from 7 am to 9 pm between March and October. From November to February it is open at weekends
only, from 9 am to 4 pm.

## Plots and fees

A full plot measures 40 square metres and costs 90 euros a year. A half plot costs 50 euros a year. The fee is due on
1 March; who pays later than 31 March loses the plot to the next name on the waiting list. Water is included in the fee.

## Rules

Only organic fertiliser may be used, and weed killer is forbidden. Each member works six hours a year on the paths and the
hedge. Dogs must stay on the lead. Bonfires are not allowed; garden waste goes to the compost heap behind the tool shed.

## Contact

The garden committee meets on the first Monday of each month at 6 pm in the tool shed. The key to the shed is kept by the
caretaker, Ms Okafor.
"""


def init_project(folder: Path, *, name: str) -> list[Path]:
    """Write a new project: a crew, two roles, a task, a tool and a document to ask about.

    Args:
        folder: Where; made when missing.
        name: What the crew is called; made into a valid name.

    Returns:
        The files written.

    Raises:
        UsageError: One of the files exists already, or the folder cannot be written; nothing is overwritten.
    """
    crew = slug(name)
    files = {
        f"crews/{crew}.yaml": header("crew") + _CREW.format(name=crew),
        "roles/finder.yaml": header("role") + _FINDER,
        "roles/checker.yaml": header("role") + _CHECKER,
        "tasks/answer.yaml": header("task") + _TASK,
        "tools/days_between.py": _TOOL,
        "docs/garden.md": _DOCUMENT,
    }
    return write_project(folder, files)
