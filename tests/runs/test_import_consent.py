"""What a person allowed counts where it was allowed, not where a file of the run is read."""

import pytest

from crewmix import Crew, ModelReply, Role, tool
from crewmix.definitions.project import Project
from crewmix.models.types import ToolCall
from crewmix.runs import export_run, find_run, fork, import_run
from crewmix.tools.people import Consent
from support.models import FunctionModel

written: list[str] = []


@tool(risk="write")
def note(text: str) -> str:
    """Write a line into the notebook."""
    written.append(text)
    return "written"


def noting(request):
    done = any(message.role == "tool" for message in request.messages)
    call = ToolCall("1", "note", '{"text": "once"}')
    return "It is noted." if done else ModelReply("", tool_calls=(call,))


@pytest.mark.parametrize(("imported", "asked"), [(False, 0), (True, 1)])
def test_a_standing_consent_does_not_travel_with_a_file(imported, asked, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    roles = [Role(name=name, role=name, goal="Note it.", tools=("note",)) for name in ("ann", "bob")]
    model = FunctionModel(noting)
    crew = Crew(roles=roles, plan="none", tools=[note], models={"default": model}, project=home)
    run_id = crew.run("Note it.", approve=lambda *_: Consent.ALWAYS).run_id
    if imported:
        file = export_run(Project(home), run_id, tmp_path / "run.jsonl")
        home = tmp_path / "elsewhere"
        home.mkdir()
        assert import_run(Project(home), file).run_id == run_id
        assert "imported" not in file.read_text()
    questions = []

    def approve(context, wanted, arguments):
        questions.append(wanted.name)
        return True

    again = fork(
        Project(home),
        run_id,
        scope="task.answer/chat/round.2",
        tools=[note],
        models={"default": model},
        approve=approve,
    )
    assert again.output == "It is noted."
    assert questions == ["note"] * asked
    assert find_run(Project(home), again.run_id).definition["forked_from"] == run_id
