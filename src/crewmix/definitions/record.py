"""The members' track record: how often each was right, and what its vote is worth."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from crewmix.definitions.project import shown
from crewmix.errors import DefinitionError, NotFoundError, Problem

WRONG_WAYS = 9
"""Over how many wrong answers mistakes are taken to spread where neither choices nor joint data tell."""


class Count(BaseModel):
    """How one member did."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    right: Annotated[int, Field(ge=0)]
    """How many of its answers were right."""
    asked: Annotated[int, Field(ge=0)]
    """How many answers it gave, abstentions left out."""

    @model_validator(mode="after")
    def _possible(self) -> Count:
        if self.right > self.asked:
            raise ValueError(f"`right` is {self.right}, more than `asked`, {self.asked}")
        return self


class Record(BaseModel):
    """A track record, as kept in the JSON file that `synthesis.record` names.

    ```json
    {"members": {"solver": {"right": 41, "asked": 50}, "openai/gpt-5-mini": {"right": 46, "asked": 50}}}
    ```

    A member is a chat member's name (`solver#2`), a role, or a model. `weights`, where a record holds them, were learnt from
    joint answers by `learn_record` and go before what the counts alone say.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    members: Mapping[str, Count] = {}
    weights: Mapping[str, Annotated[float, Field(ge=0)]] = {}

    def vote_weights(self, choices: int = 0) -> dict[str, float]:
        """What each member's vote is worth.

        Without learnt weights, the logarithm of how much likelier its answer is than any one wrong answer; never below 0
        (Nitzan and Paroush 1982, "Optimal Decision Rules in Uncertain Dichotomous Choice Situations", for more than two).

        Args:
            choices: How many answers are possible; 0 = not known.
        """
        ways = choices - 1 if choices > 1 else WRONG_WAYS
        return {name: log_odds(count.right, count.asked, ways) for name, count in self.members.items()} | dict(
            self.weights
        )

    @staticmethod
    def typical(weights: Mapping[str, float]) -> float:
        """The weight of a member that a record does not name: the median of those it names."""
        return statistics.median(weights.values()) if weights else 1.0

    def save(self, path: Path | str) -> None:
        """Write the record as JSON."""
        Path(path).write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path | str) -> Record:
        """The record in a JSON file.

        Raises:
            NotFoundError: There is no such file.
            DefinitionError: It holds no record; names every mistake.
        """
        path = Path(path)
        try:
            text = path.read_text(encoding="utf-8")
        except (FileNotFoundError, IsADirectoryError) as error:
            raise NotFoundError(
                f"there is no record {path}", hint="`crewmix.learn_record(…).save(path)` makes one"
            ) from error
        except (OSError, UnicodeDecodeError) as error:
            raise DefinitionError([Problem("record", f"the record cannot be read: {error}", shown(path))]) from error
        try:
            return cls.model_validate(json.loads(text))
        except json.JSONDecodeError as error:
            problem = Problem("record", f"not JSON: {error.msg}", shown(path), error.lineno, error.colno)
            raise DefinitionError([problem]) from error
        except (ValidationError, RecursionError) as error:
            raise DefinitionError([Problem("record", message, shown(path)) for message in _faults(error)]) from error


def _faults(error: ValidationError | RecursionError) -> Sequence[str]:
    if isinstance(error, RecursionError):
        return ["nested too deeply"]
    return [f"`{'.'.join(map(str, fault['loc'])) or 'record'}`: {_plain(fault['msg'])}" for fault in error.errors()]


def _plain(said: str) -> str:
    """The words of pydantic, as crewmix would say it."""
    for theirs, ours in (("Value error, ", ""), ("Input should be", "must be"), (" valid dictionary", " mapping")):
        said = said.replace(theirs, ours)
    said = said.partition(" or instance of")[0]
    return {"Extra inputs are not permitted": "unknown key", "Field required": "is missing"}.get(said, said)


def log_odds(right: float, asked: float, ways: float) -> float:
    """What an answer of a member weighs that was right so often, when mistakes spread over so many wrong answers."""
    share = (right + 1) / (asked + 2)
    return max(0.0, math.log(ways * share / (1 - share)))
