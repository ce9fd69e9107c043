"""Is a revision better than the draft that stands? Evidence before a debate gives up its best answer so far."""

from __future__ import annotations

from crewmix.chat.base import Reviser, Revision
from crewmix.definitions.spec import Role
from crewmix.journal.scope import Scope
from crewmix.models.gateway import Gateway
from crewmix.synthesis.base import PlannedCall, Question
from crewmix.synthesis.judges.ranking import REPLY_TOKENS, ranked, ranking_frame, ranking_request
from crewmix.synthesis.order import shuffled
from crewmix.synthesis.readers.overflow import Piece
from crewmix.synthesis.readers.reader import Asker, Reader


def make_reviser(gateway: Gateway, judge: Role, question: Question) -> Reviser:
    """Who judges the revisions of a debate: the judge sees both drafts without knowing which is the new one.

    The texts decide which of the two it sees first. A revision that changes nothing is not better, and costs no call. What
    the judge cannot read at once is cut in the middle, with a `Warned` event.

    Args:
        gateway: The door to the judge's model.
        judge: The role that judges.
        question: What the drafts answer.

    Returns:
        A function that raises `ModelError` when the judge gives no verdict.
    """
    reader = Reader(judge, judge.llm, gateway)

    async def better(revision: Revision, scope: Scope) -> bool:
        standing, revised = revision.standing.text, revision.revised.text
        if standing.split() == revised.split():
            return False
        place = scope.at("model", role=judge.name)
        pieces = _pieces(standing, revised, revision.role)

        async def judge_both(room: int) -> bool:
            fitting = await reader.reduced(place, question, pieces, room)
            verdict = await ranked(reader, place, question, fitting)
            return pieces[verdict.order[0]].text == revised

        return await reader.with_room(place, ranking_frame(reader, question, 2), pieces, judge_both)

    return better


def planned_revision(
    judge: Role, question: Question, standing: str, revised: str, *, worst: bool = False
) -> PlannedCall:
    """The call that judging one revision makes, for the estimate. At worst the gateway makes it twice, to mend its JSON."""
    asker = Asker(judge, judge.llm)
    request = ranking_request(asker, question, _pieces(standing, revised, ""))
    return asker.planned(request, None if worst else REPLY_TOKENS)


def _pieces(standing: str, revised: str, author: str) -> tuple[Piece, ...]:
    texts = (standing, revised)
    authors = (f"{author}, as it stands", f"{author}, revised")
    return tuple(Piece("Response A", texts[n], authors[n]) for n in shuffled(texts))
