"""What changed between the start of a run and its resumption is named; a run can go on as it was started."""

import json
import random
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from crewmix import Crew, ModelSpec, Role
from crewmix.definitions.compare import changes
from crewmix.definitions.load import define_crew, load_crew
from crewmix.definitions.project import Project, library_root
from crewmix.definitions.recorded import check_recorded, recorded_definition
from crewmix.definitions.spec import CrewSpec
from crewmix.errors import DefinitionError, ModelUnavailableError, NotFoundError, RunFileError, UsageError
from crewmix.journal.events import Warned
from crewmix.runs import find_run, resume
from crewmix.runs.replay import replay
from support.command import crewmix
from support.models import FunctionModel, speaking
from support.provider import Fault, Provider
from support.random_crews import random_crew
from support.scripted_project import write_project

SOME = settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.function_scoped_fixture],
)
LIBRARY = sorted(path.stem for path in (library_root() / "crews").glob("*.yaml"))


def as_json(definition):
    return json.loads(json.dumps(definition.as_dict()))


# -- a definition there and back -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LIBRARY)
def test_every_crew_of_the_library_comes_back_from_its_record(name, tmp_path):
    crew = load_crew(name, Project(tmp_path))
    again = recorded_definition(as_json(crew), tmp_path)
    assert again.as_dict() == crew.as_dict() and again.fingerprint() == crew.fingerprint()
    assert (again.roles, again.tasks, again.chat, again.models) == (crew.roles, crew.tasks, crew.chat, crew.models)
    check_recorded(again, "the crew")


@SOME
@given(seed=st.integers(0, 10**9))
def test_any_crew_comes_back_from_its_record(seed, tmp_path):
    models = {"default": "offline/extractive", "spare": "offline/extractive"}
    try:
        crew = Crew(project=tmp_path, models=models, **random_crew(random.Random(seed))).definition
    except (DefinitionError, UsageError):
        assume(False)
    again = recorded_definition(as_json(crew), tmp_path)
    assert again == replace(crew, files=())
    check_recorded(again, "the crew")


def test_crews_within_crews_come_back_too(tmp_path):
    write_project(tmp_path, crews__house__yaml="roles: [talk, writer]\nplan: none\nknowledge: [roles]\n")
    crew = load_crew("house", Project(tmp_path))
    again = recorded_definition(as_json(crew), tmp_path)
    assert again.as_dict() == crew.as_dict()
    assert again.crews["talk"].roles == crew.crews["talk"].roles and again.knowledge == (tmp_path / "roles",)


@st.composite
def damaged(draw):
    """A recorded definition in which something was replaced or taken out."""
    data = json.loads(json.dumps(load_crew("research", Project(Path("/nowhere"))).as_dict()))
    node = data
    while True:
        key = draw(st.sampled_from(sorted(node) if isinstance(node, dict) else range(len(node))))
        below = node[key]
        if not (isinstance(below, dict | list) and below) or draw(st.booleans()):
            break
        node = below
    if isinstance(node, dict) and draw(st.booleans()):
        del node[key]
    else:
        node[key] = draw(st.sampled_from([None, 7, -1, "x", "", [], {}, [[]], {"a": 1}, True, 1e300]))
    return data


@SOME
@given(data=damaged())
def test_a_damaged_record_is_told_and_nothing_else(data, tmp_path):
    try:
        crew = recorded_definition(data, tmp_path)
        check_recorded(crew, "the crew")
    except (RunFileError, DefinitionError) as error:
        assert error.message


# -- what differs ----------------------------------------------------------------------------------------------------------


def definition(tmp_path, **fields):
    roles = [Role(name=name, role=name, goal="Answer") for name in ("zoe", "adam")]
    spec = CrewSpec(**{"name": "duo", "roles": roles, "plan": "none", **fields})
    return as_json(define_crew(spec, Project(tmp_path)))


