"""A crew as a role of another crew."""

import json

import pytest

from crewmix.definitions.definition import CrewDefinition
from crewmix.definitions.filled import filled
from crewmix.definitions.given import with_free_tools
from crewmix.definitions.load import check_project, define_crew, load_crew
from crewmix.definitions.spec import CrewSpec, ModelSpec, Role
from crewmix.errors import DefinitionError, Problem, UsageError
from definitions.conftest import ROLE, WriteProject

TEAM = "description: Finds facts.\nroles: [b]\nmodels: {default: xai/y, cheap: groq/z}\nplan: none\n"


def problems_of(write: WriteProject, **files: str) -> list[Problem]:
    project = write({name.replace("__", "/") + ".yaml": text for name, text in files.items()})
    try:
        load_crew("c", project, environ={})
    except DefinitionError as error:
        return list(error.problems)
    return []


def test_a_crew_is_a_role_by_its_name_or_by_a_written_out_one(write: WriteProject) -> None:
    project = write(
        {
            "crews/team.yaml": TEAM,
            "crews/plain.yaml": "roles: [b]\n",
            "crews/c.yaml": "roles: [a, team, plain, scouts, {role: Chief scout, goal: Look, crew: team, name: chief}]\n",
            "roles/scouts.yaml": "role: Scouts\ngoal: Scout\ncrew: team\n",
        }
    )
    crew = load_crew("c", project)
    assert [(role.name, role.crew, role.role, role.goal) for role in crew.roles[1:]] == [
        ("team", "team", "Crew team", "Finds facts."),
        ("plain", "plain", "Crew plain", "Do the work of the crew plain."),
        ("scouts", "team", "Scouts", "Scout"),
        ("chief", "team", "Chief scout", "Look"),
    ]
    assert set(crew.crews) == {"team", "plain"}
    team = crew.crews["team"]
    assert (team.name, [role.name for role in team.roles], team.plan) == ("team", ["b"], None)
    assert {name: model.model for name, model in team.models.items()} == {"default": "xai/y", "cheap": "groq/z"}
    assert {path.name for path in crew.files} >= {"c.yaml", "team.yaml", "plain.yaml", "scouts.yaml", "b.yaml"}


def test_a_role_file_goes_before_a_crew_of_the_same_name(write: WriteProject) -> None:
    project = write({"crews/a.yaml": "roles: [b]\n", "crews/c.yaml": "roles: [a]\n"})
    assert load_crew("c", project).crews == {}


def test_a_team_may_have_teams_and_a_description_from_its_parent(write: WriteProject) -> None:
    project = write(
        {
            "crews/c.yaml": "roles: [outer]\n",
            "crews/outer.yaml": "extends: base\nroles: [inner, a]\n",
            "crews/base.yaml": "description: From the parent.\nroles: [a]\n",
            "crews/inner.yaml": "roles: [b]\n",
        }
    )
    crew = load_crew("c", project)
    assert crew.roles[0].goal == "From the parent."
    assert [one.name for one in crew.everyone()] == ["c", "outer", "inner"]


def test_a_model_given_at_the_start_goes_to_every_crew_that_has_its_name(write: WriteProject) -> None:
    project = write({"crews/c.yaml": "roles: [a, team]\n", "crews/team.yaml": TEAM})
    crew = load_crew("c", project, models={"default": "offline/extractive", "cheap": ModelSpec(model="ollama/q")})
    assert set(crew.models) == {"default"}
    assert crew.models["default"].model == "offline/extractive"
    team = crew.crews["team"]
    assert (team.models["default"].model, team.models["cheap"].model) == ("offline/extractive", "ollama/q")
    with pytest.raises(UsageError, match="did you mean `cheap`"):
        load_crew("c", project, models={"chep": "ollama/q"})


def test_what_a_team_says_is_part_of_the_fingerprint(write: WriteProject) -> None:
    files = {"crews/c.yaml": "roles: [team]\n", "crews/team.yaml": TEAM}
    first = load_crew("c", write(files))
    assert json.loads(json.dumps(first.as_dict()))["crews"]["team"]["description"] == "Finds facts."
    project = write({"roles/b.yaml": ROLE + "backstory: New\n"})
    assert load_crew("c", project).fingerprint() != first.fingerprint()


def test_a_goal_fills_the_crew_and_leaves_its_teams_to_theirs(write: WriteProject) -> None:
    project = write(
        {
            "crews/c.yaml": "roles: [team, {role: X, goal: '{goal}'}]\n",
            "crews/team.yaml": "roles: [{role: Y, goal: '{goal}', name: y}]\n",
        }
    )
    crew = filled(load_crew("c", project), "win", {})
    assert crew.roles[1].goal == "win"
    assert crew.crews["team"].roles[0].goal == "{goal}"


