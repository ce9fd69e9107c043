"""A run is worked again from its journal alone, and comes to the same."""

import asyncio
import json
import random
import sqlite3

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from crewmix import BudgetSpec, Crew, Role
from crewmix.definitions.project import Project
from crewmix.errors import (
    BudgetExceededError,
    ContentFilteredError,
    DefinitionError,
    ModelUnavailableError,
    NotFoundError,
    ReplayMissError,
    RunCancelledError,
    RunError,
    UsageError,
    WaitingError,
)
from crewmix.runs import find_run
from crewmix.runs.replay import replay
from support.command import crewmix
from support.models import FunctionModel, speaking
from support.random_crews import Moody, random_crew
from support.scripted_project import write_project

ROLES = [Role(name=name, role=name.title(), goal="Answer") for name in ("zoe", "adam")]
SOME = settings(
    max_examples=80,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.function_scoped_fixture],
)


def crew(model, tmp_path, **fields):
    return Crew(models={"default": model}, project=tmp_path, **{"roles": ROLES, "plan": "none", **fields})


def content(folder):
    """Every row of the project's journal."""
    with sqlite3.connect(folder / ".crewmix" / "crewmix.db") as db:
        return [db.execute(f"select * from {table}").fetchall() for table in ("runs", "effects", "events")]


@SOME
@given(
    seed=st.integers(0, 10**9),
    refusing=st.sampled_from([0.0, 0.1, 0.4]),
    budget=st.sampled_from(
        [None, None, {"calls": 1}, {"calls": 4}, {"calls": 9}, {"tokens": 9_000}, {"tokens": 20_000}]
    ),
)
def test_any_run_replays_to_its_end(seed, refusing, budget, tmp_path):
    fields = random_crew(random.Random(seed))
    model = FunctionModel(Moody(seed, refusing))
    models = {"default": model, **({"spare": model} if "'spare'" in str(fields["chat"]) else {})}
    try:
        team = Crew(models=models, project=tmp_path, **fields, budget=budget)
    except DefinitionError:
        assume(False)
    try:
        ended = team.run("Why?")
    except (RunError, BudgetExceededError) as error:
        ended = error
    asked, kept = len(model.requests), content(tmp_path)
    again = replay(Project(tmp_path), "last")
    assert again.same, again.difference
    if isinstance(ended, Exception):
        assert type(again.error) is type(ended)
        assert again.error.message == ended.message or isinstance(ended, BudgetExceededError)
    else:
        assert again.result.output == ended.output and again.result.messages == ended.messages
        assert (again.result.calls, again.result.usage, again.result.cost) == (ended.calls, ended.usage, ended.cost)
    assert len(model.requests) == asked, "nothing was asked"
    assert content(tmp_path) == kept, "nothing was written"


def test_a_crew_within_a_crew_replays_too(tmp_path):
    write_project(
        tmp_path,
        crews__house__yaml="roles: [talk, writer]\nplan: none\nmodels: {default: scripted/scripts/talk.yaml}\n",
    )
    first = Crew.load("house", project=tmp_path).run("Is Lyon large enough?")
    again = replay(Project(tmp_path), "last")
    assert again.same and (again.result.calls, again.result.messages) == (first.calls, first.messages)


def test_a_model_that_another_stood_in_for_does_so_again(tmp_path):
    write_project(
        tmp_path,
        crews__spare__yaml="""roles: [writer]
plan: none
models:
  default: {model: scripted/scripts/broken.yaml, attempts: 1, fallback: [other]}
  other: scripted/scripts/talk.yaml
""",
    )
    first = Crew.load("spare", project=tmp_path).run("Is Lyon large enough?")
    again = replay(Project(tmp_path), "last")
    assert again.same and again.result.output == first.output == "Lyon is large enough."


async def test_what_a_person_said_is_said_again(tmp_path):
    roles = [ROLES[0], Role(name="guest", role="Guest", goal="Answer", actor="human")]
    team = crew(FunctionModel(speaking), tmp_path, roles=roles)
    with pytest.raises(WaitingError):
        await team.arun("Why?", wait=True)
    waiting = await asyncio.to_thread(replay, Project(tmp_path), "last")
    assert waiting.same and isinstance(waiting.error, WaitingError)

    async def ask(question):
        return "Because."

    row = find_run(Project(tmp_path), "last")
    result = await asyncio.to_thread(team.resume, row, ask=ask)
    again = await asyncio.to_thread(replay, Project(tmp_path), "last")
    assert again.same and again.result.messages == result.messages and result.messages[-1].text == "Because."


