"""Holding a chat: the pattern says who speaks, an engine lets them, the transcript is what remains."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from crewmix.chat.base import Chooser, Member, Pattern, Reviser, Talk
from crewmix.chat.floor import Floor
from crewmix.errors import BudgetExceededError, RunError
from crewmix.journal.scope import Scope

Engine = Callable[[Floor], Awaitable[None]]

STOP_SECONDS = 0.2
"""How long an engine may take to end a chat that was cancelled."""


async def hold(
    scope: Scope,
    pattern: Pattern,
    members: Mapping[str, Member],
    *,
    chooser: Chooser | None = None,
    reviser: Reviser | None = None,
    quorum: int = 1,
    turn_seconds: float = 300.0,
    retries: int = 0,
    engine: Engine | None = None,
) -> Talk:
    """Let the members talk until the pattern ends the chat.

    A member that fails, is late or brings nothing is asked again or replaced where that is wanted, and otherwise costs its
    turn, not the chat. That the chat went on without it is recorded, so a resumed run goes on the same way and pays nothing
    twice.

    Args:
        scope: The chat's place in the run, e.g. `task.2/chat`; a turn's is `<chat>/round.<n>/<role>`, with `/again.<k>` when
            it is taken again, `/stand_in` when it is taken by another model; a ruling's is `<chat>/judge.<n>/<role>`. A chat
            that is held again in the same process needs a scope of its own, e.g. `task.2/try.2/chat`.
        pattern: Who speaks when and sees what.
        members: Name -> member, in crew order.
        chooser: Picks speakers for patterns that do not know them by themselves.
        reviser: Judges revisions for patterns in which a draft is replaced only by a better one.
        quorum: The fewest roles that must have given a draft when the chat is over.
        turn_seconds: A turn that takes longer counts as failed. Each speaker, and each try, has this time to itself.
        retries: How often a failed turn is taken again, before the member's stand-in takes it.
        engine: Who schedules the turns; None = an AutoGen group chat, or nothing but asyncio for a single member
            and for a replay.

    Returns:
        The transcript and why the chat ended. When a budget cut it short, `stopped` is set and nothing said is lost.

    Raises:
        QuorumError: Too few gave a draft; it names who failed and why.
        RunCancelledError: The run was cancelled.
        FencedError: Another process owns the run.
        StorageError: The journal cannot be written.
        ReplayMissError: A replay met a call that was not recorded.
        UserError: The pattern, a pick function or a member's set-up is wrong.
    """
    floor = Floor(
        scope,
        pattern,
        members,
        chooser=chooser,
        reviser=reviser,
        quorum=quorum,
        turn_seconds=turn_seconds,
        retries=retries,
    )
    chat = asyncio.ensure_future(_run(floor, engine, plain=len(members) == 1 or scope.run.replaying))
    chat.add_done_callback(lambda over: over.cancelled() or over.exception())
    try:
        await asyncio.wait({chat})
    finally:
        if not chat.done():
            floor.stop()
            await asyncio.wait({chat}, timeout=STOP_SECONDS)
            chat.cancel()
    if isinstance(floor.error, BudgetExceededError):
        return Talk(floor.transcript, floor.error.message, floor.error)
    if floor.error is not None:
        raise floor.error
    if chat.cancelled() or chat.exception() is not None:
        broken = None if chat.cancelled() else chat.exception()
        raise RunError(f"the group chat broke down: {broken or 'it was cancelled from within'}") from broken
    return Talk(floor.transcript, floor.reason)


async def _run(floor: Floor, engine: Engine | None, *, plain: bool) -> None:
    if engine is None:
        from crewmix.chat import native

        # AutoGen takes about a second to import: on a thread, so that nothing else on the loop waits for it.
        engine = native.converse if plain else await asyncio.to_thread(_autogen)
    await engine(floor)


def _autogen() -> Engine:
    from crewmix.chat.autogen_chat import converse

    return converse
