"""Every way a crew can think, as whole runs from Python: how drafts come about, how they become one answer."""

import json

import pytest

from crewmix import ChatSpec, Crew, ModelReply, ProposerSpec, Role, StopSpec
from crewmix.definitions.project import Project
from crewmix.errors import BudgetExceededError, ContentFilteredError, ModelUnavailableError, RunCancelledError, RunError
from crewmix.journal.events import MemberReplaced, RevisionJudged, TaskStarted
from crewmix.models.types import Usage
from crewmix.runs import find_run, resume
from support.models import FunctionModel


def role(name, **fields):
    return {"name": name, "role": name.title(), "goal": "Answer well", **fields}


def crew(answer, tmp_path, *names, **fields):
    roles = [role(name) if isinstance(name, str) else name for name in names]
    model = answer if isinstance(answer, FunctionModel) else FunctionModel(answer)
    return Crew(models={"default": model}, project=tmp_path, plan="none", roles=roles, **fields)


def parrot(request):
    """Speakers say who they are; the synthesizer counts; judges rank the labels backwards and give a five."""
    brief = request.brief
    match brief.purpose:
        case "synthesize":
            return f"merged {len(brief.drafts)}"
        case "rank":
            return json.dumps({"ranking": list(reversed(brief.candidates)), "reason": "the last is best"})
        case "judge":
            marks = [{"criterion": name, "score": 5 + len(brief.drafts[0]) % 3} for name in brief.criteria]
            return json.dumps({"scores": marks, "reason": "fine"})
        case "critique":
            return "all too short"
        case _:
            return f"{brief.role} in round {brief.round}\nAnswer: {len(brief.role) % 2}"


def test_a_mixture_of_agents_sees_the_layer_before_numbered_and_without_names(tmp_path):
    chat = {"pattern": "layers", "layers": 3}
    model = FunctionModel(parrot)
    team = crew(model, tmp_path, "ann", "bob", "cy", chat=chat)
    result = team.run("Why?")
    assert (result.output, result.calls, [d.role for d in result.drafts]) == ("merged 3", 7, ["ann", "bob", "cy"])
    second = [request for request in model.asked("speak") if request.brief.round == 2]
    assert len(second) == 3
    for request in second:
        prompt = request.messages[-1].content
        places = [prompt.index(f"{name} in round 1") for name in ("ann", "bob", "cy")]
        assert places == sorted(places) and "Draft 1" in prompt and "ann:" not in prompt
    assert result.merge is not None and result.merge.method == "aggregate"


def test_the_same_model_many_times_is_one_line(tmp_path):
    model = FunctionModel(parrot)
    team = crew(model, tmp_path, "solver", chat={"pattern": "layers", "samples": 6})
    result = team.run("Why?")
    assert result.calls == 7 and [d.role for d in result.drafts] == [f"solver#{n}" for n in range(1, 7)]
    assert [request.sample for request in model.asked("speak")] == [0, 1, 2, 3, 4, 5]


def test_a_chat_is_written_in_types_as_well(tmp_path):
    chat = ChatSpec(pattern="vote", proposers=[ProposerSpec(role="solver", count=5)], stop=StopSpec(agree=2))
    result = crew(parrot, tmp_path, "solver", chat=chat, synthesis={"method": "majority"}).run("Why?")
    assert result.calls == 2 and result.merge is not None and result.merge.method == "majority"


def test_a_vote_tells_its_ballots_its_confidence_and_the_minority(tmp_path):
    said = {"ann": "42", "bob": "It is 41.\nAnswer: 41", "cy": "so the\nAnswer: 42.0", "dan": "no idea, sorry"}
    team = crew(
        lambda request: said[request.brief.role],
        tmp_path,
        *said,
        chat={"pattern": "vote"},
        synthesis={"method": "majority", "answer": "number"},
    )
    result = team.run("What is six times seven?")
    assert result.output == "42" and result.merge.chosen == "ann" and result.calls == 4
    assert {b.voter: b.choice for b in result.merge.ballots} == {"ann": "42", "bob": "41", "cy": "42", "dan": ""}
    assert 0 < result.confidence < 1 and any("41" in line and "bob" in line for line in result.dissent)


