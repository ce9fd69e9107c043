"""Every fault of a provider, at every place of a run, once and for ever: what the run does, measured through `Crew.run`.

`python tests/fault_matrix.py` writes the table into docs/reliability.md.
"""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from unittest import mock

from crewmix import ChatSpec, Crew, Role, tool
from crewmix.definitions.project import Project
from crewmix.definitions.spec import ModelSpec
from crewmix.errors import CrewmixError, ModelError
from crewmix.journal.events import Event, MemberFailed, ModelRetried
from crewmix.journal.store import SqliteStore
from crewmix.models import paying
from crewmix.models.retry import pause
from crewmix.result import RunResult
from crewmix.runs import find_run
from support.provider import Answer, Fault, Provider, Reply, last_text

PAGE = Path(__file__).parents[1] / "docs" / "reliability.md"
BEGIN, END = "<!-- faults -->\n", "<!-- end -->\n"
HANGS = 0.4
"""Seconds an attempt may take where all of them take too long."""
HANGS_ONCE = 1.5
"""The same where one does: the next must get through on a busy machine."""
PLACES = ("direct", "tools", "selector", "synthesis")


def _error(message: str, code: str = "") -> dict[str, Any]:
    return {"error": {"message": message, "code": code or None, "type": None}}


def _status(status: int, message: str = "", code: str = "", **headers: str) -> Fault:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Fault("status", status, _error(message or f"status {status}", code), named)


def _soon() -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=20), usegmt=True)


HEAD = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: text/html\r\n\r\n"
NOBODY = Fault("refuse")
"""Stands for a provider that does not listen."""

FAULTS: dict[str, Callable[[], Answer]] = {
    "429 with `Retry-After` in seconds": lambda: _status(429, "slow down", retry_after="7"),
    "429 with `Retry-After` as a date": lambda: _status(429, "slow down", retry_after=_soon()),
    "429 with `Retry-After` of an hour": lambda: _status(429, "slow down", retry_after="3600"),
    "429 without `Retry-After`": lambda: _status(429, "slow down"),
    "500": lambda: _status(500),
    "502 with an HTML page": lambda: Fault("html"),
    "503": lambda: _status(503),
    "529, overloaded": lambda: _status(529, "overloaded", "overloaded_error"),
    "connection refused": lambda: NOBODY,
    "connection reset": lambda: Fault("refuse"),
    "hangs before the answer": lambda: Fault("hang"),
    "hangs within the stream": lambda: Fault("hang_stream"),
    "stream cut off": lambda: Fault("cut_stream"),
    "body cut off": lambda: Fault("cut_body"),
    "malformed JSON": lambda: Fault("malformed"),
    "200 with an HTML page": lambda: Fault("raw", body=HEAD + b"<html><body>Welcome to nginx!</body></html>"),
    "empty answer": lambda: Reply(""),
    "no choices": lambda: Fault("no_choices"),
    "200 with an error object": lambda: Fault("error_object"),
    "no usage": lambda: Reply("fine without usage", usage=False),
    "tool call with broken arguments": lambda: Reply(None, [("population", '{"city": "Por')]),
    "unknown tool": lambda: Reply(None, [("weather", {"city": "Porto"})]),
    "prompt too long": lambda: _status(400, "maximum context length is 8192 tokens", "context_length_exceeded"),
    "filter refuses the prompt": lambda: _status(400, "content management policy", "content_filter"),
    "filter refuses the answer": lambda: Reply("I", finish_reason="content_filter"),
    "output limit before an answer": lambda: Reply("", finish_reason="length"),
    "invalid key": lambda: _status(401, "Incorrect API key provided"),
    "no credit": lambda: _status(429, "You exceeded your quota", "insufficient_quota"),
    "unknown model": lambda: _status(404, "The model `x` does not exist", "model_not_found"),
}


@tool
def population(city: str) -> int:
    """Inhabitants of a city."""
    return len(city) * 100_000


