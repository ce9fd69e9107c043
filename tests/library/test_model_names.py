"""A crew names models so that a user can give each proposer another one, or all the same one, without copying the crew."""

from __future__ import annotations

from pathlib import Path

import pytest

from crewmix import Crew, ScriptedModel
from crewmix.definitions.load import load_crew
from crewmix.definitions.project import Project
from crewmix.errors import DefinitionError, ModelSetupError
from crewmix.loop import wait_for
from crewmix.models.resolve import resolve

PROPOSERS = [f"p{n}" for n in range(1, 7)]


def write(folder: Path, text: str) -> Project:
    (folder / "crews").mkdir(exist_ok=True)
    (folder / "crews/mine.yaml").write_text(text, encoding="utf-8")
    return Project(folder)


def serving(folder: Path, name: str, **models: str) -> dict[str, str]:
    crew = load_crew(name, Project(folder), models=models)
    return {key: profile.model for key, profile in wait_for(resolve(crew.models, folder=folder)).items()}


@pytest.mark.parametrize("name", ["moa", "moa_lite"])
def test_one_model_given_serves_everybody(tmp_path: Path, name: str):
    found = serving(tmp_path, name, default="offline/extractive")
    assert found == dict.fromkeys(["default", *PROPOSERS], "offline/extractive")


def test_single_proposers_can_be_given_another_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPENAI_API_KEY", "test-key")
    found = serving(tmp_path, "moa", default="offline/extractive", p2="openai/gpt-5-mini")
    assert found == {**dict.fromkeys(["default", *PROPOSERS], "offline/extractive"), "p2": "openai/gpt-5-mini"}


def test_one_block_of_models_in_a_crew_that_extends_it_gives_each_its_own(tmp_path: Path):
    models = ", ".join(f"{name}: ollama/{name}" for name in PROPOSERS)
    write(tmp_path, f"extends: moa_lite\nmodels: {{default: ollama/reader, {models}}}\n")
    assert serving(tmp_path, "mine") == {"default": "ollama/reader", **{name: f"ollama/{name}" for name in PROPOSERS}}
    crew = load_crew("mine", Project(tmp_path))
    assert crew.chat.layers == 2
    assert crew.description == "Mixture-of-Agents, two layers of six proposers."


def test_why_a_model_serves_names_the_one_it_is_the_same_as(tmp_path: Path):
    crew = Crew.load("moa", project=tmp_path, models={"default": "offline/extractive"})
    profiles = wait_for(resolve(crew.definition.models))
    assert profiles["p1"].why == "the same as `default`"
    assert profiles["p1"].name == "p1"


def test_the_second_name_may_have_settings_of_its_own():
    specs = {"default": {"model": "ollama/qwen3", "temperature": 0.1, "timeout": 30}, "bold": {"model": "default"}}
    from crewmix import ModelSpec

    made = {name: ModelSpec(**spec) for name, spec in specs.items()}
    made["bold"] = ModelSpec(model="default", temperature=1.5)
    found = wait_for(resolve(made))
    assert (found["bold"].model, found["bold"].temperature, found["bold"].timeout) == ("ollama/qwen3", 1.5, 30)
    assert found["default"].temperature == 0.1


def test_a_python_model_serves_under_both_names():
    model = ScriptedModel([{"model": "p1", "text": "one"}, {"text": "other"}])
    found = wait_for(resolve({"default": model, "p1": "default"}))
    assert found["p1"].driver is model
    assert found["p1"].provider_model == "p1"


def test_a_script_file_knows_the_crews_name_for_the_model(tmp_path: Path):
    (tmp_path / "s.yaml").write_text("rules:\n  - {model: p2, text: two}\n  - {text: other}\n", encoding="utf-8")
    crew = Crew(
        roles=[{"name": "a", "role": "A", "goal": "G.", "llm": "p2"}],
        plan="none",
        models={"default": "scripted/s.yaml", "p2": "default"},
        project=tmp_path,
    )
    assert crew.run("?").output == "two"


def test_a_model_that_leads_back_to_itself_is_a_mistake_with_its_place(tmp_path: Path):
    project = write(tmp_path, "roles: [proposer]\nmodels: {a: b, b: a}\n")
    with pytest.raises(DefinitionError) as caught:
        load_crew("mine", project)
    assert [(p.line, p.column, p.message) for p in caught.value.problems] == [
        (2, 13, "model `a` leads back to itself: a -> b -> a"),
        (2, 19, "model `b` leads back to itself: b -> a -> b"),
    ]
    with pytest.raises(ModelSetupError, match="leads back to itself: default -> default"):
        wait_for(resolve({"default": "default"}))


def test_a_key_in_the_file_is_refused_under_a_second_name_too(tmp_path: Path):
    text = "roles: [proposer]\nmodels: {default: auto, a: {model: default, api_key: sk-0123456789abcdef}}\n"
    with pytest.raises(DefinitionError, match="a key must not stand in the file"):
        load_crew("mine", write(tmp_path, text))