@pytest.mark.parametrize(
    ("fields", "places"),
    [
        ({}, ()),
        ({"budget": {"usd": 1}}, ("budget",)),
        ({"chat": {"max_turns": 5}}, ("chat.max_turns",)),
        ({"models": {"default": "offline/extractive", "spare": "ollama/x"}}, ("models.default.model", "models.spare")),
        ({"models": {"default": ModelSpec(model="auto", timeout=3)}}, ("models.default.timeout",)),
        ({"synthesizer": Role(name="synthesizer", role="S", goal="Merge")}, ("synthesizer.role", "synthesizer.goal")),
        ({"tasks": [{"id": "t", "description": "A"}]}, ("tasks",)),
        ({"plan": {"max_tasks": 3}}, ("plan",)),
        ({"description": "Two"}, ("description",)),
        ({"inputs": {"city": "Lyon"}}, ("inputs.city",)),
    ],
    ids=str,
)
def test_changes_are_named_by_their_place(fields, places, tmp_path):
    found = changes(definition(tmp_path), definition(tmp_path, **fields))
    assert found[: len(places)] == places and all(place.startswith(("synthesizer.", *places)) for place in found)


def test_roles_are_known_by_their_names_wherever_they_stand(tmp_path):
    zoe, adam, eve = (Role(name=name, role=name, goal="Answer") for name in ("zoe", "adam", "eve"))
    doubting = adam.model_copy(update={"backstory": "You doubt."})
    before = definition(tmp_path, roles=[zoe, adam])
    assert changes(before, definition(tmp_path, roles=[eve, zoe, doubting])) == (
        "roles.zoe",
        "roles.adam.backstory",
    ) or (
        set(changes(before, definition(tmp_path, roles=[eve, zoe, doubting]))) == {"roles.eve", "roles.adam.backstory"}
    )
    assert changes(before, definition(tmp_path, roles=[adam, zoe])) == ("roles",)
    assert changes(before, definition(tmp_path, roles=[zoe])) == ("roles.adam",)


# -- resuming ---------------------------------------------------------------------------------------------------------------

ROLE = "role: {name}\ngoal: Answer\nbackstory: You are brief.\n"
TOOL = '''from crewmix import tool

@tool
def note(text: str) -> str:
    """Write a line into the notebook."""
    return "written"
'''


def project(folder, provider):
    for kind in ("crews", "roles", "tools"):
        (folder / kind).mkdir(parents=True)
    for name in ("ann", "bob"):
        (folder / "roles" / f"{name}.yaml").write_text(ROLE.format(name=name))
    (folder / "tools" / "note.py").write_text(TOOL)
    (folder / "crews" / "duo.yaml").write_text(
        f"roles: [ann, bob]\nplan: none\nmodels: {{default: {{model: '{provider.model}', attempts: 1}}}}\n"
    )
    return Project(folder)


def stopped(home, provider):
    """A run of which ann's turn is paid and bob's failed."""
    provider.script("ann's answer", Fault("status", status=400, body={"error": {"message": "no"}}))
    result = Crew.load("duo", project=home).run("Why?")
    assert result.status == "partial"
    provider.script(*(["again"] * 10))
    provider.requests.clear()
    return result.run_id


def changed(result):
    return [w for w in result.warnings if "no longer as it was" in w]


def test_a_changed_role_is_named_before_any_call_and_in_the_result(tmp_path):
    with Provider() as provider:
        home = project(tmp_path, provider)
        run_id = stopped(home, provider)
        (tmp_path / "roles" / "bob.yaml").write_text(ROLE.format(name="bob").replace("brief", "thorough"))
        seen = []

        def watch(event):
            if isinstance(event, Warned) and event.code == "definition_changed":
                seen.append(len(provider.bodies))

        result = resume(home, run_id, on_event=watch)
        assert seen == [0], "told once, before the first call"
        assert len(changed(result)) == 1 and "`roles.bob.backstory`" in changed(result)[0]
        assert "ann" not in changed(result)[0]
        assert replay(home, run_id).same, "what the run really worked with is on record"


def test_an_unchanged_crew_is_not_named(tmp_path):
    with Provider() as provider:
        home = project(tmp_path, provider)
        assert changed(resume(home, stopped(home, provider))) == []


def test_what_is_given_with_resume_is_no_change(tmp_path):
    with Provider() as provider:
        home = project(tmp_path, provider)
        run_id = stopped(home, provider)
        spec = ModelSpec(model=provider.model, attempts=2)
        result = resume(home, run_id, budget={"calls": 50}, models={"default": spec})
        assert changed(result) == []


