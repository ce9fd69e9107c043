"""People who speak and are asked, from Python: in every pattern, by functions of any kind, through tools."""

import asyncio
import json
import threading

import pytest

from crewmix import ApproveSpec, Crew, ModelReply, Role, tool
from crewmix.definitions.project import Project
from crewmix.errors import (
    WaitingError,
)
from crewmix.models.types import ToolCall
from crewmix.runs import find_run
from crewmix.runs.waiting import answer, open_questions
from crewmix.tools.people import Consent
from support.models import FunctionModel, speaking
from support.people import ANNA, ZOE, crew, texts

# -- speaking ---------------------------------------------------------------------------------------------------------------

NODES = {"begin": {"role": "zoe", "next": "anna"}, "anna": {"role": "anna", "fields": {"city": "text"}}}
PATTERNS = {
    "round_robin": {},
    "selector": {"select": {"function": "choose:in_turn"}},
    "layers": {"layers": 3, "proposers": [{"role": "anna", "count": 1}, "zoe"]},
    "vote": {"proposers": [{"role": "anna", "count": 1}, "zoe"]},
    "debate": {"rounds": 2},
    "graph": {"nodes": NODES},
    "handoff": {},
}


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_person_has_a_seat_in_every_pattern(pattern, tmp_path):
    (tmp_path / "choose.py").write_text("def in_turn(chat):\n    return ['zoe', 'anna', None][chat.round]\n")
    asked = []

    def ask(question):
        asked.append(question)
        return "city: Lyon" if pattern == "graph" else "I say Lyon."

    roles = [ANNA, ZOE] if pattern == "handoff" else [ZOE, ANNA]
    result = crew(tmp_path, roles=roles, chat={"pattern": pattern, **PATTERNS[pattern]}).run("Where?", ask=ask)
    said = "city: Lyon" if pattern == "graph" else "I say Lyon."
    assert asked and {(q.kind, q.role, q.task) for q in asked} == {("turn", "anna", "answer")}
    assert texts(result, "anna") == [said] * len(asked)
    assert result.status == "done"


def test_a_person_can_be_the_one_who_approves(tmp_path):
    boss = ANNA.model_copy(update={"name": "boss", "approves": True})
    answers = iter(["Shorter, please.", "approve"])
    team = crew(tmp_path, roles=[ZOE, boss], chat={"stop_when": "approved", "max_turns": 9})
    result = team.run("Where?", ask=lambda question: next(answers))
    assert [(m.role, m.verdict) for m in result.messages] == [
        ("zoe", None),
        ("boss", "revise"),
        ("zoe", None),
        ("boss", "approve"),
    ]


@pytest.fixture
def nested(tmp_path):
    """A crew whose member is a crew with a person in it."""
    (tmp_path / "crews").mkdir()
    (tmp_path / "roles").mkdir()
    (tmp_path / "roles/anna.yaml").write_text("role: Owner\ngoal: Decide.\nactor: human\n")
    (tmp_path / "roles/zoe.yaml").write_text("role: Zoe\ngoal: Answer.\n")
    (tmp_path / "crews/inner.yaml").write_text("roles: [anna]\nplan: none\n")
    (tmp_path / "crews/outer.yaml").write_text("roles: [zoe, inner]\nplan: none\n")
    return lambda model: Crew.load("outer", project=tmp_path, models={"default": model})


def test_a_person_in_a_crew_within_the_crew_is_asked_and_waited_for(nested, tmp_path):
    assert texts(nested(FunctionModel(speaking)).run("Where?", ask=lambda q: "In Porto."), "inner") == ["In Porto."]
    model = FunctionModel(speaking)
    with pytest.raises(WaitingError, match="anna is to speak"):
        nested(model).run("Where?", wait=True)
    answer(Project(tmp_path), "last", "In Nice.")
    result = nested(model).resume(find_run(Project(tmp_path), "last"))
    assert (texts(result, "inner"), len(model.asked("speak"))) == (["In Nice."], 1)


# -- functions that ask ------------------------------------------------------------------------------------------------------


def test_functions_may_block_and_run_outside_of_the_loop(tmp_path):
    threads = []

    def ask(question):
        threads.append(threading.current_thread().name)
        return "Lyon."

    crew(tmp_path, roles=[ANNA]).run("Where?", ask=ask)
    assert threads == ["crewmix-person"]


