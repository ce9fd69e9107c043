"""What one turn's prompt is made from, as data: the same for a run and for its estimate."""

from __future__ import annotations

from collections.abc import Sequence

from crewmix.chat.base import View
from crewmix.definitions.spec import Role, Task
from crewmix.models.types import Brief


def turn_brief(
    view: View,
    role: Role,
    task: Task,
    goal: str,
    *,
    line: str = "",
    context: Sequence[tuple[str, str]] = (),
    number: int = 0,
    shown: Sequence[str] | None = None,
) -> Brief:
    """The brief of a turn.

    Args:
        view: What the pattern lets the member see.
        role: Who speaks.
        task: What the chat is about.
        goal: What the run is to achieve.
        line: How an answer must end for the synthesis to read it; only said to those who write one.
        context: Answers of the tasks this one needs: (task id, text).
        number: The round.
        shown: The texts of the context, the messages and the drafts, in this order, where they had to be shortened.
    """
    texts = (
        [*(text for _, text in context), *(m.text for m in (*view.messages, *view.drafts))] if shown is None else shown
    )
    end = len(context) + len(view.messages)
    said, drafts = texts[len(context) : end], texts[end:]
    ask = (view.ask, "" if role.approves or view.schema else line)
    return Brief(
        purpose="speak",
        role=role.name,
        goal=goal,
        task=task.id,
        question=task.description,
        drafts=tuple(drafts),
        messages=tuple((m.role, text) for m, text in zip(view.messages, said, strict=True)),
        context=tuple((name, text) for (name, _), text in zip(context, texts, strict=False)),
        candidates=view.pass_to,
        ask="\n".join(part for part in ask if part),
        approves=role.approves,
        round=number,
    )
