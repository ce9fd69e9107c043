"""Drafts become one answer by the crew's synthesis; when that fails, the reader gets a draft and is told so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace

from crewmix.definitions.spec import SynthesisSpec
from crewmix.errors import BudgetExceededError, CrewmixError, ModelError
from crewmix.journal.events import Synthesised, Warned
from crewmix.journal.scope import Scope
from crewmix.knowledge.sources import cited
from crewmix.result import Merge
from crewmix.synthesis.base import Answer, Desk, Draft, Question
from crewmix.synthesis.methods import make_synthesis
from crewmix.synthesis.readers.overlap import uses


async def merge_drafts(
    scope: Scope, desk: Desk, spec: SynthesisSpec, question: Question, drafts: tuple[Draft, ...]
) -> tuple[Answer, Merge | None, CrewmixError | None]:
    """One answer of at least one draft.

    Args:
        scope: The place of the synthesis.
        desk: Who merges, and with what.
        spec: The synthesis as written.
        question: What the answer is for.
        drafts: What there is, in the order of the chat's members.

    Returns:
        The answer; how it came about, None when there was one draft and nothing to do; and what went wrong when no synthesis
        could be made and the last draft stands in.

    Raises:
        QuorumError: Too few drafts hold an answer.
        UserError: The synthesis cannot work as it is written.
    """
    known = tuple(dict.fromkeys(source for draft in drafts for source in draft.sources))
    failure: CrewmixError | None = None
    try:
        answer = await make_synthesis(spec, desk).merge(scope.merging(), question, drafts)
    except (BudgetExceededError, ModelError) as error:
        failure = error
        answer = _unmerged(question, drafts)
        scope.emit(Warned(code="unmerged", message=f"the drafts could not be merged: {error.message}"))
    answer = replace(answer, sources=answer.sources or cited(answer.text, known))
    if not answer.method:
        return answer, None, None
    if known and not answer.sources:
        scope.emit(Warned(code="uncited", message="sources were found, but the answer cites none of them"))
    written = not answer.chosen and failure is None
    merge = Merge(
        method=answer.method,
        chosen=answer.chosen,
        ballots=answer.ballots,
        scores=answer.scores,
        uses=uses(answer.text, drafts) if written else (),
        critique=answer.critique,
    )
    scope.emit(
        Synthesised(
            task=scope.task,
            method=merge.method,
            drafts=len(drafts),
            text=answer.text,
            dissent=answer.dissent,
            confidence=answer.confidence,
            chosen=merge.chosen,
            ballots=tuple(asdict(ballot) for ballot in merge.ballots),
            scores=tuple(asdict(score) for score in merge.scores),
            uses=merge.uses,
            critique=merge.critique,
        )
    )
    return answer, merge, failure


def _unmerged(question: Question, drafts: Sequence[Draft]) -> Answer:
    """The best there is without a synthesis: all parts one after another, or the last draft."""
    if question.parts:
        texts = (f"{part}\n\n{draft.text}" for part, draft in zip(question.parts, drafts, strict=True))
        return Answer("\n\n".join(texts), method="none")
    return Answer(drafts[-1].text, chosen=drafts[-1].author, method="none")