def broken(question):
    raise EOFError("no terminal")


@pytest.mark.parametrize(("ask", "words"), [(broken, "EOFError: no terminal"), (lambda q: 7, "`ask` gave 7 (int)")])
def test_a_function_that_fails_or_talks_nonsense_fails_the_turn_and_is_told(ask, words, tmp_path):
    result = crew(tmp_path, roles=[ZOE, ANNA]).run("Where?", ask=ask)
    assert any("anna" in warning and words in warning for warning in result.warnings), result.warnings


async def test_a_person_who_hangs_is_left_and_asked_again(tmp_path):
    asked, hang = asyncio.Event(), asyncio.Event()
    here = asyncio.get_running_loop()

    async def never(question):
        here.call_soon_threadsafe(asked.set)
        while not hang.is_set():  # does not want to stop
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                hang.set()
        await asyncio.Event().wait()

    team = crew(tmp_path, roles=[ZOE, ANNA])
    run = asyncio.create_task(team.arun("Where?", ask=never))
    await asked.wait()
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(run, 3)
    row = find_run(team.project, "last")
    assert (row.status, [q.kind for q in open_questions(team.project, "last")]) == ("cancelled", ["turn"])
    result = await asyncio.to_thread(team.resume, row, ask=lambda q: "Lyon.")
    assert texts(result, "anna") == ["Lyon."]


def test_the_time_a_person_takes_is_not_the_turns(tmp_path):
    async def think(question):
        await asyncio.sleep(0.4)
        return "After some thought: Lyon."

    result = crew(tmp_path, roles=[ANNA], chat={"turn_seconds": 0.1}).run("Where?", ask=think)
    assert result.output == "After some thought: Lyon."


# -- tools that ask, worked by a crewAI agent ----------------------------------------------------------------------------------

CALLS = {0: ("ask_user", {"question": "To whom?"}), 1: ("send", {"to": "Ada"})}


def sending(request):
    """Asks the user, sends, and is done; how far it is stands in what it is shown."""
    done = sum(message.role == "tool" for message in request.messages)
    if done not in CALLS:
        return "Sent."
    name, arguments = CALLS[done]
    call = ToolCall(f"call_{done}", name, json.dumps(arguments))
    return ModelReply("", (call,), "tool_calls", model="python/test")


@tool(risk="write")
def send(to: str) -> str:
    """Send a letter."""
    SENT.append(to)
    return f"sent to {to}"


SENT: list[str] = []


def sender(tmp_path, **fields):
    role = Role(name="sender", role="Sender", goal="Send it.", tools=["ask_user", "send"])
    models = {"default": FunctionModel(sending)}
    return Crew(roles=[role], plan="none", models=models, tools=[send], project=tmp_path, **fields)


def test_a_role_asks_the_user_and_for_consent_and_both_can_come_days_later(tmp_path):
    SENT.clear()
    with pytest.raises(WaitingError, match="sender asks: To whom"):
        sender(tmp_path).run("Send it.", wait=True)
    project = Project(tmp_path)
    answer(project, "last", "To Ada.")
    with pytest.raises(WaitingError, match=r'sender wants to run send with \{"to":"Ada"\}'):
        sender(tmp_path).resume(find_run(project, "last"), wait=True)
    [question] = open_questions(project, "last")
    assert (question.kind, SENT) == ("approval", [])
    answer(project, "last", Consent.ALWAYS)
    result = sender(tmp_path).resume(find_run(project, "last"))
    assert (result.output, SENT) == ("Sent.", ["Ada"])


def test_with_nobody_there_the_role_is_told_and_goes_on(tmp_path):
    SENT.clear()
    texts = []
    rules = [ApproveSpec(tools="send", by="always", arguments={"to": "A*"})]

    def see(event):
        if event.type == "ToolCalled":
            texts.append((event.tool, event.text))

    assert sender(tmp_path, approve=rules).run("Send it.", on_event=see).output == "Sent."
    assert SENT == ["Ada"] and texts[0][0] == "ask_user"
    assert "nobody can be asked" in texts[0][1] and "say in your answer what you assumed" in texts[0][1]