def test_a_vote_stops_when_enough_agree_and_asks_no_one_else(tmp_path):
    said = {"ann": "7", "bob": "8", "cy": "7", "dan": "7", "eve": "7", "fay": "7"}
    team = crew(
        lambda request: f"Answer: {said[request.brief.role]}",
        tmp_path,
        *said,
        chat={"pattern": "vote", "stop": {"agree": 3}},
        synthesis={"method": "majority", "answer": "number"},
    )
    result = team.run("How many?")
    assert result.calls == 4 and [d.role for d in result.drafts] == ["ann", "bob", "cy", "dan"]


def test_a_debate_keeps_a_draft_that_no_revision_beats(tmp_path):
    events = []

    def answer(request):
        brief = request.brief
        if brief.purpose == "rank":
            first = brief.candidates[0 if "round 1" in brief.drafts[0] else 1]
            second = next(label for label in brief.candidates if label != first)
            return json.dumps({"ranking": [first, second], "reason": "the old one was better"})
        return parrot(request)

    team = crew(answer, tmp_path, "ann", "bob", chat={"pattern": "debate", "rounds": 3})
    result = team.run("Why?", on_event=events.append)
    assert {d.text.splitlines()[0] for d in result.drafts} == {"ann in round 1", "bob in round 1"}
    assert [e.better for e in events if isinstance(e, RevisionJudged)] == [False, False]


def test_a_graph_loops_until_the_critic_is_content(tmp_path):
    def answer(request):
        brief = request.brief
        if brief.role == "review":
            return f"Verdict: {'approve' if brief.round >= 4 else 'revise'}"
        return parrot(request)

    nodes = {
        "draft": {"role": "ann", "next": "review"},
        "review": {
            "role": "critic",
            "next": [
                {"to": "draft", "when": {"verdict": "revise"}},
                {"to": "polish", "when": {"verdict": "approve"}},
            ],
        },
        "polish": {"role": "bob"},
    }
    team = crew(
        answer, tmp_path, "ann", "bob", role("critic", approves=True), chat={"pattern": "graph", "nodes": nodes}
    )
    result = team.run("Why?")
    assert [m.role for m in result.messages] == ["draft", "review", "draft", "review", "polish"]
    assert result.output.startswith("polish in round 5")


def test_a_graph_fans_out_over_a_list_and_joins(tmp_path):
    def answer(request):
        if request.brief.role == "outline":
            return json.dumps({"points": ["price", "size", "light"]})
        return parrot(request)

    nodes = {
        "outline": {"role": "ann", "fields": {"points": "list"}, "next": "part"},
        "part": {"role": "bob", "each": "outline.points", "next": "join"},
        "join": {"role": "cy"},
    }
    model = FunctionModel(answer)
    team = crew(model, tmp_path, "ann", "bob", "cy", chat={"pattern": "graph", "nodes": nodes})
    result = team.run("Describe the flat.")
    assert [m.role for m in result.messages] == ["outline", "part#1", "part#2", "part#3", "join"]
    parts = model.requests[1:4]
    assert all(
        word in request.messages[-1].content for word, request in zip(("price", "size", "light"), parts, strict=True)
    )


def test_a_role_passes_on_by_name(tmp_path):
    said = {"ann": "I found it.\nPass to: cy", "cy": "It is blue."}
    team = crew(lambda request: said[request.brief.role], tmp_path, "ann", "bob", "cy", chat={"pattern": "handoff"})
    result = team.run("Which colour?")
    assert [m.role for m in result.messages] == ["ann", "cy"] and result.output == "It is blue."