@dataclass
class Case:
    """One fault at one place, once or for ever: what came of it."""

    fault: str
    place: str
    lasting: bool
    outcome: str = ""
    error: str = ""
    """The code of the error behind it."""
    hint: str = ""
    requests: int = 0
    """Requests of the call that meets the fault."""
    waits: list[str] = field(default_factory=list[str])
    events: list[Event] = field(default_factory=list[Event])
    result: RunResult | None = None
    resumed: str = ""
    """How the run ended when it was resumed after the fault was over."""
    twice: list[str] = field(default_factory=list[str])
    """Requests that were answered more than once, the resumed run included."""
    told: str = ""
    """All that the user was told: the error's text and the warnings."""


class _Struck:
    """Answers as a good provider, but misbehaves where the model `struck` is asked."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.cured = False
        self.bodies: list[str] = []
        self.answered: Counter[str] = Counter()

    def __call__(self, body: dict[str, Any]) -> Answer:
        if body["model"] == "struck" and not self.cured:
            self.bodies.append(json.dumps(body))
            if self.case.lasting or len(self.bodies) == 1:
                return FAULTS[self.case.fault]()
        self.answered[json.dumps([body["model"], body["messages"], body.get("tools")])] += 1
        return self._good(body)

    @property
    def requests(self) -> int:
        """How often the first call that was struck was sent."""
        return self.bodies.count(self.bodies[0]) if self.bodies else 0

    def _good(self, body: dict[str, Any]) -> Answer:
        if body.get("response_format"):
            speakers = body["response_format"]["json_schema"]["schema"]["properties"]["speaker"]["enum"]
            return Reply(json.dumps({"speaker": speakers[0], "reason": "its turn"}))
        messages = body["messages"]
        if body.get("tools") and not any(message["role"] == "tool" for message in messages):
            return Reply(None, [("population", {"city": "Porto"})])
        return f"answer {len(messages)} to: {last_text(body)[-60:]}"


def _timeout(case: Case) -> float:
    if not case.fault.startswith("hangs"):
        return 60.0
    return HANGS if case.lasting else HANGS_ONCE


def _crew(case: Case, bad: Provider, good: Provider, folder: Path) -> Crew:
    def role(name: str, **fields: Any) -> Role:
        return Role(name=name, role=name.title(), goal="Answer", llm=fields.pop("llm", "good"), **fields)

    models = {
        "struck": ModelSpec(model=f"openai_compatible/struck@{bad.url}", timeout=_timeout(case)),
        "good": ModelSpec(model=f"openai_compatible/good@{good.url}"),
    }
    settings: dict[str, Any] = {"project": folder, "models": models, "plan": "none", "synthesizer": role("merger")}
    settings |= {"planner": role("lead"), "judge": role("judge")}
    if case.place == "direct":
        return Crew(roles=[role("zoe", llm="struck")], **settings)
    if case.place == "tools":
        return Crew(roles=[role("zoe", llm="struck", tools=["population"], max_iter=6)], tools=[population], **settings)
    roles = [role("zoe"), role("adam")]
    if case.place == "selector":
        chat = ChatSpec(pattern="selector", max_turns=1, select={"llm": "struck"})
        return Crew(roles=roles, chat=chat, **settings)
    settings["synthesizer"] = role("merger", llm="struck")
    return Crew(roles=roles, chat=ChatSpec(max_turns=2), **settings)


def _wish(error: ModelError, wait: float) -> str:
    return f"{wait:.1f}" if error.retry_after is None else "Retry-After"


@contextmanager
def _no_waiting(case: Case) -> Generator[None]:
    """Note the waits between attempts instead of waiting, without their jitter."""

    def noted(error: ModelError, attempt: int) -> float | None:
        wait = pause(error, attempt, lambda: 0.5)
        if wait is not None:
            case.waits.append(_wish(error, wait))
        return None if wait is None else 0.0

    with mock.patch.object(paying, "pause", noted):
        yield


def measure(fault: str, place: str, *, lasting: bool) -> Case:
    """Run a crew into the fault, and when it did not get through, once more when the fault is over."""
    case = Case(fault, place, lasting)
    struck = _Struck(case)
    nobody = FAULTS[fault]() is NOBODY
    with ExitStack() as closing:
        folder = Path(closing.enter_context(tempfile.TemporaryDirectory()))
        bad, good = (closing.enter_context(Provider(struck)) for _ in range(2))
        closing.enter_context(_no_waiting(case))

        def hear(event: Event) -> None:
            case.events.append(event)
            if nobody and not lasting and isinstance(event, ModelRetried):
                bad.start(bad.port)

        crew = _crew(case, bad, good, folder)
        if nobody:
            struck.cured = True
            bad.close()
        _run(case, lambda: crew.run("How many live in Porto?", on_event=hear, deltas=True))
        retried = sum(isinstance(event, ModelRetried) for event in case.events)
        case.requests = retried + 1 if nobody else struck.requests
        row = find_run(Project(folder), "last")
        _read_failures(case, folder, row.run_id)
        struck.cured = True
        if nobody and lasting:
            bad.start(bad.port)
        if case.outcome != "done":
            _run(case, lambda: crew.resume(row), again=True)
        case.twice = [request for request, times in struck.answered.items() if times > 1]
    return case


def _read_failures(case: Case, folder: Path, run_id: str) -> None:
    """How the last call that failed did so, from the journal."""
    store = SqliteStore(folder / ".crewmix" / "crewmix.db")
    calls = [row for row in store.recordings(run_id) if row.key.kind == "model" and row.response is None]
    failures = [json.loads(row.failure) for row in calls if row.failure]
    store.close()
    if failures:
        case.error, case.hint = failures[-1]["code"], failures[-1]["hint"] or ""
    else:
        case.error = next((event.code for event in case.events if isinstance(event, MemberFailed)), "")


def _run(case: Case, work: Callable[[], RunResult], *, again: bool = False) -> None:
    try:
        result = work()
        outcome, told = result.status, "\n".join(result.warnings)
    except CrewmixError as error:
        result, outcome, told = None, "fails", str(error)
    if again:
        case.resumed = outcome
    else:
        case.result, case.outcome, case.told = result, outcome, told


def waited(case: Case) -> str:
    """What the call took besides the provider's own time."""
    retried = [event for event in case.events if isinstance(event, ModelRetried)]
    late = sum("no answer within" in event.error for event in retried) + (case.error == "model_timeout")
    waits = case.waits[: len(retried)]
    wished, own = waits.count("Retry-After"), sum(float(wait) for wait in waits if wait != "Retry-After")
    parts = [(late, f"{late} × `timeout`"), (wished, f"{wished} × `Retry-After`"), (own, f"{own:.1f} s")]
    return " + ".join(text for amount, text in parts if amount) or "–"


