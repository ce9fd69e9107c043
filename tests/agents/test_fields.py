"""Replies in fields, samples, and passing on, whoever works the role."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crewmix.agents.base import Actor
from crewmix.agents.factory import make_actor
from crewmix.agents.replies import as_words, fields_wanted, from_words
from crewmix.chat.graph.fields import made_up, schema_of
from crewmix.definitions.spec import Role
from crewmix.errors import QuotaError
from crewmix.journal.events import TextDelta
from crewmix.models import structured
from crewmix.models.gateway import Gateway
from crewmix.models.resolve import resolve
from crewmix.models.types import Brief, ModelReply, ModelRequest, ToolCall
from crewmix.tools.base import Tool, ToolContext
from crewmix.tools.people import People, Question
from support.models import FunctionModel
from support.turns import Stage, open_stage

KINDS = {"summary": "text", "score": "number", "done": "boolean", "gaps": "list", "kind": ("bug", "idea")}
SCHEMA: Any = schema_of(KINDS)  # pyright: ignore[reportArgumentType]
DATA = {"summary": "It is tall.", "score": 7, "done": True, "gaps": ["height", "age"], "kind": "idea"}
WORDS = "summary: It is tall.\nscore: 7\ndone: yes\ngaps:\n- height\n- age\nkind: idea"

THINKER = Role(name="solver", role="Solver", goal="Solve.")
AGENT = Role(name="solver", role="Solver", goal="Solve.", actor="crewai")
SEARCHER = Role(name="searcher", role="Searcher", goal="Search.", tools=("search",), max_iter=3)
CRITIC = Role(name="critic", role="Critic", goal="Find mistakes.", approves=True)


async def _search(arguments: Any, _: ToolContext) -> str:
    return f"found {arguments['query']}"


SEARCH = Tool("search", "Searches.", {"type": "object", "properties": {"query": {"type": "string"}}}, _search)
MakeActor = Callable[[Role, FunctionModel], Any]


@pytest.fixture
async def actor_of(stage: Stage) -> AsyncIterator[MakeActor]:
    """Makes the actor of a role whose model is a function, behind the real gateway."""
    gateways: list[Gateway] = []

    async def make(role: Role, model: FunctionModel) -> Actor:
        gateway = Gateway(await resolve({"default": model}, environ={}, probe=False))
        gateways.append(gateway)
        return make_actor(role, gateway, {"search": SEARCH}, stage.context)

    yield make
    for gateway in gateways:
        await gateway.close()


# -- models --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", [THINKER, AGENT], ids=["direct", "crewai"])
@pytest.mark.parametrize("wrap", ["{}", "Here it is:\n```json\n{}\n```"], ids=["bare", "fenced"])
async def test_a_reply_in_fields_is_data_and_reads_as_words(stage: Stage, actor_of: MakeActor, role: Role, wrap: str):
    model = FunctionModel(lambda _: wrap.replace("{}", json.dumps(DATA)))

    said = await (await actor_of(role, model)).speak(stage.turn(role, schema=SCHEMA))

    assert said.ok
    assert said.data == DATA
    assert said.text == WORDS
    assert len(model.requests) == 1
    assert stage.seen(TextDelta) == [] or role is AGENT


async def test_a_direct_call_asks_for_the_schema_and_an_agent_asks_in_words(stage: Stage, actor_of: MakeActor):
    model = FunctionModel(lambda _: json.dumps(DATA))
    for role in (THINKER, AGENT):
        await (await actor_of(role, model)).speak(stage.turn(role, schema=SCHEMA, at=role.actor))

    direct, agent = model.requests
    assert direct.schema == SCHEMA
    assert agent.schema is None
    assert json.dumps(SCHEMA) in agent.messages[0].content
    assert direct.messages[1] == agent.messages[1]


@pytest.mark.parametrize("role", [THINKER, AGENT], ids=["direct", "crewai"])
async def test_a_reply_without_the_fields_is_asked_for_once_more(stage: Stage, actor_of: MakeActor, role: Role):
    model = FunctionModel(lambda r: json.dumps(DATA) if "cannot be used" in r.messages[-1].content else "It is tall.")

    said = await (await actor_of(role, model)).speak(stage.turn(role, schema=SCHEMA))

    assert said.data == DATA
    assert len(model.requests) == 2
    assert model.requests[1].messages[-2].content == "It is tall."


@pytest.mark.parametrize("role", [THINKER, AGENT], ids=["direct", "crewai"])
async def test_a_reply_that_never_has_the_fields_fails_the_turn(stage: Stage, actor_of: MakeActor, role: Role):
    model = FunctionModel(lambda _: json.dumps({**DATA, "kind": "other"}))

    said = await (await actor_of(role, model)).speak(stage.turn(role, schema=SCHEMA))

    assert said.failure is not None
    assert said.failure.code == "model_bad_reply"
    assert "kind" in said.failure.message
    assert len(model.requests) <= 3


def searching(request: ModelRequest) -> str | ModelReply:
    """Searches, then answers in prose; in fields when told to."""
    if request.schema is not None:
        return json.dumps(DATA)
    results = [m for m in request.messages if m.role == "tool"]
    return (
        "It is tall." if results else ModelReply("", (ToolCall("c1", "search", '{"query": "towers"}'),), "tool_calls")
    )


async def test_a_role_with_tools_uses_them_first_and_answers_in_fields(stage: Stage, actor_of: MakeActor):
    model = FunctionModel(searching)

    said = await (await actor_of(SEARCHER, model)).speak(stage.turn(SEARCHER, schema=SCHEMA))

    assert said.data == DATA
    search, prose, fields = model.requests
    assert (bool(search.tools), bool(prose.tools), bool(fields.tools)) == (True, True, False)
    assert ("searcher", "It is tall.") in fields.brief.messages


async def test_asking_again_for_fields_counts_as_a_call_of_the_turn(stage: Stage, actor_of: MakeActor):
    role = SEARCHER.model_copy(update={"max_iter": 2})
    model = FunctionModel(searching)

    said = await (await actor_of(role, model)).speak(stage.turn(role, schema=SCHEMA))

    assert said.failure is not None
    assert said.failure.code == "max_iter"
    assert "does not have the fields" in said.failure.message
    assert len(model.requests) == 2


@pytest.mark.parametrize("role", [THINKER, AGENT], ids=["direct", "crewai"])
async def test_a_model_that_is_down_fails_a_turn_in_fields_as_any_other(stage: Stage, actor_of: MakeActor, role: Role):
    model = FunctionModel(lambda _: QuotaError("no money"))

    said = await (await actor_of(role, model)).speak(stage.turn(role, schema=SCHEMA))

    assert said.failure is not None
    assert said.failure.code == "model_quota"


@pytest.mark.parametrize("verdict", ["approve", "revise"])
async def test_a_reviewer_gives_the_verdict_as_a_field(stage: Stage, actor_of: MakeActor, verdict: str):
    schema = schema_of({"gaps": "list"}, approves=True)
    model = FunctionModel(lambda _: json.dumps({"gaps": ["Verdict: approve"], "verdict": verdict}))

    said = await (await actor_of(CRITIC, model)).speak(stage.turn(CRITIC, schema=schema))

    assert (said.verdict, said.text) == (verdict, "gaps:\n- Verdict: approve")
    assert said.data == {"gaps": ["Verdict: approve"], "verdict": verdict}


async def test_a_field_named_verdict_of_somebody_else_approves_nothing(stage: Stage, actor_of: MakeActor):
    model = FunctionModel(lambda _: '{"verdict": "approve"}')

    said = await (await actor_of(THINKER, model)).speak(stage.turn(THINKER, schema=schema_of({"verdict": "text"})))

    assert (said.verdict, said.text) == (None, "verdict: approve")


@pytest.mark.parametrize("role", [THINKER, AGENT], ids=["direct", "crewai"])
async def test_a_reply_in_fields_is_not_paid_for_twice(stage: Stage, actor_of: MakeActor, role: Role):
    model = FunctionModel(lambda r: json.dumps(DATA) if "cannot be used" in r.messages[-1].content else "It is tall.")
    actor = await actor_of(role, model)
    first = await actor.speak(stage.turn(role, schema=SCHEMA))
    again = open_stage(stage.project, epoch=2)

    second = await actor.speak(again.turn(role, schema=SCHEMA))

    again.run.store.close()
    assert second == first
    assert len(model.requests) == 2


@pytest.mark.parametrize("role", [THINKER, AGENT], ids=["direct", "crewai"])
async def test_samples_of_one_turn_are_requests_of_their_own(stage: Stage, actor_of: MakeActor, role: Role):
    model = FunctionModel(lambda request: f"sample {request.sample}")
    actor = await actor_of(role, model)

    said = [await actor.speak(stage.turn(role, sample=n)) for n in range(3)]

    assert [c.text for c in said] == ["sample 0", "sample 1", "sample 2"]
    assert len(model.requests) == 3


# -- passing on ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", [THINKER, AGENT], ids=["direct", "crewai"])
async def test_a_role_passes_on_by_its_last_line(stage: Stage, actor_of: MakeActor, role: Role):
    brief = Brief(purpose="speak", question="Build it.", candidates=("coder", "tester"))
    model = FunctionModel(lambda _: "The plan.\nPass to: Coder")

    said = await (await actor_of(role, model)).speak(stage.turn(role, brief))

    assert (said.text, said.passed_to) == ("The plan.", "coder")


@pytest.mark.parametrize(
    ("text", "candidates", "passed_to", "left"),
    [
        ("Done.", ("coder",), None, "Done."),
        ("Pass to: coder", ("coder",), "coder", "Pass to: coder"),
        ("x\nPass to: boss", ("coder",), None, "x\nPass to: boss"),
        ("x\nPass to: coder", (), None, "x\nPass to: coder"),
        ("x\n> Pass to: coder", ("coder",), None, "x\n> Pass to: coder"),
    ],
)
async def test_only_allowed_names_are_passed_to_and_nothing_is_lost(
    stage: Stage, actor_of: MakeActor, text: str, candidates: tuple[str, ...], passed_to: str | None, left: str
):
    brief = Brief(purpose="speak", question="Build it.", candidates=candidates)

    said = await (await actor_of(THINKER, FunctionModel(lambda _: text))).speak(stage.turn(THINKER, brief))

    assert (said.passed_to, said.text) == (passed_to, left)


async def test_a_reviewer_may_give_a_verdict_and_pass_on(stage: Stage, actor_of: MakeActor):
    brief = Brief(purpose="speak", question="Build it.", candidates=("coder",))
    model = FunctionModel(lambda _: "A bug.\nPass to: coder\nVerdict: revise")

    said = await (await actor_of(CRITIC, model)).speak(stage.turn(CRITIC, brief))

    assert (said.text, said.verdict, said.passed_to) == ("A bug.", "revise", "coder")


# -- people --------------------------------------------------------------------------------------------------------------

ANNA = Role(name="anna", role="Owner", goal="Decide.", actor="human")


class Person:
    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def ask(self, question: Question) -> str:
        self.asked.append(question.text)
        return self.answers.pop(0)


@pytest.mark.parametrize(
    "answer",
    [
        json.dumps(DATA),
        WORDS,
        "Summary: It is tall.\n**Score:** 7,0\ndone = Yes\nGAPS: height; age\nkind: `Idea`",
        "kind: idea\ngaps:\n  * height\n  2. age\ndone: y\n`score`: **7**\nsummary:\nIt is tall.",
    ],
)
async def test_a_person_answers_as_json_or_line_by_line(stage: Stage, answer: str):
    person = Person(answer)

    said = await make_actor(ANNA, None, {}, stage.context, People(person.ask)).speak(stage.turn(ANNA, schema=SCHEMA))  # pyright: ignore

    assert (said.data, said.text, said.model) == (DATA, WORDS, "human")
    assert "- kind: `bug` or `idea`" in person.asked[0]


async def test_a_person_is_told_what_is_missing_and_may_mend_it(stage: Stage):
    person = Person("score: 7\nsummary: tall", "skip", WORDS)

    said = await make_actor(ANNA, None, {}, stage.context, People(person.ask)).speak(stage.turn(ANNA, schema=SCHEMA))  # pyright: ignore

    assert said.data == DATA
    assert "there is no `done` and no `gaps` and no `kind`" in person.asked[1]
    assert "- score: a number" in person.asked[1]


async def test_a_person_whose_answers_never_fit_fails_the_turn(stage: Stage):
    person = Person("what?", "score: high", '{"score": "high"}', "unheard")

    actor = make_actor(ANNA, None, {}, stage.context, People(person.ask))  # pyright: ignore
    said = await actor.speak(stage.turn(ANNA, schema=schema_of({"score": "number"})))

    assert said.failure is not None
    assert said.failure.code == "bad_fields"
    assert "not of type" in said.failure.message
    assert len(person.asked) == 3


async def test_a_person_may_skip_the_fields(stage: Stage):
    said = await make_actor(ANNA, None, {}, stage.context, People(Person(" ").ask)).speak(
        stage.turn(ANNA, schema=SCHEMA)
    )  # pyright: ignore

    assert said.failure is not None
    assert said.failure.code == "human_skipped"


async def test_a_single_field_needs_no_name(stage: Stage):
    person = Person("It is tall,\nvery tall.")

    actor = make_actor(ANNA, None, {}, stage.context, People(person.ask))  # pyright: ignore
    said = await actor.speak(stage.turn(ANNA, schema=schema_of({"answer": "text"})))

    assert said.data == {"answer": "It is tall,\nvery tall."}


# -- words ---------------------------------------------------------------------------------------------------------------

LINE = st.text(
    st.characters(blacklist_categories=["Cs", "Cc", "Zl", "Zp", "Zs"], blacklist_characters=";-*•`_"), min_size=1
)


@given(
    st.fixed_dictionaries(
        {
            "summary": LINE.map(lambda text: "It is " + text),
            "score": st.integers(-1000, 1000),
            "done": st.booleans(),
            "gaps": st.lists(LINE.map(lambda text: "gap " + text), max_size=4),
            "kind": st.sampled_from(["bug", "idea"]),
        }
    )
)
def test_what_is_shown_as_words_can_be_read_back(data: dict[str, Any]):
    assert from_words(as_words(data), SCHEMA) == (data, None)


def test_made_up_data_fits_the_schema():
    schema = schema_of({**KINDS}, approves=True)  # pyright: ignore[reportArgumentType]
    assert schema is not None

    data = made_up(schema)

    assert structured.read(json.dumps(data), schema) == (data, None)
    assert (len(data["gaps"]), data["kind"], data["verdict"]) == (3, "bug", "approve")


def test_every_field_is_asked_for_in_plain_words():
    assert fields_wanted(SCHEMA).splitlines()[1:] == [
        "- summary: text",
        "- score: a number",
        "- done: yes or no",
        "- gaps: a list, with `;` between items or one `- item` a line",
        "- kind: `bug` or `idea`",
    ]
