"""Two runs side by side."""

import json
from decimal import Decimal

import pytest

from crewmix import Crew, ModelReply, Role
from crewmix.definitions.project import Project
from crewmix.errors import ModelUnavailableError, NotFoundError, RunError
from crewmix.models.types import Usage
from crewmix.runs.diff import diff, unified
from crewmix.runs.fork import fork
from support.command import crewmix
from support.models import FunctionModel, speaking
from support.scripted_project import write_project

ROLES = [Role(name=name, role=name.title(), goal="Answer") for name in ("zoe", "adam")]


def priced(request):
    text = speaking(request)
    if "doubt" in request.messages[0].content and request.brief.role == "adam":
        text = "adam doubts it"
    return ModelReply(text, usage=Usage(10, 10), cost=Decimal("0.01"))


def crew(model, tmp_path, **fields):
    return Crew(models={"default": model}, project=tmp_path, **{"roles": ROLES, "plan": "none", **fields})


def test_a_fork_and_its_parent_side_by_side(tmp_path):
    model = FunctionModel(priced)
    project = Project(tmp_path)
    first = crew(model, tmp_path).run("Why?")
    second = fork(project, "last", settings=["roles.adam.backstory=You doubt."], models={"default": model})
    found = diff(project, first.run_id, second.run_id)
    assert [(c.place, c.before, c.after) for c in found.definition] == [("roles.adam.backstory", "", "You doubt.")]
    assert [(c.place, c.before, c.after) for c in found.drafts] == [("answer / adam", "adam on Why?", "adam doubts it")]
    assert found.plan == () and found.answer is None and found.same
    assert (found.first.calls, found.first.tokens, found.first.cost) == (3, 60, Decimal("0.03"))
    assert (found.second.calls, found.second.tokens, found.second.cost) == (2, 40, Decimal("0.02"))
    assert found.first.models == found.second.models
    assert json.loads(json.dumps(found.as_dict()))["second"]["cost"] == "0.02"


def test_a_run_differs_in_nothing_from_itself(tmp_path):
    crew(FunctionModel(priced), tmp_path).run("Why?")
    found = diff(Project(tmp_path), "last", "last")
    assert found.same and not (found.definition or found.plan or found.drafts)


def test_another_goal_gives_another_answer(tmp_path):
    team = crew(FunctionModel(priced), tmp_path)
    first, second = team.run("Why?"), team.run("How?")
    found = diff(Project(tmp_path), first.run_id, second.run_id)
    assert not found.same and (found.answer.before, found.answer.after) == ("merged 2 of Why?", "merged 2 of How?")
    assert [c.place for c in found.definition] == ["goal"]
    assert [c.place for c in found.plan] == ["answer.description"]


def test_tasks_that_only_one_plan_has(tmp_path):
    def tasks(*names):
        return [{"id": name, "description": f"Do {name}"} for name in names]

    model = FunctionModel(priced)
    first = crew(model, tmp_path, tasks=tasks("one", "two")).run("Why?")
    second = crew(model, tmp_path, tasks=tasks("two", "three")).run("Why?")
    found = diff(Project(tmp_path), first.run_id, second.run_id)
    assert [(c.place, c.before, c.after) for c in found.plan] == [("one", "Do one", None), ("three", None, "Do three")]
    assert [c.place for c in found.drafts] == ["one / zoe", "one / adam", "three / zoe", "three / adam"]


def test_a_failed_run_has_no_answer(tmp_path):
    first = crew(FunctionModel(priced), tmp_path).run("Why?")
    with pytest.raises(RunError):
        crew(FunctionModel(lambda r: ModelUnavailableError("down")), tmp_path).run("Why?")
    found = diff(Project(tmp_path), first.run_id, "last")
    assert found.second.status == "failed" and found.second.calls == 0
    assert (found.answer.before, found.answer.after) == (first.output, None)


def test_an_unknown_run_is_named(tmp_path):
    crew(FunctionModel(priced), tmp_path).run("Why?")
    with pytest.raises(NotFoundError, match="nobody"):
        diff(Project(tmp_path), "last", "nobody")


def test_unified_shows_changed_lines_only():
    assert unified("a\nb\nc", "a\nB\nc") == ["@@ -1,3 +1,3 @@", " a", "-b", "+B", " c"]
    assert unified("a", "a") == [] and unified(None, "a") == ["@@ -0,0 +1 @@", "+a"]


def test_diff_on_the_command_line(tmp_path):
    write_project(tmp_path)
    crewmix("run", "talk", "Is Lyon large enough?", cwd=tmp_path)
    first = json.loads(crewmix("runs", "--json", cwd=tmp_path).stdout)[0]["run_id"]
    assert "The answers are the same." in crewmix("diff", first, "last", cwd=tmp_path).stdout
    script = tmp_path / "scripts" / "talk.yaml"
    script.write_text(script.read_text().replace("which is enough.", "which is too few."))
    crewmix("fork", "last", "--from", "synthesis", cwd=tmp_path)
    told = crewmix("diff", first, "last", cwd=tmp_path, check=1).stdout
    assert "-Lyon has 520,774 people, which is enough." in told
    assert "+Lyon has 520,774 people, which is too few." in told
    assert "\x1b" not in told and "Drafts:" not in told
    data = json.loads(crewmix("diff", first, "last", "--json", cwd=tmp_path, check=1).stdout)
    assert data["same"] is False and data["drafts"] == [] and data["second"]["calls"] == 1
    crewmix("diff", first, "nobody", cwd=tmp_path, check=2)
