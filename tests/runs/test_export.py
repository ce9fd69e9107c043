"""A run leaves a project as one file and comes back from it as it was."""

import gzip
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crewmix import ChatSpec, Crew, Role, SynthesisSpec
from crewmix.cli.app import run_app
from crewmix.definitions.project import Project
from crewmix.errors import ModelUnavailableError, NotFoundError, RunFileError, UsageError
from crewmix.journal.open import open_store
from crewmix.result import RunResult
from crewmix.runs import find_run, list_runs, run_events
from crewmix.runs.export import export_run
from crewmix.runs.importing import import_run
from crewmix.runs.places import Places
from crewmix.runs.training import training_lines
from support.kept_runs import GOAL, close, empty_project, run_talk
from support.models import FunctionModel, speaking
from support.scripted_project import write_project


def lines_of(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def cli(*arguments: str, project: Path, capsys: pytest.CaptureFixture[str], code: int = 0) -> str:
    assert run_app([*arguments, "--project", str(project)]) == code
    return capsys.readouterr().out


@pytest.fixture(scope="module")
def talked(tmp_path_factory) -> tuple[Project, RunResult]:
    folder = tmp_path_factory.mktemp("talked")
    return Project(folder), run_talk(folder)


# -- there and back --------------------------------------------------------------------------------------------------------


def test_a_run_comes_back_whole(talked, tmp_path):
    project, result = talked
    file = export_run(project, "last", tmp_path / "run.jsonl")
    other = empty_project(tmp_path / "other")
    read = import_run(other, file)
    assert (read.run_id, read.new) == (result.run_id, True)
    theirs, ours = find_run(other, "last"), find_run(project, result.run_id)
    assert replace(theirs, definition={}) == replace(ours, definition={})
    assert theirs.definition["crew"] == ours.definition["crew"]
    assert theirs.definition["options"]["name"] == str(other.root / "crews" / "talk.yaml")
    assert run_events(other, result.run_id) == run_events(project, result.run_id)
    ours, theirs = (open_store(p.database) for p in (project, other))
    assert theirs.recordings(result.run_id) == ours.recordings(result.run_id)
    for recording in ours.recordings(result.run_id):
        assert theirs.request(result.run_id, recording.key) == ours.request(result.run_id, recording.key)


def test_the_file_of_an_imported_run_is_the_same_byte_for_byte(talked, tmp_path):
    project, _ = talked
    file = export_run(project, "last", tmp_path / "run.jsonl")
    other = empty_project(tmp_path / "elsewhere" / "other")
    import_run(other, file)
    again = export_run(other, "last", tmp_path / "again.jsonl")
    assert again.read_bytes() == file.read_bytes()
    assert export_run(project, "last", tmp_path / "twice.jsonl").read_bytes() == file.read_bytes()


def test_a_packed_file_is_smaller_and_holds_the_same(talked, tmp_path):
    project, _ = talked
    plain, packed = (export_run(project, "last", tmp_path / name) for name in ("a.jsonl", "a.jsonl.gz"))
    assert gzip.decompress(packed.read_bytes()) == plain.read_bytes()
    assert packed.stat().st_size < plain.stat().st_size / 2
    assert import_run(empty_project(tmp_path / "p"), packed).new


def test_an_imported_run_is_resumed_without_paying_for_what_it_paid_for(tmp_path):
    folder = write_project(tmp_path / "one")
    crew = Crew.load("talk", project=folder, budget={"calls": 3})
    stopped = crew.run(GOAL)
    assert stopped.stopped_by == "budget"
    file = export_run(Project(folder), "last", tmp_path / "run.jsonl")
    other = Project(write_project(tmp_path / "two"))
    import_run(other, file)
    whole = run_talk(tmp_path / "three")
    done = Crew.load("talk", project=other).resume(find_run(other, "last"))
    assert (done.status, done.output, done.calls) == ("done", whole.output, whole.calls)
    performed = [
        r for r in open_store(other.database).recordings(done.run_id) if r.key.kind == "model" and r.epoch == 2
    ]
    assert len(performed) == whole.calls - stopped.calls


def test_a_run_that_failed_is_exported_too(tmp_path):
    model = FunctionModel(lambda request: ModelUnavailableError("down"))
    crew = Crew(roles=[Role(role="Ann", goal="Answer")], plan="none", models={"default": model}, project=tmp_path / "a")
    (tmp_path / "a").mkdir()
    with pytest.raises(Exception, match="down"):
        crew.run(GOAL)
    project = Project(tmp_path / "a")
    file = export_run(project, "last", tmp_path / "run.jsonl")
    effect = next(line for line in lines_of(file) if line["type"] == "effect" and line["kind"] == "model")
    assert effect["failure"]["code"] == "model_unavailable" and "response" not in effect
    other = empty_project(tmp_path / "b")
    import_run(other, file)
    row = find_run(other, "last")
    assert row.status == "failed" and row.result is None and "down" in row.error


def test_importing_the_same_run_again_changes_nothing(talked, tmp_path):
    project, result = talked
    file = export_run(project, "last", tmp_path / "run.jsonl")
    read = import_run(project, file)
    assert (read.run_id, read.new) == (result.run_id, False)
    assert len(list_runs(project)) == 1


def test_another_run_of_that_id_is_refused_unless_it_gets_a_new_id(talked, tmp_path):
    project, result = talked
    file = export_run(project, "last", tmp_path / "run.jsonl")
    other = empty_project(tmp_path / "other")
    import_run(other, file)
    open_store(other.database).submit(lambda db: db.execute("update runs set goal='another'")).result()
    with pytest.raises(RunFileError, match=f"another run {result.run_id}"):
        import_run(other, file)
    read = import_run(other, file, as_new=True)
    assert read.new and read.run_id != result.run_id
    row = find_run(other, read.run_id)
    assert row.goal == GOAL and row.result["run_id"] == read.run_id
    assert {e["run_id"] for e in run_events(other, read.run_id) if e["type"] == "RunStarted"} == {read.run_id}


# -- what is not in the file -----------------------------------------------------------------------------------------------


def machine_crew(folder: Path, docs: Path, asked: list[str]) -> Crew:
    """Two members; what the first one says, which the second one reads, names folders of this machine."""

    def answer(request):
        asked.append(request.messages[-1].content)
        return f"{speaking(request)}: it is in {folder}/notes.txt and {Path.home()}/other.txt"

    models = {"default": FunctionModel(answer)}
    roles = [Role(role=name, goal="Answer") for name in ("Ann", "Bob")]
    docs.mkdir(parents=True, exist_ok=True)
    (docs / "a.md").write_text("The gate opens at seven.\n")
    return Crew(roles=roles, plan="none", models=models, project=folder, knowledge=[str(docs)])


def test_folders_of_the_machine_are_not_in_the_file(tmp_path):
    folder, outside = tmp_path / "mine", tmp_path / "far" / "papers"
    folder.mkdir()
    machine_crew(folder, outside, []).run(f"What is in {folder}/notes.txt?")
    file = export_run(Project(folder), "last", tmp_path / "run.jsonl")
    text = file.read_text()
    assert str(tmp_path) not in text and str(Path.home()) not in text
    assert lines_of(file)[1]["definition"]["crew"]["knowledge"] == ["<<crewmix:project>>/papers"]
    other = empty_project(tmp_path / "elsewhere" / "theirs")
    import_run(other, file)
    row = find_run(other, "last")
    assert row.goal == f"What is in {other.root}/notes.txt?"
    assert row.definition["crew"]["knowledge"] == [f"{other.root}/papers"]


def test_a_run_that_named_a_folder_asks_for_nothing_anew_elsewhere(tmp_path):
    """The goal names the project's folder, which is another one after the import: what is asked then was asked before."""
    goal, asked = "What is in {}/notes.txt?", []
    for name in ("mine", "theirs"):
        (tmp_path / name / "crews").mkdir(parents=True)
    machine_crew(tmp_path / "mine", tmp_path / "mine" / "docs", asked).run(goal.format(tmp_path / "mine"))
    file = export_run(Project(tmp_path / "mine"), "last", tmp_path / "run.jsonl")
    theirs = Project(tmp_path / "theirs")
    import_run(theirs, file)
    row = find_run(theirs, "last")
    paid = len(asked)
    open_store(theirs.database).submit(
        lambda db: db.execute("update runs set status='interrupted', result=null")
    ).result()
    again = machine_crew(theirs.root, theirs.root / "docs", asked).resume(find_run(theirs, "last"))
    assert row.goal == goal.format(theirs.root) == again.goal
    assert again.status == "done" and len(asked) == paid


@given(
    st.recursive(
        st.none()
        | st.integers()
        | st.text()
        | st.sampled_from(["<<crewmix:project>>", "<<crewmix:mark>>", "<<crewmix:"]),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    ),
    st.lists(
        st.sampled_from(["/data/my project", "/data/my project/x", "/data/my projects", "<<crewmix:", "a", " ", "."])
    ),
)
def test_folders_come_back(data, parts):
    places = Places(Project(Path("/data/my project")))
    for value in (data, "".join(parts), {"".join(parts): ["".join(parts)]}):
        assert places.here(places.away(value)) == value


def test_only_whole_folders_are_exchanged(monkeypatch):
    monkeypatch.setenv("HOME", "/home/ann")
    places = Places(Project(Path("/home/ann/work")))
    text = "/home/ann/work /home/ann/work/a.md /home/ann/works /home/anna x/home/ann (/home/ann/work)"
    name, home = "<<crewmix:project>>", "<<crewmix:home>>"
    assert places.away(text) == f"{name} {name}/a.md {home}/works /home/anna x/home/ann ({name})"


def test_a_secret_of_today_is_not_in_the_file(talked, tmp_path, monkeypatch):
    project, _ = talked
    monkeypatch.setenv("LYON_API_KEY", "520,774 people")
    file = export_run(project, "last", tmp_path / "run.jsonl")
    assert "520,774" not in file.read_text() and "[redacted]" in file.read_text()
    assert all("520,774" not in line for line in training_lines(project, ["last"]))
    assert import_run(empty_project(tmp_path / "other"), file).new


def test_a_key_under_an_ordinary_name_is_not_in_the_file(tmp_path, monkeypatch):
    monkeypatch.setenv("LYON", "yes, the mayor says")
    folder = write_project(
        tmp_path / "p",
        crews__keyed__yaml="roles: [writer]\nplan: none\n"
        "models: {default: {model: scripted/scripts/keyed.yaml, api_key: '${LYON}'}}\n",
        scripts__keyed__yaml='rules:\n  - {text: "They told me: yes, the mayor says so."}\n',
    )
    Crew.load("keyed", project=folder).run(GOAL)
    assert "the mayor says" not in export_run(Project(folder), "last", tmp_path / "run.jsonl").read_text()


# -- fine-tuning -----------------------------------------------------------------------------------------------------------


def test_training_data_is_one_line_for_each_synthesis(tmp_path):
    synthesis = SynthesisSpec(method="critique_combine")
    roles = [Role(role=name, goal="Answer") for name in ("Zoe", "Adam")]
    model = FunctionModel(lambda r: "Zoe is too short." if r.brief.purpose == "critique" else speaking(r))
    fields = {"roles": roles, "models": {"default": model}, "synthesis": synthesis, "project": tmp_path, "name": "duo"}
    result = Crew(plan="none", **fields).run("Why?")
    (line,) = (json.loads(line) for line in training_lines(Project(tmp_path), ["last"]))
    assert [d["text"] for d in line["drafts"]] == ["zoe on Why?", "adam on Why?"]
    assert [d["role"] for d in line["drafts"]] == ["zoe", "adam"]
    assert line["answer"] == result.output and line["goal"] == line["question"] == "Why?"
    assert "Zoe is too short." in line["critique"] and line["method"] == "critique_combine"
    asked, answered = line["messages"]
    assert (asked["role"], answered) == ("user", {"role": "assistant", "content": result.output})
    for part in ("Why?", "zoe on Why?", "adam on Why?", "Zoe is too short."):
        assert part in asked["content"]
    (chat,) = (json.loads(line) for line in training_lines(Project(tmp_path), ["last"], "chat"))
    assert chat == {"messages": [{"role": "user", "content": "Why?"}, answered]}


def test_the_final_synthesis_is_an_example_of_its_own(talked):
    project, result = talked
    lines = [json.loads(line) for line in training_lines(project, ["last"])]
    assert [line["task"] for line in lines] == [""]
    assert [d["role"] for d in lines[0]["drafts"]] == ["facts", "verdict"]
    assert lines[0]["answer"] == result.output


def test_a_run_with_one_draft_or_without_a_result_has_no_examples(tmp_path):
    crew = Crew(
        roles=[Role(role="Ann", goal="Answer")],
        plan="none",
        chat=ChatSpec(pattern="round_robin"),
        models={"default": FunctionModel(lambda r: "yes")},
        project=tmp_path,
    )
    crew.run("Why?")
    assert list(training_lines(Project(tmp_path), ["last"])) == []


# -- the commands ----------------------------------------------------------------------------------------------------------


def test_the_commands_carry_a_run_from_one_project_to_another(tmp_path, capsys, monkeypatch):
    result = run_talk(tmp_path / "one")
    empty_project(tmp_path / "two")
    monkeypatch.chdir(tmp_path)
    said = cli("export", "last", project=tmp_path / "one", capsys=capsys)
    file = tmp_path / f"{result.run_id}.jsonl"
    assert file.name in said and file.exists()
    said = cli("import", str(file), project=tmp_path / "two", capsys=capsys)
    assert f"Run {result.run_id}: 6 effects and " in said
    assert cli("show", "last", project=tmp_path / "two", capsys=capsys) == cli(
        "show", "last", project=tmp_path / "one", capsys=capsys
    )
    assert "here already" in cli("import", str(file), project=tmp_path / "two", capsys=capsys)
    new = json.loads(cli("import", str(file), "--as-new", "--json", project=tmp_path / "two", capsys=capsys))
    assert new["new"] and len(list_runs(Project(tmp_path / "two"))) == 2


def test_stdout_gets_the_file_and_nothing_else(talked, tmp_path, capsys):
    project, _ = talked
    said = cli("export", "last", "-o", "-", project=project.root, capsys=capsys)
    assert said == export_run(project, "last", tmp_path / "run.jsonl").read_text()


def test_many_runs_make_one_training_file(tmp_path, capsys):
    for number in range(3):
        run_talk(tmp_path / "p", f"Is it {number}?")
    target = tmp_path / "all.jsonl.gz"
    said = cli("export", "--all", "--format", "training", "-o", str(target), project=tmp_path / "p", capsys=capsys)
    assert "3 examples from 3 runs" in said
    goals = [json.loads(line)["goal"] for line in gzip.decompress(target.read_bytes()).splitlines()]
    assert goals == ["Is it 0?", "Is it 1?", "Is it 2?"]
    named = [row.run_id for row in list_runs(Project(tmp_path / "p"))][:2]
    said = cli("export", *named, "--format", "chat", "-o", "-", project=tmp_path / "p", capsys=capsys)
    assert [list(json.loads(line)) for line in said.splitlines()] == [["messages"]] * 2


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "name runs"),
        (("last", "--all"), "goes without"),
        (("nothing",), "no run matches"),
        (("last", "-o", "no/such/folder/x.jsonl"), "cannot be written"),
        (("last", "--format", "xml"), "xml"),
    ],
)
def test_wrong_arguments_are_told(arguments, told, talked, capsys):
    assert run_app(["export", *arguments, "--project", str(talked[0].root)]) == 2
    assert told in capsys.readouterr().err


def test_a_file_that_cannot_be_written_leaves_nothing_behind(talked, tmp_path):
    (tmp_path / "taken").mkdir()
    with pytest.raises(UsageError, match="cannot be written"):
        export_run(talked[0], "last", tmp_path / "missing" / "x.jsonl")
    with pytest.raises(UsageError, match="cannot be written"):
        export_run(talked[0], "last", tmp_path / "taken")
    assert os.listdir(tmp_path) == ["taken"] and not os.listdir(tmp_path / "taken")


def test_a_project_without_runs_says_so(tmp_path):
    with pytest.raises(NotFoundError, match="has no runs yet"):
        export_run(empty_project(tmp_path / "p"), "last", tmp_path / "x.jsonl")


@pytest.fixture(autouse=True, scope="module")
def closed(talked):
    yield
    close(talked[0])