def test_a_run_that_was_cut_off_replays_to_where_it_was_cut(tmp_path):
    model = FunctionModel(lambda r: RunCancelledError("stop") if r.brief.role == "adam" else speaking(r))
    with pytest.raises(RunCancelledError):
        crew(model, tmp_path).run("Why?")
    with pytest.raises(ReplayMissError, match=r"ends here.*round.2/adam/model was begun, but never answered"):
        replay(Project(tmp_path), "last")


def test_a_replay_of_other_words_shows_the_nearest_recording_and_the_first_difference(tmp_path):
    team = crew(FunctionModel(speaking), tmp_path)
    team.run("Why is the sky blue?")
    row = find_run(Project(tmp_path), "last")
    asked = FunctionModel(speaking)
    with pytest.raises(ReplayMissError) as caught:
        crew(asked, tmp_path, roles=[ROLES[0], ROLES[1].model_copy(update={"goal": "Answer at once"})]).replay(row)
    told = str(caught.value)
    assert "model effect at task.answer/chat/round.2/adam/model" in told and "the same place" in told
    assert "$.messages[0].content" in told
    recorded, now = (line for line in told.splitlines() if "Answer" in line)
    assert recorded.lstrip().startswith("recorded:") and "Answer at once" not in recorded
    assert now.lstrip().startswith("asked:") and "Answer at once" in now
    assert asked.requests == []


def test_the_nearest_recording_of_a_new_place_is_one_of_the_same_role(tmp_path):
    crew(FunctionModel(speaking), tmp_path).run("Why?")
    row = find_run(Project(tmp_path), "last")
    with pytest.raises(ReplayMissError) as caught:
        crew(FunctionModel(speaking), tmp_path, chat={"max_turns": 4}).replay(row)
    assert "round.3/zoe/model" in str(caught.value) and "nearest recording: task.answer/chat/round.1/zoe/model" in str(
        caught.value
    )


def test_a_run_without_any_answer_says_so(tmp_path):
    with pytest.raises(BudgetExceededError):
        crew(FunctionModel(speaking), tmp_path, budget=BudgetSpec(tokens=1)).run("Why?")
    row = find_run(Project(tmp_path), "last")
    with pytest.raises(ReplayMissError, match="holds no answer"):
        crew(FunctionModel(speaking), tmp_path, roles=ROLES[1:]).replay(row)


def test_failures_are_met_again(tmp_path):
    def answer(request):
        return ContentFilteredError("refused") if request.brief.role == "zoe" else speaking(request)

    result = crew(FunctionModel(answer), tmp_path).run("Why?")
    again = replay(Project(tmp_path), "last")
    assert again.same and again.result.status == result.status == "partial"
    assert again.result.warnings == result.warnings


def test_a_failed_run_fails_again_in_the_same_way(tmp_path):
    with pytest.raises(RunError) as first:
        crew(FunctionModel(lambda r: ModelUnavailableError("down")), tmp_path).run("Why?")
    again = replay(Project(tmp_path), "last")
    assert again.same and again.error.message == first.value.message
    assert again.as_dict()["error"]["code"] == first.value.code and again.as_dict()["result"] is None


def test_a_resumed_run_replays_as_a_whole(tmp_path):
    fails = [True]

    def answer(request):
        return ModelUnavailableError("down") if fails[0] and request.brief.role == "adam" else speaking(request)

    team = crew(FunctionModel(answer), tmp_path)
    assert team.run("Why?").status == "partial"
    fails[0] = False
    whole = team.resume(find_run(Project(tmp_path), "last"))
    again = replay(Project(tmp_path), "last")
    assert again.same and again.result.output == whole.output == "merged 2 of Why?"


def test_a_changed_journal_is_noticed(tmp_path):
    crew(FunctionModel(speaking), tmp_path).run("Why?")
    with sqlite3.connect(tmp_path / ".crewmix" / "crewmix.db") as db:
        changed = "update runs set result = replace(result, 'merged 2', 'MERGED 2')"
        db.execute(changed)
    again = replay(Project(tmp_path), "last")
    assert not again.same and again.difference.startswith("$.output: recorded")
    assert "MERGED" in again.difference and "merged" in again.difference


def test_a_role_with_tools_replays_without_crewai_and_without_the_tool(tmp_path):
    write_project(
        tmp_path,
        crews__noted__yaml="roles: [noter, writer]\nplan: none\nmodels: {default: scripted/scripts/noted.yaml}\n",
        roles__noter__yaml="role: Noter\ngoal: Note it.\ntools: [note]\n",
        tools__note__py='''from pathlib import Path
from crewmix import tool

@tool
def note(text: str) -> str:
    """Write a line into the notebook."""
    with Path(__file__).with_name("notes.txt").open("a") as book:
        book.write(text + chr(10))
    return "written"
''',
        scripts__noted__yaml="""rules:
  - {role: noter, times: 1, tool_calls: [{name: note, arguments: {text: once}}]}
  - {role: noter, text: It is noted.}
  - {role: writer, text: It is written.}
  - {purpose: synthesize, text: Noted and written.}
""",
    )
    assert "Noted and written." in crewmix("run", "noted", "Note it.", cwd=tmp_path).stdout
    for name in ("crews/noted.yaml", "roles/noter.yaml", "roles/writer.yaml", "tools/note.py", "scripts/noted.yaml"):
        (tmp_path / name).unlink()
    again = crewmix("replay", "last", cwd=tmp_path)
    assert "Noted and written." in again.stdout and "replayed: the same as recorded" in again.stdout
    assert (tmp_path / "tools" / "notes.txt").read_text() == "once\n"


