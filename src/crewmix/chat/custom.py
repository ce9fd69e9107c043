"""A pattern of the user's own: a Python function or class."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from traceback import extract_tb
from typing import Any, TypeVar, cast

from crewmix.chat.base import Choose, Done, Judge, Message, Pattern, PatternSource, Speakers, Step, Transcript, View
from crewmix.chat.in_turn import approved_by
from crewmix.chat.named_code import load_named
from crewmix.chat.setting import Setting
from crewmix.definitions.project import shown
from crewmix.errors import CrewmixError, UsageError

MAX_ROUNDS = 50
"""How many rounds a chat of a user's pattern lasts at most, where the crew file has no `max_turns`."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Custom:
    """What a user's code says, checked.

    Args:
        name: How messages call the code.
        code: What was given: a function of the transcript, or an object with `next` and perhaps `view` and `drafts`.
        members: Names of those who may speak.
        max_turns: The most turns; None = `MAX_ROUNDS` rounds.
        reviewers: Roles whose messages are reviews.
        stop_when: `approved` ends the chat as soon as one of them approves a draft.
    """

    name: str
    code: Any
    members: tuple[str, ...]
    max_turns: int | None = None
    reviewers: frozenset[str] = frozenset()
    stop_when: str | None = None

    def next(self, chat: Transcript) -> Step:
        """What the code says.

        Raises:
            UsageError: It failed, or said something that is no step.
        """
        if self.stop_when == "approved" and (approver := approved_by(chat, self.reviewers)):
            return Done(f"{approver} approved")
        picked, role = chat.picked()
        if picked:
            return Done("no further speaker was picked") if role is None else Speakers((role,))
        step = self._step(_call(self.name, getattr(self.code, "next", self.code), chat), chat)
        limit = f"{MAX_ROUNDS} rounds" if self.max_turns is None else f"{self.max_turns} turns"
        full = chat.round >= MAX_ROUNDS if self.max_turns is None else len(chat.messages) >= self.max_turns
        if full and not isinstance(step, Done | Judge):
            return Done(
                limit, f"the talk was cut after {limit}; `{self.name}` would have gone on; raise `chat.max_turns`"
            )
        return step

    def view(self, chat: Transcript, role: str) -> View:
        """What the code shows; everything said so far, if it does not say.

        Raises:
            UsageError: It failed, or gave something else.
        """
        if not hasattr(self.code, "view"):
            return View(chat.spoken)
        shown = _call(self.name, self.code.view, chat, role)
        return shown if isinstance(shown, View) else View(self._messages(shown, "view"))

    def drafts(self, chat: Transcript) -> tuple[Message, ...]:
        """What the code takes for answers; the last message of each role that is no reviewer, if it does not say.

        Raises:
            UsageError: It failed, or gave something else, or two drafts of one role.
        """
        if not hasattr(self.code, "drafts"):
            return chat.last_drafts(self.reviewers)
        offered = self._messages(_call(self.name, self.code.drafts, chat), "drafts")
        if len({m.role for m in offered}) < len(offered):
            raise UsageError(f"`drafts` of the pattern `{self.name}` gave two messages of one role")
        if silent := [m.role for m in offered if not m.contribution.ok]:
            raise UsageError(f"`drafts` of the pattern `{self.name}` gave a failed turn of {silent[0]!r}")
        return offered

    def _step(self, said: object, chat: Transcript) -> Step:
        if said is None:
            return Done("the pattern ended the chat")
        if isinstance(said, Done):
            return said
        if isinstance(said, Choose):
            self._check(said.candidates)
            return said
        if isinstance(said, Judge):
            self._check(tuple(revision.role for revision in said.revisions))
            ruled = {(ruling.role, ruling.round) for ruling in chat.rulings}
            if all((revision.role, revision.revised.round) in ruled for revision in said.revisions):
                raise UsageError(f"the pattern `{self.name}` asks again for rulings it has", hint="see `chat.rulings`")
            return said
        step = said if isinstance(said, Speakers) else Speakers(self._names(said))
        self._check(step.roles)
        return step

    def _names(self, said: object) -> tuple[str, ...]:
        if isinstance(said, str):
            return (said,)
        if isinstance(said, list | tuple):
            return tuple(cast("list[str]", said))
        raise UsageError(
            f"the pattern `{self.name}` returned {said!r:.200}",
            hint="return a role's name, a list of names, `Speakers`, `Choose`, `Judge`, `Done`, or None when the chat is over",
        )

    def _check(self, names: tuple[str, ...]) -> None:
        unknown = [name for name in names if name not in self.members]
        if unknown:
            raise UsageError(
                f"the pattern `{self.name}` named {unknown[0]!r}, who is not in this chat",
                hint=f"it may name {', '.join(map(repr, self.members))}",
            )
        if not names or len(set(names)) < len(names):
            what = "one role twice" if names else "nobody"
            raise UsageError(f"the pattern `{self.name}` named {what}", hint="return None when the chat is over")

    def _messages(self, given: object, what: str) -> tuple[Message, ...]:
        if isinstance(given, list | tuple):
            found = tuple(cast("list[object]", given))
            if all(isinstance(message, Message) for message in found):
                return cast("tuple[Message, ...]", found)
        raise UsageError(
            f"`{what}` of the pattern `{self.name}` returned {given!r:.200}",
            hint="return messages of the transcript" + (", or a `View`" if what == "view" else ""),
        )


