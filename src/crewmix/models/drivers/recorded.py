"""A model that answers what a recorded run was answered: `replay/RUN`."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from crewmix.definitions.project import Project
from crewmix.errors import NotFoundError, ReplayMissError
from crewmix.journal.nearest import first_difference, likeness
from crewmix.journal.open import open_store
from crewmix.journal.redact import Redactor
from crewmix.journal.run import canonical
from crewmix.journal.store import SqliteStore
from crewmix.models import structured
from crewmix.models.types import ModelReply, ModelRequest, OnDelta

_CONTENT = ("messages", "tools", "schema", "stop", "sample")
_SETTINGS = ("temperature", "max_output_tokens", "seed", "schema_name")


class RecordedModel:
    """Answers any request of any run that a recorded run asked with the same content, whatever its models were called.

    Where the recorded run asked the same several times, the role that asked, the settings (temperature, output limit, seed)
    and then the order decide which answer it is. Costs nothing.

    Args:
        store: Where the run is.
        run_id: The run.
    """

    def __init__(self, store: SqliteStore, run_id: str) -> None:
        self.run_id = run_id
        self.name = f"replay/{run_id}"
        rows = store.read(
            "select request, response, role from effects"
            " where run_id=? and kind='model' and response is not null order by started, scope",
            (run_id,),
        )
        self._answers: dict[str, list[tuple[Mapping[str, Any], str, str]]] = {}
        for text, response, role in rows:
            request = json.loads(text)
            self._answers.setdefault(_part(request, _CONTENT), []).append((request, response, role))
        self._given: Counter[tuple[str, str]] = Counter()
        self._redactor = Redactor()

    @classmethod
    def from_project(cls, folder: Path, run_id: str) -> RecordedModel:
        """The model of a run of a project.

        Raises:
            NotFoundError: There is no such run.
            StorageError: The journal cannot be read.
        """
        path = Project(folder).database
        if not path.exists():
            raise NotFoundError(f"there is no run {run_id!r}: {folder} has no runs yet")
        store = open_store(path)
        return cls(store, store.run(run_id).run_id)

    async def complete(self, request: ModelRequest, on_delta: OnDelta | None = None) -> ModelReply:
        """The recorded answer to the same content.

        Raises:
            ReplayMissError: There is none; it shows the nearest request and the first difference.
        """
        reply = replace(self._reply(request), model=self.name, cost=Decimal(0), cached=False, attempts=1)
        if on_delta is not None and reply.text:
            on_delta(reply.text)
        return reply

    def _reply(self, request: ModelRequest) -> ModelReply:
        forms = [request] if request.schema is None else [request, structured.in_prompt(request)]
        asked = [json.loads(canonical(self._redactor.data(form.identity()))) for form in forms]
        for identity in asked:
            key = _part(identity, _CONTENT)
            if key in self._answers:
                return self._chosen(key, identity, request.brief.role)
        raise self._miss(asked[0])

    def _chosen(self, key: str, identity: Mapping[str, Any], role: str) -> ModelReply:
        """Of several answers to the same content the one that fits best, one after another."""
        answers = self._answers[key]
        settings = _part(identity, _SETTINGS)
        ranks = [(by == role, _part(request, _SETTINGS) == settings) for request, _, by in answers]
        fitting = [answer for answer, rank in zip(answers, ranks, strict=True) if rank == max(ranks)]
        number = self._given[key, role]
        self._given[key, role] += 1
        return ModelReply.from_dict(json.loads(fitting[number % len(fitting)][1]))

    def _miss(self, identity: Mapping[str, Any]) -> ReplayMissError:
        hint = "it answers only what that run asked; the nearest request is shown by its first difference"
        wanted = {name: identity[name] for name in _CONTENT}
        known = [{name: entry[0][0].get(name) for name in _CONTENT} for entry in self._answers.values()]
        if not known:
            return ReplayMissError(f"{self.name}: the run holds no answers of models")
        text = canonical(wanted)
        nearest = max(known, key=lambda request: likeness(canonical(request), text))
        path, before, now = first_difference(nearest, wanted) or ("$", "", "")
        lines = (f"{self.name} holds no answer", f"  first difference to the nearest request at {path}:")
        return ReplayMissError("\n".join([*lines, f"    recorded: {before}", f"    asked:    {now}"]), hint=hint)


def _part(request: Mapping[str, Any], names: tuple[str, ...]) -> str:
    return canonical([request.get(name) for name in names])