def test_a_function_is_a_pattern_of_ones_own(tmp_path):
    def twice_bob(chat):
        return "bob" if chat.round < 2 else None

    team = crew(parrot, tmp_path, "ann", "bob", pattern=twice_bob)
    result = team.run("Why?")
    assert [m.role for m in result.messages] == ["bob", "bob"] and result.output.startswith("bob in round 2")


# -- a crew as a role of another crew -----------------------------------------------------------------------------------


INNER = """\
description: Two who talk.
roles:
  - {name: ida, role: Ida, goal: Think}
  - {name: joe, role: Joe, goal: Think}
plan: none
models: {default: auto}
"""
OUTER = """\
roles: [pair, {name: solo, role: Solo, goal: Think}]
plan: none
chat: {pattern: vote}
"""


def test_a_crew_is_a_role_of_another_crew(tmp_path):
    folder = tmp_path / "crews"
    folder.mkdir()
    (folder / "pair.yaml").write_text(INNER)
    (folder / "outer.yaml").write_text(OUTER)
    model, events = FunctionModel(parrot), []
    team = Crew.load("outer", project=tmp_path, models={"default": model})
    result = team.run("Why?", on_event=events.append)
    assert {d.role: d.text.splitlines()[0] for d in result.drafts} == {"pair": "merged 2", "solo": "solo in round 1"}
    assert result.calls == 5 and len([e for e in events if isinstance(e, TaskStarted)]) == 2
    estimate = team.estimate("Why?")
    assert estimate.expected.calls == 5 and estimate.expected.depth == 4


def test_a_crew_within_a_crew_keeps_to_its_own_budget_and_the_run_goes_on(tmp_path):
    folder = tmp_path / "crews"
    folder.mkdir()
    (folder / "pair.yaml").write_text(INNER + "budget: {calls: 0}\n")
    (folder / "outer.yaml").write_text(OUTER)
    result = Crew.load("outer", project=tmp_path, models={"default": FunctionModel(parrot)}).run("Why?")
    assert result.status == "partial" and [d.role for d in result.drafts] == ["solo"]
    assert any("pair" in warning and "budget" in warning for warning in result.warnings)


# -- failures -----------------------------------------------------------------------------------------------------------


def failing(*names):
    def answer(request):
        if request.brief.purpose == "speak" and request.brief.role in names:
            return ModelUnavailableError("the server is down")
        return parrot(request)

    return answer


def test_a_failed_proposer_is_named_and_the_rest_go_on(tmp_path):
    team = crew(failing("bob"), tmp_path, "ann", "bob", "cy", chat={"pattern": "layers", "quorum": 2})
    result = team.run("Why?")
    assert result.output == "merged 2" and result.status == "partial"
    assert any("bob" in warning and "the server is down" in warning for warning in result.warnings)


def test_a_quorum_that_fails_ends_the_run_and_says_who_failed(tmp_path):
    team = crew(failing("bob", "cy"), tmp_path, "ann", "bob", "cy", chat={"pattern": "layers", "quorum": 2})
    with pytest.raises(RunError, match="only 1 of at least 2") as error:
        team.run("Why?")
    assert "bob" in error.value.message and "cy" in error.value.message


def test_when_every_proposer_fails_nobody_answers_alone(tmp_path):
    model = FunctionModel(failing("ann", "bob"))
    team = crew(model, tmp_path, "ann", "bob", chat={"pattern": "layers"})
    with pytest.raises(RunError):
        team.run("Why?")
    assert not model.asked("synthesize")


