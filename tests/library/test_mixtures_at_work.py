"""Every built-in mixture, vote and debate runs as its comment and its estimate say: so many calls, in so many steps."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from crewmix import Crew, ModelReply, ModelRequest, RunResult
from crewmix.errors import ContentFilteredError, RunError
from crewmix.tools.sandbox import unavailable

GOAL = "Where does the garden get its water?"
PROGRAM = "```python\ndef double(x):\n    return 2 * x\n```"
SANDBOX = pytest.mark.skipif(unavailable() is not None, reason=f"no sandbox: {unavailable()}")
STEPS = {
    "moa": (6, 6, 1),
    "moa_lite": (6, 1),
    "self_moa": (6, 1),
    "openpipe": (3, 1, 1),
    "more_agents": (3,),
    "debate": (3, 3, 3, 1),
    "panel": (3, 3),
    "build_and_test": (5, 3),
}
EVERY = [pytest.param(name, marks=SANDBOX) if name == "build_and_test" else name for name in STEPS]


def answer(request: ModelRequest) -> str:
    """Every seat says something of its own; judges put the last draft first and prefer revisions."""
    brief = request.brief
    match brief.purpose:
        case "rank":
            order = sorted(zip(brief.drafts, brief.candidates, strict=True), reverse=True)
            return json.dumps({"ranking": [label for _, label in order], "reason": "It comes last in the alphabet."})
        case "test":
            return "```python\nassert double(2) == 4\nassert double(0) == 0\n```"
        case "synthesize":
            return "The merged answer."
        case "critique":
            return "Draft 1 is short."
        case _ if brief.role.startswith("coder"):
            return f"By {brief.role}.\n{PROGRAM}"
        case _ if brief.role.startswith("solver"):
            return "It is a sum.\n\nAnswer: 42"
        case _:
            return f"Draft {brief.round} by {brief.role}."


class InStep:
    """A model whose answers come only when a whole step of calls has been asked, so that no step may be asked one by one."""

    def __init__(self, *steps: int, say: Callable[[ModelRequest], str] = answer) -> None:
        self.say = say
        self.asked: list[ModelRequest] = []
        self.open = [asyncio.Event() for _ in steps]
        self.ends = [sum(steps[: n + 1]) for n in range(len(steps))]

    async def complete(self, request: ModelRequest, on_delta: object = None) -> ModelReply:
        self.asked.append(request)
        number = len(self.asked)
        assert number <= self.ends[-1], f"one call too many: {request.brief.purpose} by {request.brief.role}"
        step = next(n for n, end in enumerate(self.ends) if number <= end)
        if number == self.ends[step]:
            self.open[step].set()
        await asyncio.wait_for(self.open[step].wait(), 20)
        return ModelReply(text=self.say(request), model="in-step", cost=Decimal(0))


class Saying:
    """A model that says what a function tells it to."""

    def __init__(self, say: Callable[[ModelRequest], str]) -> None:
        self.say = say
        self.asked: list[ModelRequest] = []

    async def complete(self, request: ModelRequest, on_delta: object = None) -> ModelReply:
        self.asked.append(request)
        return ModelReply(text=self.say(request), model="saying", cost=Decimal(0))


def run(name: str, folder: Path, model: InStep | Saying) -> RunResult:
    return Crew.load(name, project=folder, models={"default": model}).run(GOAL)


@pytest.mark.parametrize("name", EVERY)
def test_a_crew_makes_its_calls_in_as_many_steps_as_its_estimate_says(name: str, tmp_path: Path):
    model = InStep(*STEPS[name])
    result = run(name, tmp_path, model)
    assert result.status == "done"
    assert result.warnings == ()
    estimate = Crew.load(name, project=tmp_path, models={"default": "offline/extractive"}).estimate(GOAL)
    assert (estimate.expected.calls, estimate.expected.depth) == (sum(STEPS[name]), len(STEPS[name]))
    assert result.calls == len(model.asked) == estimate.expected.calls <= estimate.worst.calls


@pytest.mark.parametrize("name", EVERY)
def test_a_crew_that_goes_badly_stays_within_its_worst_case(name: str, tmp_path: Path):
    """Nobody agrees and no revision is better."""

    def say(request: ModelRequest) -> str:
        if request.brief.purpose == "rank" and len(request.brief.drafts) == 2:
            order = sorted(zip(request.brief.drafts, request.brief.candidates, strict=True))
            return json.dumps({"ranking": [label for _, label in order], "reason": "The old one."})
        if request.brief.role.startswith("solver"):
            return f"Answer: {request.brief.role.rpartition('#')[2]}"
        return answer(request)

    result = run(name, tmp_path, Saying(say))
    estimate = Crew.load(name, project=tmp_path, models={"default": "offline/extractive"}).estimate(GOAL)
    assert estimate.expected.calls <= result.calls <= estimate.worst.calls
    if name == "more_agents":
        assert (result.calls, result.confidence) == (9, pytest.approx(1 / 9))
        assert len(result.dissent) == 8


def test_six_models_propose_and_the_default_one_merges(tmp_path: Path):
    models = {name: Saying(answer) for name in ("default", "p1", "p2", "p3", "p4", "p5", "p6")}
    Crew.load("moa", project=tmp_path, models=models).run(GOAL)
    assert {name: len(model.asked) for name, model in models.items()} == {
        "default": 1, **dict.fromkeys(("p1", "p2", "p3", "p4", "p5", "p6"), 2)
    }  # fmt: skip


def test_the_second_layer_of_moa_reads_the_first_without_names(tmp_path: Path):
    model = Saying(answer)
    run("moa", tmp_path, model)
    second = [r for r in model.asked if r.brief.purpose == "speak" and r.brief.round == 2]
    assert len(second) == 6
    assert all(len(r.brief.drafts) == 6 for r in second)
    assert second[0].brief.drafts[0] == "Draft 1 by proposer#1."
    shown = "\n".join(m.content for m in second[0].messages).replace("\n".join(second[0].brief.drafts), "")
    assert "Draft 6:" in shown
    assert second[0].temperature == 0.7


@pytest.mark.parametrize(("failing", "status"), [(2, "done"), (3, "failed")])
def test_moa_goes_on_without_two_of_six_and_not_without_three(tmp_path: Path, failing: int, status: str):
    def say(request: ModelRequest) -> str:
        if request.brief.role in {f"proposer#{n}" for n in range(1, failing + 1)}:
            raise ContentFilteredError("refused")
        return answer(request)

    crew = Crew.load("moa_lite", project=tmp_path, models={"default": Saying(say)})
    if status == "failed":
        with pytest.raises(RunError, match="3 of"):
            crew.run(GOAL)
        return
    result = crew.run(GOAL)
    assert result.output == "The merged answer."
    assert len(result.drafts) == 4
    assert all(any(f"proposer#{n}" in warning for warning in result.warnings) for n in (1, 2))


def test_more_agents_takes_the_majority_and_names_the_minority(tmp_path: Path):
    said = {"solver#1": "41", "solver#2": "42", "solver#3": "42", "solver#4": "42"}
    result = run("more_agents", tmp_path, Saying(lambda r: f"So it is.\n\nAnswer: {said[r.brief.role]}"))
    assert "42" in result.output
    assert result.calls == 4
    assert result.confidence == 0.75
    assert "41" in result.dissent[0] and "solver#1" in result.dissent[0]


def test_a_debate_keeps_the_draft_that_no_revision_beats(tmp_path: Path):
    def say(request: ModelRequest) -> str:
        brief = request.brief
        if brief.purpose == "rank":
            better = next((n for n, draft in enumerate(brief.drafts) if draft == "Draft 2 by proposer#2."), None)
            first = better if better is not None else next(n for n, d in enumerate(brief.drafts) if "Draft 1" in d)
            return json.dumps({"ranking": [brief.candidates[first], brief.candidates[1 - first]], "reason": "So."})
        return answer(request)

    result = run("debate", tmp_path, Saying(say))
    assert [d.text for d in result.drafts] == [
        *("Draft 1 by proposer#1.", "Draft 2 by proposer#2.", "Draft 1 by proposer#3.")
    ]


def test_the_panel_takes_the_answer_that_wins_every_ranking_as_it_stands(tmp_path: Path):
    result = run("panel", tmp_path, Saying(answer))
    assert result.output == "Draft 1 by proposer."
    assert result.merge is not None
    assert (result.merge.method, result.merge.chosen) == ("rank", "proposer")
    assert Counter(score.author for score in result.merge.scores) == Counter(["proposer", "analyst", "practitioner"])


@SANDBOX
def test_build_and_test_takes_a_program_that_passes(tmp_path: Path):
    def say(request: ModelRequest) -> str:
        if request.brief.role in {"coder#1", "coder#2"}:
            return PROGRAM.replace("2 * x", "3 * x")
        return answer(request)

    result = run("build_and_test", tmp_path, Saying(say))
    assert "return 2 * x" in result.output
    assert result.merge is not None and result.merge.chosen == "coder#3"
    assert any("coder#1" in line for line in result.dissent)


@SANDBOX
def test_build_and_test_takes_assertions_of_the_goal_as_tests(tmp_path: Path):
    goal = "Write double(x).\n```python\nassert double(5) == 15\n```"

    def say(request: ModelRequest) -> str:
        if request.brief.role == "coder#5":
            return PROGRAM.replace("2 * x", "3 * x")
        return answer(request)

    result = Crew.load("build_and_test", project=tmp_path, models={"default": Saying(say)}).run(goal)
    assert "return 3 * x" in result.output


@pytest.mark.parametrize("name", [n for n in STEPS if n != "build_and_test"])
def test_without_a_language_model_it_ends_and_says_what_is_missing(name: str, tmp_path: Path):
    result = Crew.load(name, project=tmp_path, models={"default": "offline/extractive"}).run(GOAL)
    assert result.status == "done"
    assert result.output.startswith("This needs a language model")


@SANDBOX
def test_without_a_language_model_nothing_is_built_and_the_run_says_so(tmp_path: Path):
    crew = Crew.load("build_and_test", project=tmp_path, models={"default": "offline/extractive"})
    with pytest.raises(RunError, match="no draft holds a Python program"):
        crew.run("Write a function that doubles a number.")


def test_a_mixture_of_people_who_search_answers_from_documents_without_a_language_model(tmp_path: Path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/garden.md").write_text(
        "# Garden\n\nThe garden gets its water from the old well.\n", encoding="utf-8"
    )
    (tmp_path / "crews").mkdir()
    (tmp_path / "crews/mine.yaml").write_text(
        "extends: self_moa\nroles: [researcher]\n"
        "chat: {layers: 3, proposers: [{role: researcher, count: 2}], quorum: 2}\nknowledge: [docs]\n",
        encoding="utf-8",
    )
    result = Crew.load("mine", project=tmp_path, models={"default": "offline/extractive"}).run(GOAL)
    assert result.output.startswith("The garden gets its water from the old well. [docs/garden.md:1")
    assert [s.document for s in result.sources] == ["docs/garden.md"]
