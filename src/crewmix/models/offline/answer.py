"""A role's answer to a question: the best sentences of what it found or was told, each with its citation."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from crewmix.models.offline.likeness import same
from crewmix.models.offline.passages import Passage, quotable
from crewmix.models.offline.questions import parts
from crewmix.models.offline.rank import Ranking, Scored
from crewmix.models.offline.sentences import Statement, statements
from crewmix.models.offline.summary import central, wants_summary
from crewmix.models.offline.texts import all_declined, declined, is_meta, no_evidence, wants_creation, written
from crewmix.models.types import Brief

_STATEMENTS = 6
_STATEMENTS_WITHOUT_TOOLS = 4
_NEW_STATEMENTS = 3
_MOST_TAGS = 6
_SEVERAL = re.compile(
    r"\b(which|each|all|every|compare|list|differ\w*|welche\w*|alle|jede\w*|vergleich\w*|unterschied\w*|unterscheide\w*)\b",
    re.IGNORECASE,
)


def from_passages(brief: Brief, found: Sequence[Passage]) -> str:
    """The answer of a role that has searched; what it said in an earlier turn is kept and added to.

    What the drafts it is shown cite counts as found.
    """
    pool = [statement for passage in found for statement in quotable(passage)]
    pool += [s for draft in brief.drafts for s in statements(draft) if s.tags and not is_meta(s.text)]
    before = own_statements(brief)
    chosen = best(brief.question, pool, _STATEMENTS)
    new = [s for s in chosen if not any(same(s.text, said.text) for said in before)]
    kept = [*before, *(new[:_NEW_STATEMENTS] if before else new)]
    return written([_shown(brief.question, s) for s in kept]) if kept else no_evidence(brief.question)


def enough(question: str, found: Sequence[Passage]) -> bool:
    """Whether the passages answer every part of `question`."""
    pool = [statement for passage in found for statement in quotable(passage)]
    return all(best(part, pool, _STATEMENTS) for part in parts(question))


def from_talk(brief: Brief) -> str:
    """The answer of a role without tools: what others found, weighed and ordered anew."""
    texts = [*(text for _, text in brief.context), *brief.drafts, *(text for _, text in brief.messages)]
    if wants_creation(brief.question) or all_declined(texts):
        return declined(brief.question)
    pool = [s for text in texts for s in statements(text) if not is_meta(s.text)]
    cited = [s for s in pool if s.tags]
    chosen = best(brief.question, cited or pool, _STATEMENTS_WITHOUT_TOOLS)
    return written(chosen) if chosen else no_evidence(brief.question, searched=False)


def best(question: str, pool: Sequence[Statement], limit: int) -> list[Statement]:
    """The statements that answer `question`, each part of it in turn, without repetitions."""
    if wants_summary(question):
        return [_trimmed(s) for s in central(question, pool, limit)]
    asked = parts(question)
    each = max(2, limit // len(asked)) if len(asked) > 1 else limit
    chosen: list[Scored] = []
    for part in asked:
        spread = _SEVERAL.search(part) is not None
        fresh = [s for s in Ranking(part, pool).best(each + len(chosen), spread=spread) if not _among(s, chosen)]
        chosen += fresh[:each]
    return [_trimmed(s.statement) for s in chosen]


def _among(scored: Scored, chosen: Sequence[Scored]) -> bool:
    return any(same(scored.statement.text, other.statement.text) for other in chosen)


def _trimmed(statement: Statement) -> Statement:
    return replace(statement, tags=statement.tags[:_MOST_TAGS])


def _shown(question: str, statement: Statement) -> Statement:
    """With the document's title where several documents are asked for."""
    return statement if _SEVERAL.search(question) else replace(statement, label="")


def own_statements(brief: Brief) -> list[Statement]:
    """What this role said last in this talk."""
    mine = [text for name, text in brief.messages if name == brief.role]
    return [s for s in statements(mine[-1]) if not is_meta(s.text)] if mine else []
