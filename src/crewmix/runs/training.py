"""Fine-tuning data from runs: one example for each synthesis, in the `messages` format of the Chat Completions API."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from crewmix.definitions.project import Project
from crewmix.journal.redact import Redactor
from crewmix.result import DraftText, Merge, RunResult
from crewmix.runs.find import find_run
from crewmix.runs.places import Places
from crewmix.runs.recorded import recorded_result

Format = Literal["training", "chat"]


@dataclass(frozen=True, slots=True)
class Example:
    """How drafts became an answer once."""

    run_id: str
    crew: str
    task: str
    """The task's id; empty for the synthesis of the tasks' answers."""
    goal: str
    question: str
    """What the drafts answer: the task's description, or the goal."""
    drafts: tuple[DraftText, ...]
    critique: str
    method: str
    answer: str
    models: dict[str, str]
    """Model name of the crew -> the model that served."""

    def as_line(self, form: Format) -> dict[str, Any]:
        """The example as one line of JSON.

        `training` teaches a model to merge: question, drafts and critique -> answer, with everything it was made from in fields
        beside the `messages`. `chat` teaches a model to answer as the crew does: question -> answer, `messages` and nothing else.
        """
        asked = self.question if form == "chat" else self._with_drafts()
        messages = [{"role": "user", "content": asked}, {"role": "assistant", "content": self.answer}]
        if form == "chat":
            return {"messages": messages}
        drafts = [{"role": d.role, "model": d.model, "text": d.text} for d in self.drafts]
        return {"messages": messages, **asdict(self), "drafts": drafts}

    def _with_drafts(self) -> str:
        goal = [f"This is part of a larger goal: {self.goal}"] if self.goal not in self.question else []
        drafts = [f"Draft {number}:\n{draft.text}" for number, draft in enumerate(self.drafts, 1)]
        critique = [f"Critique of the drafts:\n{self.critique}"] if self.critique else []
        return "\n\n".join([self.question, *goal, *drafts, *critique])


def examples(result: RunResult) -> Iterator[Example]:
    """Every synthesis of a run that made an answer of several drafts."""
    models = {name: model for name, (model, _) in result.models.items()}

    def example(
        task: str, question: str, drafts: Sequence[DraftText], merge: Merge | None, answer: str
    ) -> Iterator[Example]:
        if merge is None or merge.method == "none" or not answer:
            return
        about = (result.run_id, result.crew, task, result.goal, question)
        yield Example(*about, tuple(drafts), merge.critique, merge.method, answer, models)

    for task in result.tasks:
        yield from example(task.id, task.description, task.drafts, task.merge, task.output)
    answered = [task for task in result.tasks if task.output]
    if len(answered) > 1:
        answers = [DraftText(task.id, task.id, task.output) for task in answered]
        yield from example("", result.goal, answers, result.merge, result.output)


def training_lines(project: Project, run_ids: Iterable[str], form: Format = "training") -> Iterator[str]:
    """The examples of runs as JSON Lines, each with its line break, without secrets and folders of this machine.

    A run that has no result, or in which nothing was merged, has no examples.

    Args:
        project: Where the runs' journal is.
        run_ids: Their ids.
        form: See `Example.as_line`.

    Raises:
        NotFoundError: There is no such run.
        StorageError: The journal, or the result of a run in it, cannot be read.
    """
    redactor, places = Redactor(), Places(project)
    for run_id in run_ids:
        result = recorded_result(find_run(project, run_id))
        for example in examples(result) if result is not None else ():
            yield json.dumps(redactor.data(places.away(example.as_line(form)))) + "\n"