def test_a_model_and_a_limit_changed_in_the_file_are_named(tmp_path):
    with Provider() as provider:
        home = project(tmp_path, provider)
        run_id = stopped(home, provider)
        path = tmp_path / "crews" / "duo.yaml"
        path.write_text(path.read_text().replace("attempts: 1", "attempts: 2") + "budget: {calls: 40}\n")
        (told,) = changed(resume(home, run_id))
        assert "`models.default.attempts`" in told and "`budget`" in told


def test_a_changed_tool_is_named(tmp_path):
    with Provider() as provider:
        home = project(tmp_path, provider)
        (tmp_path / "roles" / "ann.yaml").write_text(ROLE.format(name="ann") + "tools: [note]\n")
        run_id = stopped(home, provider)
        (tmp_path / "tools" / "note.py").write_text(TOOL.replace('"written"', '"noted"'))
        (told,) = changed(resume(home, run_id))
        assert "`tools.note.code`" in told
        (tmp_path / "tools" / "note.py").write_text(TOOL.replace("a line", "a page"))


def test_a_run_goes_on_as_it_was_started_when_its_files_are_gone(tmp_path):
    with Provider() as provider:
        home = project(tmp_path, provider)
        run_id = stopped(home, provider)
        for path in (*tmp_path.glob("crews/*"), *tmp_path.glob("roles/*")):
            path.unlink()
        with pytest.raises(NotFoundError, match="--as-started"):
            resume(home, run_id)
        result = resume(home, run_id, as_started=True)
        assert result.status == "done" and changed(result) == []
        assert len(provider.bodies) == 2, "bob's turn and the synthesis; ann's was paid"


def test_as_started_ignores_an_edit(tmp_path):
    with Provider() as provider:
        home = project(tmp_path, provider)
        run_id = stopped(home, provider)
        (tmp_path / "roles" / "bob.yaml").write_text(ROLE.format(name="bob").replace("brief", "thorough"))
        result = resume(home, run_id, as_started=True)
        assert changed(result) == []
        assert all("thorough" not in json.dumps(body) for body in provider.bodies)


def test_a_crew_made_in_python_is_compared_too(tmp_path):
    fails = [True]
    model = FunctionModel(
        lambda r: ModelUnavailableError("down") if fails[0] and r.brief.role == "adam" else speaking(r)
    )
    roles = [Role(name=name, role=name, goal="Answer") for name in ("zoe", "adam")]
    fields = {"plan": "none", "models": {"default": model}, "project": tmp_path}
    Crew(roles=roles, **fields).run("Why?")
    fails[0] = False
    other = Crew(roles=[roles[0], roles[1].model_copy(update={"goal": "Doubt"})], **fields)
    result = other.resume(find_run(Project(tmp_path), "last"))
    assert "`roles.adam.goal`" in changed(result)[0]


def test_a_crew_made_in_python_can_go_on_as_started(tmp_path):
    fails = [True]
    model = FunctionModel(
        lambda r: ModelUnavailableError("down") if fails[0] and r.brief.role == "adam" else speaking(r)
    )
    roles = [Role(name=name, role=name, goal="Answer") for name in ("zoe", "adam")]
    Crew(roles=roles, plan="none", models={"default": model}, project=tmp_path).run("Why?")
    fails[0] = False
    with pytest.raises(UsageError, match="given in Python: default"):
        resume(Project(tmp_path), "last", as_started=True)
    assert resume(Project(tmp_path), "last", as_started=True, models={"default": model}).output == "merged 2 of Why?"


def test_resume_on_the_command_line_names_the_change(tmp_path):
    write_project(tmp_path)
    crewmix("run", "poor", "Is Lyon large enough?", cwd=tmp_path, check=None)
    (tmp_path / "roles" / "critic.yaml").write_text("role: Critic\ngoal: Find what is right.\napproves: true\n")
    done = crewmix("resume", "last", "--budget", "calls=9", cwd=tmp_path)
    assert "`roles.critic.goal`" in done.stdout + done.stderr and "budget" not in done.stderr
    (tmp_path / "crews" / "poor.yaml").unlink()
    crewmix("run", "broken", "Why?", cwd=tmp_path, check=1)
    (tmp_path / "crews" / "broken.yaml").unlink()
    gone = crewmix("resume", "last", cwd=tmp_path, check=2)
    assert "--as-started" in gone.stderr
    (tmp_path / "scripts" / "broken.yaml").write_text("rules:\n  - {text: It works.}\n")
    assert "It works." in crewmix("resume", "last", "--as-started", cwd=tmp_path).stdout
