"""How drafts become one answer: what may stand under `synthesis`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from crewmix.definitions.spec_base import Positive, Spec, Text

Weight = Annotated[float, Field(ge=0)]


class SynthesisSpec(Spec):
    """How drafts become one answer. When several tasks become the answer to the goal, that is always `aggregate`."""

    method: str = "aggregate"
    """`aggregate`: the synthesizer reads all drafts critically and writes one answer (Mixture-of-Agents).
    `critique_combine`: strengths and weaknesses of each draft first, then the answer. `majority`: the most frequent closed
    answer. `weighted`: the same with weights. `similarity`: the draft most similar to the others. `rank`: the draft the judge
    puts first. `judge`: the draft with the best marks by a rubric. `tested`: the program that passes most tests, in a sandbox."""
    llm: str | None = None
    """The model that merges or judges; None = the role's own: the crew's `synthesizer` or `judge`."""
    answer: Literal["auto", "number", "choice", "label", "json", "text"] = "auto"
    """For `majority` and `weighted`, and for `stop` of a chat: what an answer is. `auto` finds out."""
    choices: tuple[Text, ...] = ()
    """The allowed answers for `choice` and `label`."""
    ties: Literal["record", "first", "aggregate"] = "record"
    """For `majority` and `weighted`: the tied answer of the member with the best weight, then the first (`record`); of the
    first member (`first`); or what the synthesizer makes of the tied drafts (`aggregate`)."""
    weights: dict[str, Weight] | Literal["confidence"] | None = None
    """For `weighted`, and for ties: role, proposer (`solver#2`) or model -> weight; or `confidence`: each draft states its
    own."""
    record: str | None = None
    """For `weighted`, and for ties: a file with the members' track record, relative to the project."""
    quorum: Positive | None = None
    """For `majority` and `weighted`: the fewest drafts that must hold an answer; the others abstain. None = 1."""
    measure: Literal["bleu", "tfidf"] = "bleu"
    """For `similarity`."""
    compare: Literal["listwise", "pairwise"] = "listwise"
    """For `rank`: one call orders all drafts, or one call for each pair."""
    count: Literal["borda", "condorcet"] = "borda"
    """For `rank`: how rankings or pairs become an order."""
    rankings: Annotated[int, Field(ge=1, le=25)] = 1
    """For `rank` and `judge`: how often the judge is asked, each time with another order of the drafts."""
    rubric: tuple[Text, ...] = ()
    """For `judge`: the criteria, each marked 1 to 10. Empty = correct, complete, clear."""
    tests: Annotated[int, Field(ge=1, le=50)] = 3
    """For `tested`: how often the judge is asked for test cases."""
    overflow: Literal["window", "trim", "summarise"] = "window"
    """What happens to drafts that outgrow the model's context: merged one window after another, cut in the middle, or
    summarised first. The run says so."""
    shuffle: bool = False
    """For `aggregate` and `critique_combine`: show the drafts in another order (the same in every run) than the roles'."""

    def of_tasks(self) -> SynthesisSpec:
        """How the answers of several tasks become the answer to the goal: they are no rivals, so they are aggregated."""
        llm = self.llm if self.method in {"aggregate", "critique_combine"} else None
        return SynthesisSpec(llm=llm, overflow=self.overflow)