def custom(setting: Setting, own: PatternSource | None) -> Pattern:
    """The pattern that `chat.pattern` names as `package.module:name`, or that was given in Python.

    A function gets the transcript and returns who speaks next: a role's name, a list of names, `Speakers`, `Choose`, `Judge`,
    `Done`, or None when the chat is over. A class has this as `next`, and may have `view` and `drafts` (see
    `crewmix.chat.base.Pattern`). It is called without arguments, or with the members' names if it needs an argument.

    Raises:
        UsageError: It cannot be loaded or made, or is neither.
    """
    chat = setting.chat
    code = load_named(chat.pattern, setting.root) if own is None else cast("object", own)
    name = chat.pattern if own is None else _described(own)
    if inspect.isclass(code):
        code = _made(name, cast("Callable[..., object]", code), setting.names)
    if not callable(getattr(code, "next", code)):
        raise UsageError(
            f"`{name}` is no chat pattern", hint="give a function of the transcript, or a class with a method `next`"
        )
    return Custom(name, code, setting.names, chat.max_turns, setting.reviewers, chat.stop_when)


def _made(name: str, kind: Callable[..., object], names: tuple[str, ...]) -> object:
    if not hasattr(kind, "next"):
        raise UsageError(f"the class `{name}` has no method `next`")
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    needed = [p for p in inspect.signature(kind).parameters.values() if p.kind in positional and p.default is p.empty]
    return _call(name, kind, names) if needed else _call(name, kind)


def _call(name: str, code: Callable[..., T], *arguments: object) -> T:
    try:
        said = code(*arguments)
    except CrewmixError:
        raise
    except Exception as error:
        message = f"the pattern `{name}` failed: {type(error).__name__}: {error}"
        raise UsageError(message, hint=_line_of(error)) from error
    if inspect.iscoroutine(said):
        said.close()
        raise UsageError(f"the pattern `{name}` must not be `async`", hint="`select.function` of a `selector` may be")
    return said


def _line_of(error: Exception) -> str | None:
    """Where the user's own code failed: the last line in the file that was called."""
    frames = extract_tb(error.__traceback__)[1:]
    own = [frame for frame in frames if frame.filename == frames[0].filename]
    return f"look at {shown(Path(own[-1].filename))}:{own[-1].lineno}" if own else None


def _described(own: object) -> str:
    named = own if hasattr(own, "__qualname__") else type(own)
    return f"{named.__module__}:{getattr(named, '__qualname__', '?')}"