def test_a_replacement_model_takes_a_failed_turn_and_is_named(tmp_path):
    events = []
    spare = FunctionModel(lambda request: ModelReply("from the spare", usage=Usage(1, 1), model="python/spare"))
    team = Crew(
        models={"default": FunctionModel(failing("bob")), "spare": spare},
        project=tmp_path,
        plan="none",
        roles=[role("ann"), role("bob")],
        chat={"pattern": "vote", "replacement": "spare", "retries": 1},
    )
    result = team.run("Why?", on_event=events.append)
    assert result.output == "merged 2" and result.drafts[1].text == "from the spare"
    assert [(e.role, e.round) for e in events if isinstance(e, MemberReplaced)] == [("bob", 1)]
    assert any("bob" in warning and "the server is down" in warning for warning in result.warnings)


def test_a_run_cut_by_its_budget_keeps_the_layer_that_was_whole(tmp_path):
    team = crew(parrot, tmp_path, "ann", "bob", chat={"pattern": "layers", "layers": 3}, budget={"calls": 3})
    result = team.run("Why?")
    assert result.stopped_by == "budget" and result.drafts


CREW = """\
roles:
  - {name: ann, role: Ann, goal: Think}
  - {name: bob, role: Bob, goal: Think}
  - {name: cy, role: Cy, goal: Think}
plan: none
"""


@pytest.mark.parametrize(
    ("chat", "synthesis"),
    [
        ("{pattern: layers, layers: 3}", "{method: aggregate}"),
        ("{pattern: layers}", "{method: critique_combine}"),
        ("{pattern: vote, samples: 2}", "{method: rank, rankings: 2}"),
        ("{pattern: vote}", "{method: judge}"),
        ("{pattern: debate, rounds: 2}", "{method: rank, compare: pairwise}"),
        ("{pattern: vote, stop: {agree: 2}}", "{method: majority}"),
    ],
)
def test_a_mixture_that_dies_at_any_call_is_resumed_without_paying_twice(tmp_path, chat, synthesis):
    (tmp_path / "crews").mkdir()
    (tmp_path / "crews" / "mix.yaml").write_text(f"{CREW}chat: {chat}\nsynthesis: {synthesis}\n")
    whole_model = FunctionModel(parrot)
    whole = Crew.load("mix", project=tmp_path, models={"default": whole_model}).run("Why?")
    assert whole.calls == len(whole_model.requests)
    for allowed in range(whole.calls):
        answered = []

        def dying(request, answered=answered, allowed=allowed):
            if len(answered) >= allowed:
                return RunCancelledError("the power went")
            answered.append(request)
            return parrot(request)

        team = Crew.load("mix", project=tmp_path, models={"default": FunctionModel(dying)})
        with pytest.raises(RunCancelledError):
            team.run("Why?")
        rest = FunctionModel(parrot)
        project = Project(tmp_path)
        again = resume(project, find_run(project, "last").run_id, models={"default": rest})
        assert (again.output, again.drafts, again.calls) == (whole.output, whole.drafts, whole.calls)
        assert len(rest.requests) <= whole.calls - allowed + 2


def test_a_resumed_run_counts_what_was_paid_for_a_turn_that_failed(tmp_path):
    """Both replies to a pick are unusable, but paid; a resumed run does not ask for them, and still counts them."""
    dead = True

    def answer(request):
        if request.brief.purpose == "select":
            return "I would rather not say."
        return (
            RunCancelledError("the power went") if dead and request.brief.purpose == "synthesize" else parrot(request)
        )

    chat = {"pattern": "selector", "max_turns": 2}
    model = FunctionModel(answer)
    team = crew(model, tmp_path, "ann", "bob", chat=chat)
    with pytest.raises(RunCancelledError):
        team.run("Why?")
    dead, paid = False, len(model.requests)
    result = team.resume(find_run(Project(tmp_path), "last"))
    assert len(model.requests) == paid + 1 and result.calls == paid
    assert result.usage.total_tokens == 120 * result.calls


async def test_fifty_proposers_speak_at_once(tmp_path):
    model = FunctionModel(parrot)
    model.answer_together("speak", 50)
    team = Crew(
        models={"default": model},
        project=tmp_path,
        plan="none",
        roles=[role("solver")],
        chat={"pattern": "vote", "samples": 50},
        synthesis={"method": "majority"},
    )
    result = await team.arun("Why?")
    assert len(result.drafts) == 50 == len(model.requests)