def test_replay_on_the_command_line(tmp_path):
    write_project(tmp_path)
    crewmix("run", "talk", "Is Lyon large enough?", cwd=tmp_path)
    told = json.loads(crewmix("replay", "last", "--json", cwd=tmp_path).stdout)
    assert told["same"] is True and told["difference"] is None
    assert told["result"]["output"] == "Lyon has 520,774 people, which is enough."
    (tmp_path / "roles" / "critic.yaml").write_text("role: Critic\ngoal: Find what is right.\napproves: true\n")
    missed = crewmix("replay", "last", "--as-now", cwd=tmp_path, check=1)
    assert "Find what is wrong" in missed.stderr and "Find what is right" in missed.stderr
    assert "Traceback" not in missed.stderr
    crewmix("replay", "last", cwd=tmp_path)
    crewmix("replay", "nobody", cwd=tmp_path, check=2)


def test_another_model_in_the_file_is_shown(tmp_path):
    write_project(tmp_path)
    crewmix("run", "talk", "Is Lyon large enough?", cwd=tmp_path)
    path = tmp_path / "crews" / "talk.yaml"
    path.write_text(path.read_text().replace("scripted/scripts/talk.yaml", "offline/extractive"))
    missed = crewmix("replay", "last", "--as-now", cwd=tmp_path, check=1)
    assert "$.model" in missed.stderr and "offline/extractive" in missed.stderr
    path.write_text(path.read_text().replace("offline/extractive", "openai/gpt-5"))
    assert "OPENAI_API_KEY" in crewmix("replay", "last", "--as-now", cwd=tmp_path, check=2).stderr


def test_a_key_is_not_needed_for_a_replay(tmp_path, monkeypatch):
    from support.provider import Provider

    with Provider("the answer") as provider:
        spec = {"model": provider.model, "api_key": "plain-secret-value-123"}
        crew(FunctionModel(speaking), tmp_path, roles=ROLES[:1])
        Crew(roles=ROLES[:1], plan="none", models={"default": spec}, project=tmp_path).run("Why?")
    again = replay(Project(tmp_path), "last")
    assert again.same and again.result.output == "the answer"


def test_a_run_answers_the_requests_of_another_run(tmp_path):
    first = crew(FunctionModel(speaking), tmp_path).run("Why?")
    team = Crew(roles=ROLES, plan="none", models={"default": f"replay/{first.run_id}"}, project=tmp_path)
    second = team.run("Why?")
    assert second.output == first.output and second.run_id != first.run_id
    assert second.cost == 0 and second.models["default"][0] == f"replay/{first.run_id}"
    with pytest.raises(ReplayMissError, match=r"replay/.* holds no answer(.|\n)*content(.|\n)*Why not"):
        team.run("Why not?")


def test_equal_requests_get_the_recorded_answers_in_turn(tmp_path):
    numbers = iter(range(100))
    votes = {"chat": {"pattern": "vote", "samples": 3}, "roles": ROLES[:1], "synthesis": {"method": "similarity"}}
    first = crew(FunctionModel(lambda r: f"answer {next(numbers)}"), tmp_path, **votes).run("Why?")
    team = Crew(models={"default": f"replay/{first.run_id}"}, project=tmp_path, plan="none", **votes)
    assert [d.text for d in team.run("Why?").drafts] == [d.text for d in first.drafts]


def test_an_unknown_run_cannot_answer(tmp_path):
    team = Crew(roles=ROLES, plan="none", models={"default": "replay/nothing"}, project=tmp_path)
    with pytest.raises(NotFoundError, match="nothing"):
        team.run("Why?")


def test_a_pattern_given_in_python_must_be_given_again(tmp_path):
    def twice(chat):
        return "zoe" if len(chat.messages) < 2 else None

    model = FunctionModel(speaking)
    Crew(models={"default": model}, project=tmp_path, roles=ROLES, plan="none", pattern=twice).run("Why?")
    with pytest.raises(UsageError, match="pattern"):
        replay(Project(tmp_path), "last")
    assert replay(Project(tmp_path), "last", pattern=twice).same
