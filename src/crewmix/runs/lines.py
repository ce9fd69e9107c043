"""A run's file, line by line: what each line must be, and how large it all may be."""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from crewmix.errors import CrewmixError, RunFileError
from crewmix.runs.recorded import fault

LONGEST_LINE = 64 * 2**20
"""Bytes."""
LARGEST_FILE = 2**30
"""Bytes, unpacked."""

Text = Annotated[str, Field(max_length=LONGEST_LINE)]
Count = Annotated[int, Field(ge=0, le=2**53)]
Time = Annotated[float, Field(ge=0, le=253_402_214_400)]
Money = Annotated[str, Field(pattern=r"^\d{1,15}(\.\d{1,60})?(E[+-]?\d{1,2})?$")]
L = TypeVar("L", bound="Line")


class Line(BaseModel):
    """A line of the file."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class HeaderLine(Line):
    """The first line: which format this is, and who wrote it."""

    type: Literal["crewmix-run"]
    version: int
    crewmix: Text


class RunLine(Line):
    """The second line: the run itself."""

    type: Literal["run"]
    run_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$")]
    crew: Text
    goal: Text
    definition: dict[str, Any]
    status: Annotated[str, Field(pattern=r"^[a-z]{1,20}$")]
    epoch: Annotated[int, Field(ge=1, le=2**53)]
    created: Time
    updated: Time
    result: dict[str, Any] | None
    error: Text | None


class SpentPart(Line):
    """What an effect was booked with."""

    calls: Count
    tokens: Count
    usd: Money | None
    by: list[Text]


class EffectLine(Line):
    """An effect: what was asked, what came of it, and for whom."""

    type: Literal["effect"]
    scope: Text
    kind: Text
    key: Text
    occurrence: Count
    epoch: Count
    task: Text
    role: Text
    started: Time
    finished: Time | None
    spent: SpentPart | None
    request: Any
    response: Any = None
    failure: dict[str, Any] | None


class EventLine(Line):
    """An event."""

    type: Literal["event"]
    seq: Annotated[int, Field(ge=1, le=2**53)]
    event: dict[str, Any]


class EndLine(Line):
    """The last line: how much stands before it, and the checksum of that."""

    type: Literal["end"]
    effects: Count
    events: Count
    sha256: Text


TYPES: Mapping[type[Line], str] = {
    HeaderLine: "crewmix-run",
    RunLine: "run",
    EffectLine: "effect",
    EventLine: "event",
    EndLine: "end",
}
"""What the field `type` of each line says."""


class RunFile:
    """A file of lines, read within limits. Every mistake is a `RunFileError` that names the line.

    Args:
        path: The file, packed with gzip or not.

    Raises:
        RunFileError: It cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._number = 0
        self._size = 0
        self._sha256 = hashlib.sha256()
        self._before = ""
        """The checksum of all lines before the last one that was read."""
        try:
            raw = path.open("rb")
            self._raw = raw
            packed = raw.peek(2)[:2] == b"\x1f\x8b"
        except OSError as error:
            raise RunFileError(f"{path} cannot be read: {error.strerror or error}") from error
        self._stream = gzip.GzipFile(fileobj=raw) if packed else raw

    def __enter__(self) -> RunFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()
        self._raw.close()

    def next(self, *kinds: type[L]) -> L:
        """The next line, which must be of one of these kinds.

        Raises:
            RunFileError: It is not, or there is none.
        """
        text = self._read()
        if not text:
            raise self.wrong("the file ends here, but it is not complete")
        self._before = self._sha256.hexdigest()
        self._sha256.update(text)
        data = self._parsed(text)
        name = cast(dict[str, Any], data).get("type") if isinstance(data, dict) else None
        kind = next((kind for kind in kinds if TYPES[kind] == name), None)
        if kind is None:
            wanted = " or ".join(repr(TYPES[kind]) for kind in kinds)
            raise self.wrong(f"a line of type {wanted} must stand here")
        try:
            return kind.model_validate(data)
        except ValidationError as error:
            raise self.wrong(fault(error)) from None

    def end(self, line: EndLine, effects: int, events: int) -> None:
        """Hold the last line against what was read.

        Raises:
            RunFileError: They differ, or something follows.
        """
        if (line.effects, line.events) != (effects, events):
            raise self.wrong(
                f"{line.effects} effects and {line.events} events were written, {effects} and {events} read"
            )
        if line.sha256 != self._before:
            raise self.wrong("the checksum does not fit: the file was changed or damaged after it was written")
        if self._read():
            raise self.wrong("something follows after the last line")

    def check(self, work: Callable[[], Any]) -> None:
        """Do what raises an error when the line is wrong.

        Raises:
            RunFileError: It did.
        """
        try:
            work()
        except CrewmixError as error:
            raise self.wrong(error.message) from None
        except (KeyError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
            raise self.wrong(f"it is not what this version writes: {type(error).__name__}: {error}") from None

    def wrong(self, what: str, hint: str | None = None) -> RunFileError:
        """The error about the line that was read last."""
        if self._number == 1 and hint is None:
            hint = "`crewmix import` reads what `crewmix export RUN` wrote"
        return RunFileError(f"{self._path}:{self._number}: {what}", hint=hint)

    def _read(self) -> bytes:
        self._number += 1
        try:
            text = self._stream.readline(LONGEST_LINE + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise self.wrong(f"the file cannot be unpacked: {error}") from None
        self._size += len(text)
        if len(text) > LONGEST_LINE or self._size > LARGEST_FILE:
            raise self.wrong(f"the file is too large: {LARGEST_FILE:,} bytes at most, {LONGEST_LINE:,} in a line")
        return text

    def _parsed(self, text: bytes) -> Any:
        try:
            data = json.loads(text)
            if b"\\u" in text:
                # Half of a surrogate pair, which no database takes.
                json.dumps(data, ensure_ascii=False).encode()
            return data
        except UnicodeError:
            raise self.wrong("it is no valid Unicode") from None
        except RecursionError:
            raise self.wrong("it is nested too deeply") from None
        except ValueError as error:
            place = f": {error.msg} at column {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
            raise self.wrong(f"it is no JSON{place}") from None