def test_budgets_count_judges_and_critics_too(tmp_path):
    team = crew(
        parrot, tmp_path, "ann", "bob", chat={"pattern": "vote"}, synthesis={"method": "rank"}, budget={"calls": 2}
    )
    result = team.run("Why?")
    assert result.status == "partial" and result.calls == 2 and any("merged" in w for w in result.warnings)
    with pytest.raises(BudgetExceededError):
        crew(parrot, tmp_path, "ann", budget={"calls": 0}).run("Why?")


@pytest.mark.parametrize("pattern", ["vote", "layers", "debate"])
def test_a_budget_that_ends_within_a_round_keeps_every_answer_that_was_paid_for(pattern, tmp_path):
    chat = {"pattern": pattern, "samples": 6}
    team = crew(parrot, tmp_path, "ann", chat=chat, budget={"calls": 4, "keep_for_synthesis": 0})
    result = team.run("Why?")
    assert (result.status, result.stopped_by, result.calls) == ("partial", "budget", 4)
    assert [d.role for d in result.drafts] == ["ann#1", "ann#2", "ann#3", "ann#4"]
    model = FunctionModel(parrot)
    team = crew(model, tmp_path, "ann", chat=chat, budget={"calls": 40})
    team.resume(find_run(Project(tmp_path), result.run_id))
    asked = [request.brief.role for request in model.asked("speak") if request.brief.round == 1]
    assert asked == ["ann#5", "ann#6"], "the other four came from the journal"


@pytest.mark.parametrize(
    ("fields", "paid"),
    [
        ({"synthesis": {"method": "rank", "compare": "pairwise"}, "judge": role("jan", budget={"calls": 1})}, 4),
        ({"chat": {"pattern": "debate"}, "judge": role("jan", budget={"calls": 1})}, 8),
        ({"synthesizer": role("sue", budget={"calls": 0})}, 3),
    ],
)
def test_the_budgets_of_judge_and_synthesizer_hold(fields, paid, tmp_path):
    model = FunctionModel(parrot)
    team = crew(model, tmp_path, "ann", "bob", "cy", **{"chat": {"pattern": "vote"}, **fields})
    result = team.run("Why?")
    assert (result.status, result.stopped_by, result.calls) == ("partial", "budget", paid)
    again = team.resume(find_run(Project(tmp_path), result.run_id))
    assert (again.stopped_by, len(model.requests)) == ("budget", paid), "the resumed run knows it"


def test_a_resumed_task_is_not_charged_for_one_whose_name_begins_with_its_own(tmp_path):
    down = True

    def answer(request):
        failing = down and request.brief.task == "t1" and request.brief.purpose == "synthesize"
        return ContentFilteredError("no") if failing else parrot(request)

    tasks = [{"id": "t1", "description": "One", "budget": {"calls": 4}}, {"id": "t10", "description": "Ten"}]
    roles = [role("ann"), role("bob")]
    model = {"default": FunctionModel(answer)}
    team = Crew(models=model, project=tmp_path, roles=roles, tasks=tasks, chat={"pattern": "vote"})
    first = team.run("Why?")
    down = False
    assert first.status == "partial"
    assert team.resume(find_run(Project(tmp_path), first.run_id)).status == "done"


def test_roles_may_be_given_as_objects(tmp_path):
    team = Crew(
        models={"default": FunctionModel(parrot)},
        project=tmp_path,
        plan="none",
        roles=[Role(name="ann", role="Ann", goal="Think"), Role(name="bob", role="Bob", goal="Think")],
        chat={"pattern": "layers", "proposers": ["ann", {"role": "bob", "count": 2}]},
    )
    assert [d.role for d in team.run("Why?").drafts] == ["ann", "bob#1", "bob#2"]
