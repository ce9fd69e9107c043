"""Files that are no exported runs, or damaged, or made up: each is refused with its line, and nothing is written."""

from __future__ import annotations

import copy
import gzip
import hashlib
import json
import random
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crewmix.definitions.project import Project
from crewmix.errors import CrewmixError, RunFileError
from crewmix.runs import lines as limits
from crewmix.runs import list_runs
from crewmix.runs.export import run_lines
from crewmix.runs.importing import import_run
from support.commands_in_process import command
from support.kept_runs import close, empty_project, run_talk
from support.scripted_project import write_project

Lines = list[dict[str, Any]]


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An exported run."""
    project = Project(tmp_path_factory.mktemp("kept"))
    run_talk(project.root)
    exported = "".join(run_lines(project, "last"))
    close(project)
    return exported


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Project]:
    """A project to import into."""
    project = empty_project(tmp_path / "target")
    yield project
    close(project)


def refused(project: Project, content: bytes, folder: Path) -> str:
    """Why a file is not imported."""
    file = folder / "given.jsonl"
    file.write_bytes(content)
    with pytest.raises(RunFileError) as caught:
        import_run(project, file)
    assert list_runs(project) == []
    assert str(caught.value).startswith(str(file))
    return caught.value.message.removeprefix(f"{file}")


def signed(lines: Lines) -> bytes:
    """The lines as a file whose last line fits the others, as somebody who knows the format would make it."""
    body = "".join(json.dumps(line) + "\n" for line in lines[:-1])
    count = {f"{kind}s": sum(line.get("type") == kind for line in lines[1:-1]) for kind in ("effect", "event")}
    end = {"type": "end", **count, "sha256": hashlib.sha256(body.encode()).hexdigest()}
    return f"{body}{json.dumps(end)}\n".encode()


def parsed(text: str) -> Lines:
    return [json.loads(line) for line in text.splitlines()]


# -- damaged on the way ----------------------------------------------------------------------------------------------------


def test_a_file_that_was_cut_off_anywhere_is_refused(text: str, target: Project, tmp_path: Path) -> None:
    whole = text.encode()
    ends = [place + 1 for place, byte in enumerate(whole[:-1]) if byte == 10]
    chosen = random.Random(1)
    for size in {0, 1, *ends, *(chosen.randrange(len(whole) - 1) for _ in range(150))}:
        told = refused(target, whole[:size], tmp_path)
        line = whole[:size].count(10) + 1
        assert told.startswith((f":{line}: ", f":{line + 1}: the file ends here")), told


def test_a_packed_file_that_was_cut_off_anywhere_is_refused(text: str, target: Project, tmp_path: Path) -> None:
    whole = gzip.compress(text.encode(), mtime=0)
    for size in {1, 2, 3, 10, 18, len(whole) - 8, *range(20, len(whole) - 8, 37)}:
        refused(target, whole[:size], tmp_path)


def test_no_changed_byte_goes_unnoticed(text: str, target: Project, tmp_path: Path) -> None:
    whole = text.encode()
    end = whole.rindex(b'{"type":"end"')
    chosen = random.Random(2)
    for _ in range(250):
        spoilt = bytearray(whole)
        place = chosen.randrange(end)
        spoilt[place] ^= 1 << chosen.randrange(8)
        refused(target, bytes(spoilt), tmp_path)


def test_lines_that_are_missing_doubled_or_swapped_are_noticed(text: str, target: Project, tmp_path: Path) -> None:
    lines = text.splitlines(keepends=True)
    for place in range(len(lines) - 1):
        refused(target, "".join(lines[:place] + lines[place + 1 :]).encode(), tmp_path)
        refused(target, "".join(lines[: place + 1] + lines[place:]).encode(), tmp_path)
        swapped = [*lines[:place], lines[place + 1], lines[place], *lines[place + 2 :]]
        refused(target, "".join(swapped).encode(), tmp_path)


# -- no runs at all --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", ":1: the file ends here, but it is not complete"),
        (b"\n", ":1: it is no JSON"),
        (b"roles: [writer]\n", ":1: it is no JSON"),
        (b"[]\n", ":1: a line of type 'crewmix-run' must stand here"),
        (b'{"messages": []}\n', ":1: a line of type 'crewmix-run' must stand here"),
        (b"\x89PNG\r\n\x1a\n", ":1: it is no valid Unicode"),
        (b"[" * 100_000, ":1: it is nested too deeply"),
        (b'{"a":' * 100_000, ":1: it is nested too deeply"),
        (b"9" * 10_000, ":1: it is no JSON"),
        (b'{"type":"crewmix-run","version":2,"crewmix":"9.9"}\n', ":1: version 2 of the format is unknown"),
        (b'{"type":"crewmix-run","version":"1","crewmix":"0"}\n', ":1: `version`: "),
        (b'{"type":"crewmix-run","version":1}\n', ":1: `crewmix`: Field required"),
        (b'{"type":"crewmix-run","version":1,"crewmix":"\\ud800"}\n', ":1: it is no valid Unicode"),
        (b"\x1f\x8b", ":1: the file cannot be unpacked"),
        (b"\x1f\x8b" + bytes(100), ":1: the file cannot be unpacked"),
    ],
)
def test_what_is_no_run_is_refused(content: bytes, told: str, target: Project, tmp_path: Path) -> None:
    assert told in refused(target, content, tmp_path)


def test_a_missing_file_and_a_folder_are_refused(target: Project, tmp_path: Path) -> None:
    for path in (tmp_path / "nothing.jsonl", tmp_path):
        with pytest.raises(RunFileError, match="cannot be read"):
            import_run(target, path)
        assert command("import", str(path), project=target.root)[0] == 2


def test_a_bomb_is_not_unpacked(target: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "LONGEST_LINE", 100_000)
    monkeypatch.setattr(limits, "LARGEST_FILE", 1_000_000)
    header = b'{"type":"crewmix-run","version":1,"crewmix":"0.1.0"}\n'
    for bomb in (bytes(50_000_000), header + b" " * 50_000_000, (b" " * 90_000 + header) * 200):
        packed = gzip.compress(bomb)
        assert len(packed) < 400_000
        told = refused(target, packed, tmp_path)
        assert "too large" in told or "a line of type 'run'" in told
    assert "too large" in refused(target, header + b" " * 100_001, tmp_path)


def test_a_file_that_is_too_large_as_a_whole_is_refused(
    text: str, target: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "LARGEST_FILE", len(text) - 1)
    assert "too large" in refused(target, text.encode(), tmp_path)
    monkeypatch.setattr(limits, "LARGEST_FILE", len(text))
    (tmp_path / "given.jsonl").write_text(text)
    assert import_run(target, tmp_path / "given.jsonl").new


# -- made up ---------------------------------------------------------------------------------------------------------------


def first(lines: Lines, kind: str) -> dict[str, Any]:
    return next(line for line in lines if line["type"] == kind)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda ls: first(ls, "run").update(run_id="../../x"), "`run_id`"),
        (lambda ls: first(ls, "run").update(epoch=0), "`epoch`"),
        (lambda ls: first(ls, "run").update(created=1e300), "`created`"),
        (lambda ls: first(ls, "run").update(definition={}), "`crew`: Field required"),
        (lambda ls: first(ls, "run").update(result={"output": 1}), "the result of run"),
        (lambda ls: first(ls, "run").update(extra=1), "`extra`: Extra inputs are not permitted"),
        (lambda ls: first(ls, "effect").update(occurrence=10**30), "`occurrence`"),
        (lambda ls: first(ls, "effect").update(spent={"calls": 1, "tokens": 1, "usd": "NaN", "by": []}), "`spent.usd`"),
        (
            lambda ls: first(ls, "effect").update(spent={"calls": -1, "tokens": 1, "usd": "1", "by": []}),
            "`spent.calls`",
        ),
        (lambda ls: first(ls, "effect").update(failure={"code": "model"}), "KeyError: 'message'"),
        (lambda ls: first(ls, "effect").update(response={"text": 1}), "the answer at "),
        (lambda ls: first(ls, "effect").update(response=None), "the answer at "),
        (lambda ls: first(ls, "effect").pop("request"), "`request`: Field required"),
        (lambda ls: ls.insert(3, first(ls, "effect")), "the same effect stands in the file already"),
        (lambda ls: first(ls, "event").update(seq=9), "`type` and its `seq`"),
        (lambda ls: first(ls, "event")["event"].update(models=[1]), "its fields are not those of the event"),
        (lambda ls: ls.insert(-1, first(ls, "event")), "event 1 is out of order"),
        (lambda ls: ls.insert(2, {"type": "tool"}), "a line of type 'effect' or 'event' or 'end' must stand here"),
        (lambda ls: ls.insert(1, first(ls, "event")), "a line of type 'run' must stand here"),
    ],
)
def test_a_mistake_is_named_with_its_line(
    change: Callable[[Lines], Any], told: str, text: str, target: Project, tmp_path: Path
) -> None:
    lines = parsed(text)
    change(lines)
    assert told in refused(target, signed(lines), tmp_path)


VALUES: list[Any] = [
    *(
        None,
        True,
        0,
        -1,
        10**30,
        1.5,
        1e300,
        "",
        "x",
        "\ud800",
        "a\x00b",
        "<<crewmix:project>>",
        "../../etc",
        "9" * 5000,
    ),
    *([], {}, [[[]]], [None], {"": 0}, {"type": "end"}, ["x", {"a": "b"}]),
]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place within JSON-able data."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*path, key)
        yield from places(inner, (*path, key))


def mutate(lines: Lines, data: st.DataObject) -> None:
    """Put something else in one place of the file, or take it out."""
    number = data.draw(st.integers(0, len(lines) - 2))
    path = data.draw(st.sampled_from(list(places(lines[number]))))
    holder: Any = lines[number]
    for key in path[:-1]:
        holder = holder[key]
    if data.draw(st.booleans()):
        holder[path[-1]] = copy.deepcopy(data.draw(st.sampled_from(VALUES)))
    else:
        del holder[path[-1]]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_stands_in_a_file_can_be_dealt_with(text: str, data: st.DataObject) -> None:
    lines = parsed(text)
    for _ in range(data.draw(st.integers(1, 2))):
        mutate(lines, data)
    with tempfile.TemporaryDirectory() as folder:
        project = Project(write_project(Path(folder) / "p"))
        file = Path(folder) / "given.jsonl"
        file.write_bytes(signed(lines))
        try:
            read = import_run(project, file)
        except CrewmixError as error:
            assert isinstance(error, RunFileError) and error.message.startswith(f"{file}:")
            assert list_runs(project) == []
            close(project)
            return
        used(project, read.run_id, data)
        close(project)


def used(project: Project, run_id: str, data: st.DataObject) -> None:
    """Everything one does with a run works on an imported one, or says why not."""
    code, told = command("export", run_id, "-o", "-", project=project.root)
    assert code == 0, told
    again = empty_project(project.root.parent / "again")
    file = project.root.parent / "again.jsonl"
    file.write_text(told, encoding="utf-8")
    assert import_run(again, file).new
    assert command("export", run_id, "-o", "-", project=again.root) == (0, told)
    close(again)
    looking = (
        ("runs",),
        ("show", run_id, "--events", "--drafts"),
        ("show", run_id, "--cost"),
        ("show", run_id, "--json"),
    )
    working = (("replay", run_id), ("diff", run_id, run_id), ("fork", run_id), ("resume", run_id))
    for arguments in (*looking, data.draw(st.sampled_from(working))):
        command(*arguments, project=project.root)