@pytest.mark.parametrize(
    ("files", "place", "circle"),
    [
        ({"crews/c.yaml": "roles: [c]\n"}, ("crews/c.yaml", 1, 9), "c -> c"),
        (
            {"crews/c.yaml": "roles: [a, d]\n", "crews/d.yaml": "roles: [{role: X, goal: y, crew: c}]\n"},
            ("crews/d.yaml", 1, 34),
            "c -> d -> c",
        ),
        (
            {"crews/c.yaml": "roles: [d]\n", "crews/d.yaml": "roles: [e]\n", "crews/e.yaml": "roles: [a, d]\n"},
            ("crews/e.yaml", 1, 12),
            "d -> e -> d",
        ),
    ],
)
def test_a_crew_within_itself_is_one_problem(
    write: WriteProject, files: dict[str, str], place: tuple[str, int, int], circle: str
) -> None:
    project = write(files)
    with pytest.raises(DefinitionError) as caught:
        load_crew("c", project)
    found = list(caught.value.problems)
    assert [p.code for p in found] == ["crew_cycle"]
    assert circle in found[0].message
    assert (found[0].file, found[0].line, found[0].column) == place
    assert [p.code for p in check_project(project)] == ["crew_cycle"]


def test_the_mistakes_of_a_team_are_shown_in_its_own_files(write: WriteProject) -> None:
    found = problems_of(
        write,
        crews__c="roles: [a, team, ⌖]\nbudgte: {}\n".replace(", ⌖", ""),
        crews__team="roles: [b, x]\nchat: {pattern: vote, quorum: 7}\n",
        roles__x="role: X\ngoal: y\ntools: [nope]\n",
    )
    assert [(p.file, p.line, p.code) for p in found] == [
        ("crews/c.yaml", 2, "unknown_key"),
        ("crews/team.yaml", 2, "senseless"),
        ("roles/x.yaml", 3, "unknown_tool"),
    ]


@pytest.mark.parametrize(
    ("crew", "code", "says", "hint"),
    [
        ("roles: [a, ⌖teem]\n", "unknown_role", "no role `teem`", "`team`"),
        ("roles: [a, {role: X, goal: y, crew: ⌖teem}]\n", "unknown_crew", "no crew `teem`", "`team`"),
        ("roles: [a, ⌖needy]\n", "senseless", "its input `city`", "give `city` a default in crews/needy.yaml"),
        ("roles: [a, ⌖{role: X, goal: y, crew: team, tools: [now]}]\n", "senseless", "its crew works it", None),
        ("roles: [a, {role: X, goal: y, crew: team, ⌖llm: xai/y}]\n", "senseless", "`llm` has no meaning", "leave"),
        ("roles: [a]\nsynthesizer: {role: X, goal: y, crew: ⌖team}\n", "senseless", "not plan, merge or judge", None),
        ("roles: [a]\njudge: ⌖team\n", "unknown_role", "no role `team`", None),
        ("roles: [a, ⌖team, {role: X, name: team, goal: y}]\n", "duplicate_role", "named twice", None),
    ],
)
def test_a_mistake_with_a_team_is_shown_at_its_place(
    write: WriteProject, crew: str, code: str, says: str, hint: str | None
) -> None:
    files = {"crews__team": TEAM, "crews__needy": "roles: [a]\ninputs: {city: null, year: '1'}\n"}
    found = problems_of(write, crews__c=crew.replace("⌖", ""), **files)
    assert [p.code for p in found] == [code]
    if code != "duplicate_role":
        first = crew.partition("⌖")[0].split("\n")
        assert (found[0].line, found[0].column) == (len(first), len(first[-1]) + 1)
    assert says in found[0].message
    assert hint is None or hint in (found[0].hint or "")


def test_a_team_named_in_python_is_loaded_too(write: WriteProject) -> None:
    project = write({"crews/team.yaml": TEAM})
    spec = CrewSpec(name="mine", roles=("a", "team", Role(role="Scouts", goal="x", crew="team")))
    crew = define_crew(spec, project)
    assert [role.crew for role in crew.roles] == [None, "team", "team"]
    assert isinstance(crew.crews["team"], CrewDefinition)
    with pytest.raises(DefinitionError, match="no crew `gone`"):
        define_crew(CrewSpec(roles=(Role(role="X", goal="y", crew="gone"),)), project)


def test_free_tools_go_to_people_who_can_use_them_and_not_to_teams(write: WriteProject) -> None:
    project = write({"crews/c.yaml": "roles: [a, team]\n", "crews/team.yaml": TEAM})
    crew = with_free_tools(load_crew("c", project), ("population",))
    assert [role.tools for role in crew.roles] == [("population",), ()]