def measure_all() -> dict[tuple[str, str, bool], Case]:
    """Every fault at every place, once and for ever."""
    return {
        (fault, place, lasting): measure(fault, place, lasting=lasting)
        for fault in FAULTS
        for place in PLACES
        for lasting in (False, True)
    }


def table(cases: Mapping[tuple[str, str, bool], Case]) -> str:
    """The table of docs/reliability.md."""
    head = (
        "fault",
        "error",
        "passes: requests",
        "waits",
        "lasts: requests",
        "waits",
        "one role",
        "with tools",
        "selector",
        "synthesis",
    )
    lines = [_row(head), _row(["---"] * len(head))]
    for fault in FAULTS:
        once = [cases[fault, place, False] for place in PLACES]
        lasting = [cases[fault, place, True] for place in PLACES]
        errors = [f"`{case.error}`" if case.error else "none" for case in lasting]
        columns = [_same(errors)]
        for group in (once, lasting):
            columns += [_same([str(case.requests) for case in group]), _same([waited(case) for case in group])]
        lines.append(_row([fault, *columns, *(_ending(case) for case in lasting)]))
    return "".join(f"{line}\n" for line in lines)


def _ending(case: Case) -> str:
    warned = case.outcome == "done" and case.error
    return "done, with a warning" if warned else case.outcome


def _same(values: Sequence[str]) -> str:
    """What most places have in common, and the places where it is otherwise."""
    usual = Counter(values).most_common(1)[0][0]
    others = [f"{place}: {value}" for place, value in zip(PLACES, values, strict=True) if value != usual]
    return f"{usual} ({', '.join(others)})" if others else usual


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def written(page: str, text: str) -> str:
    """The page with this table."""
    before, _, rest = page.partition(BEGIN)
    return before + BEGIN + text + END + rest.partition(END)[2]


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8"), table(measure_all())), encoding="utf-8")
