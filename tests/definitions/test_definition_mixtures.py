"""Which chats and syntheses make no sense, and what a user is told, at which place."""

import re

import pytest

from crewmix.crew import Crew
from crewmix.definitions.check_models import is_model_string
from crewmix.definitions.load import load_crew
from crewmix.definitions.read_by import CHAT_FIELDS, SYNTHESIS_FIELDS
from crewmix.definitions.seats import seats
from crewmix.definitions.spec import ChatSpec, SynthesisSpec
from crewmix.definitions.spec_chat import EdgeSpec, NodeSpec, ProposerSpec, StopSpec
from crewmix.errors import DefinitionError
from definitions.conftest import WriteProject
from definitions.mixture_files import ROLES, assert_only_problem, problems_of

MISTAKES = [
    # what only another pattern or method reads
    ("roles: [a, b]\nchat: {⌖proposers: [a]}\n", "senseless", "patterns `layers`, `vote` and `debate`", "`round_robin`"),
    ("roles: [a, b]\nchat: {pattern: vote, ⌖layers: 2}\n", "senseless", "only read by the pattern `layers`", "vote"),
    ("roles: [a, b]\nchat: {pattern: vote, ⌖stop_when: approved}\n", "senseless", "`stop_when` is only read", None),
    ("roles: [a, b]\nchat: {pattern: layers, ⌖stop: {agree: 2}}\n", "senseless", "`vote` and `debate`", None),
    ("roles: [a, b]\nchat: {pattern: vote, ⌖max_turns: 3}\n", "senseless", "`max_turns` is only read", None),
    ("roles: [a, b]\nchat: {pattern: 'json:loads', ⌖nodes: {x: {role: a}}}\n", "senseless", "this chat is `json:loads`", None),
    ("roles: [a, b]\nsynthesis: {method: rank, ⌖rubric: [x]}\n", "senseless", "the method `judge`", "method: judge"),
    ("roles: [a, b]\nsynthesis: {⌖answer: number}\n", "senseless", "`majority` and `weighted`", None),
    ("roles: [a, b]\nsynthesis: {method: rank, ⌖weights: {a: 1}}\n", "senseless", "`majority` and `weighted`", None),
    ("roles: [a, b]\nsynthesis: {method: majority, ties: first, ⌖weights: {a: 1}}\n", "senseless", "for ties only", None),
    (
        "roles: [a, b]\nsynthesis: {method: majority, ties: first, ⌖record: roles/a.yaml}\n",
        "senseless",
        "for ties only",
        None,
    ),
    (
        "roles: [a, b]\nchat: {pattern: vote, stop: {agree: 2, similarity: 0.8}}\nsynthesis: {⌖answer: number}\n",
        "senseless",
        "`answer` is only read",
        None,
    ),
    # names
    ("roles: [a, b]\nchat: {pattern: ⌖'m:'}\n", "wrong_value", "must be `package.module:name`", None),
    ("roles: [a, b]\nchat: {pattern: ⌖my.pattern}\n", "unknown_pattern", "`my.pattern`", "`package.module:name`"),
    ("roles: [a, b]\nchat: {pattern: vote, proposers: [a, b, ⌖bb]}\n", "unknown_role", "`bb`, which is not in", "`b`"),
    (
        "roles: [a, b]\nchat: {pattern: vote, proposers: [a, b, {role: ⌖x}]}\n",
        "unknown_role",
        "`proposers` name the role `x`",
        "choose from `a`, `b`",
    ),
    (
        "roles: [a, b]\nchat: {pattern: layers, per_layer: [{proposers: [a, ⌖x]}]}\n",
        "unknown_role",
        "name the role `x`",
        None,
    ),
    ("roles: [a, b, r]\nchat: {pattern: debate, proposers: [a, b, ⌖r]}\n", "senseless", "cannot propose", None),
    ("roles: [a, b]\nchat: {pattern: handoff, handoffs: {a: [⌖x]}}\n", "unknown_role", "`handoffs` names", "`b`"),
    ("roles: [a, b]\nchat: {pattern: handoff, handoffs: {⌖x: [a]}}\n", "unknown_role", "`handoffs` names", None),
    ("roles: [a, b]\nchat: {pattern: handoff, handoffs: {a: [b, ⌖a]}}\n", "senseless", "cannot pass to itself", None),
    (
        "roles: [a, b]\nsynthesis: {method: weighted, weights: {a: 1, ⌖bb: 2}}\n",
        "unknown_role",
        "neither a role nor a proposer",
        "`b`",
    ),
    ("roles: [a, b]\nchat: {pattern: vote, replacement: ⌖bettr}\nmodels: {better: xai/b}\n",
     "unknown_model", "`bettr`", "`better`"),
    ("roles: [a, b]\nchat: {pattern: vote, proposers: [a, {role: b, llm: ⌖x}]}\n", "unknown_model", "`x`", None),
    ("roles: [a, b]\nchat: {pattern: layers, per_layer: [{llm: ⌖x}]}\n", "unknown_model", "`x`", None),
    ("roles: [a]\njudge: ⌖judgge\n", "unknown_role", "`judgge`", "`judge`"),
    # who would never speak
    ("roles: [a, b, ⌖h]\nchat: {pattern: vote, proposers: [a, b]}\n", "senseless", "`h` would never speak", "leave it"),
    ("roles: [a, b, ⌖r]\nchat: {pattern: vote}\n", "senseless", "`vote` has no reviews", "leave it out"),
    ("roles: [a, ⌖b]\nchat: {pattern: graph, nodes: {x: {role: a}}}\n", "senseless", "no node has it", "node"),
    (
        "roles: [a, b, ⌖h]\nchat: {pattern: handoff, handoffs: {a: [b], b: [a]}}\n",
        "senseless",
        "nobody may pass to it",
        "handoffs",
    ),
    # how many drafts
    ("roles: [a, b]\nchat: {pattern: vote, samples: 2, quorum: ⌖5}\n", "senseless", "only 4 drafts to offer", None),
    ("roles: [a, b]\nchat: {pattern: handoff, quorum: ⌖2}\n", "senseless", "only 1 draft to offer", None),
    ("roles: [a, b]\nchat: {max_turns: 1, quorum: ⌖2}\n", "senseless", "only 1 draft to offer", None),
    ("roles: [a, b]\nchat: {pattern: layers, layers: 3, quorum: ⌖3}\n", "senseless", "only 2 drafts", None),
    (
        "roles: [a, b]\nchat: {pattern: layers, per_layer: [{quorum: ⌖3}]}\n",
        "senseless",
        "`quorum: 3` cannot be reached: layer 1 has only 2",
        None,
    ),
    ("roles: [a, b]\nchat: {pattern: vote, stop: {agree: ⌖3}}\n", "senseless", "`agree: 3` cannot be reached", "samples"),
    (
        "roles: [a]\nchat: {pattern: vote, samples: 5, quorum: ⌖3, stop: {agree: 2}}\n",
        "senseless",
        "`quorum: 3` is not met where `stop` ends the vote after 2 drafts",
        "`agree: 3`",
    ),
    (
        "roles: [a]\nchat: {pattern: vote, samples: 5, stop: {agree: 2}}\nsynthesis: {method: majority, quorum: ⌖3}\n",
        "senseless",
        "`quorum: 3` is not met where `stop` ends the vote after 2 drafts",
        "`agree: 3`",
    ),
    ("roles: [a, b, r]\nchat: {pattern: debate, stop: {agree: ⌖3}}\n", "senseless", "`agree: 3` cannot", None),
    ("roles: [a]\nchat: {pattern: ⌖vote}\n", "senseless", "a vote of one", "`samples: 3`"),
    ("roles: [a]\nchat: {pattern: ⌖layers}\n", "senseless", "nothing to aggregate", "`samples: 3`"),
    ("roles: [a]\nchat: {pattern: ⌖debate}\n", "senseless", "nobody can debate alone", "`samples: 3`"),
    ("roles: [a]\nchat: {pattern: ⌖handoff}\n", "senseless", "nobody to pass to", None),
    ("roles: [a, b]\nchat: {pattern: debate, rounds: ⌖1}\n", "senseless", "nobody answers anybody", "pattern: vote"),
    ("roles: [a]\nsynthesis: {method: ⌖majority}\n", "senseless", "`majority` needs several drafts", "samples: 5"),
    ("roles: [a, r]\nsynthesis: {method: ⌖rank}\n", "senseless", "the crew has only 1 draft", None),
    ("roles: [a, r]\nchat: {pattern: debate}\nsynthesis: {method: ⌖judge}\n", "senseless", "needs several", None),
    (
        "roles: [a, b]\nchat: {pattern: handoff}\nsynthesis: {method: ⌖similarity}\n",
        "senseless",
        "a `handoff` ends with one draft",
        None,
    ),
    (
        "roles: [a]\nchat: {pattern: layers, layers: 3}\nsynthesis: {method: ⌖majority}\n",
        "senseless",
        "needs several drafts",
        None,
    ),
    ("roles: [a, b]\nsynthesis: {method: majority, quorum: ⌖3}\n", "senseless", "has only 2 drafts", None),
    (
        "roles: [a, b]\nchat: {pattern: vote}\ntasks: [{id: t, description: x, roles: [a], synthesis: {method: ⌖rank}},"
        " {description: y}]\n",
        "senseless",
        "task `t` has only 1 draft",
        None,
    ),
    (
        "roles: [a, b]\nchat: {pattern: vote, proposers: [a], samples: 2}\n"
        "tasks: [{id: s, description: x}, {id: t, description: y, ⌖roles: [b]}]\n",
        "senseless",
        "task `t` has nobody who would speak",
        None,
    ),
    # people and crews
    ("roles: [a, h]\nchat: {pattern: vote, samples: ⌖2}\n", "senseless", "asked the same 2 times at once", "count: 1"),
    ("roles: [h]\nchat: {pattern: vote, proposers: [{role: h, count: ⌖3}]}\n", "senseless", "is a person", None),
    ("roles: [a, h]\nchat: {pattern: vote, proposers: [a, {role: h, ⌖llm: xai/y}]}\n", "senseless", "is a person", None),
    (
        "roles: [a, team]\nchat: {pattern: vote, proposers: [a, {role: team, ⌖temperature: 1}]}\n",
        "senseless",
        "is worked by a crew",
        None,
    ),
    # settings of one pattern
    ("roles: [a, b]\nchat: {pattern: layers, ⌖per_layer: [{}, {}]}\n", "senseless", "the one round", "`layers: 3`"),
    (
        "roles: [a, b]\nchat: {pattern: layers, layers: 4, ⌖per_layer: [{}]}\n",
        "senseless",
        "one entry for each of the 3 rounds of proposers, not 1",
        None,
    ),
    # settings of one method
    ("roles: [a, b]\nsynthesis: {method: majority, answer: ⌖label}\n", "senseless", "needs `choices`", None),
    ("roles: [a, b]\nsynthesis: {method: majority, ⌖choices: [x]}\n", "senseless", "nothing to choose", None),
    ("roles: [a, b]\nsynthesis: {method: majority, choices: [x, y, ⌖X]}\n", "senseless", "`X` stands here twice", None),
    (
        "roles: [a, b]\nsynthesis: {method: majority, answer: number, ⌖choices: [x, y]}\n",
        "senseless",
        "`answer` is `number`",
        "label",
    ),
    (
        f"roles: [a, b]\nsynthesis: {{method: majority, answer: choice, ⌖choices: [{', '.join(f'n{i}' for i in range(27))}]}}\n",
        "senseless",
        "letters A to Z",
        "label",
    ),
    ("roles: [a, b]\nsynthesis: {method: ⌖weighted}\n", "senseless", "needs `weights` or a `record`", "confidence"),
    ("roles: [a, b]\nsynthesis: {method: weighted, ⌖weights: {a: 0}}\n", "senseless", "nobody whose answer", None),
    ("roles: [a, b]\nsynthesis: {method: weighted, record: ⌖no.json}\n", "no_such_path", "'no.json'", "relative"),
    ("roles: [a, b]\nsynthesis: {method: judge, rubric: [x, ⌖x]}\n", "senseless", "criterion `x`", None),
]  # fmt: skip


@pytest.mark.parametrize(("marked", "code", "says", "hint"), MISTAKES)
def test_a_mistake_is_shown_at_its_place(
    write: WriteProject, marked: str, code: str, says: str, hint: str | None
) -> None:
    assert_only_problem(write, marked, code, says, hint)


@pytest.mark.parametrize(
    "crew",
    [
        "roles: [a]\nchat: {pattern: vote, samples: 3, stop: {agree: 3}}\nsynthesis: {method: majority, answer: choice}\n",
        "roles: [a]\nchat: {pattern: vote, samples: 3, stop: {agree: 2}}\nsynthesis: {answer: number}\n",
        "roles: [a]\nchat: {pattern: vote, samples: 3, stop: {agree: 2, similarity: 0.9}}\nsynthesis: {measure: tfidf}\n",
        "roles: [a, h]\nchat: {pattern: vote, samples: 2, proposers: [a, {role: h, count: 1}]}\n",
        "roles: [a, r]\nchat: {pattern: debate, rounds: 1}\n",
        "roles: [a, r]\nchat: {pattern: debate, samples: 2, stop_when: approved}\nsynthesis: {method: rank}\n",
        "roles: [a, b]\nchat: {pattern: layers, layers: 3, per_layer: [{quorum: 2}, {proposers: [a], quorum: 1}]}\n",
        "roles: [a]\nchat: {pattern: layers, layers: 3}\n",
        "roles: [a, b]\nchat: {pattern: handoff, handoffs: {b: []}}\n",
        "roles: [a, b, r]\nchat: {pattern: 'json.decoder:JSONDecoder', max_turns: 5}\n",
        "roles: [a, b]\nsynthesis: {method: weighted, weights: {a: 2, b: 0, default: 1, xai/grok: 3}}\n",
        "roles: [a]\nchat: {pattern: vote, samples: 2}\nsynthesis: {method: weighted, weights: {'a#2': 2}}\n",
        "roles: [a, b]\nsynthesis: {method: majority, weights: {b: 2}}\n",
        "roles: [a, b, r]\nchat: {pattern: handoff, stop_when: approved, max_turns: 9}\n",
        "roles: [a, b]\nchat: {pattern: vote}\nsynthesis: {method: majority}\n"
        "tasks: [{description: x, roles: [a]}, {description: y}]\n",
        "roles: [a, b]\nchat: {pattern: vote, replacement: spare}\nmodels: {spare: groq/x}\n",
    ],
)
def test_what_makes_sense_is_accepted(write: WriteProject, crew: str) -> None:
    assert problems_of(write, crew) == []


def test_a_mistake_in_a_task_file_and_in_a_parent_is_shown_there(write: WriteProject) -> None:
    found = problems_of(
        write,
        "extends: base\ntasks: [t]\n",
        crews__base="roles: [a, b]\nchat: {pattern: vote, proposers: [a, b, x]}\n",
        tasks__t="description: x\nchat: {pattern: debate, proposers: [a, b, y]}\n",
    )
    assert [(p.file, p.code) for p in found] == [("tasks/t.yaml", "unknown_role")], "no task uses the parent's chat"
    found = problems_of(
        write, "extends: base\n", crews__base="roles: [a, b]\nchat: {pattern: vote, proposers: [a, b, x]}\n"
    )
    assert [(p.file, p.line, p.column) for p in found] == [("crews/base.yaml", 2, 41)]


def test_several_mistakes_of_one_chat_come_at_once(write: WriteProject) -> None:
    crew = (
        "roles: [a, b, r]\nchat:\n  pattern: layers\n  rounds: 2\n  quorum: 9\n  per_layer: [{}, {}]\n"
        "synthesis: {method: majority, compare: pairwise, quorum: 5}\n"
    )
    assert [(p.line, p.code) for p in problems_of(write, crew)] == [
        (1, "senseless"),
        (4, "senseless"),
        (5, "senseless"),
        (6, "senseless"),
        (7, "senseless"),
        (7, "senseless"),
    ]


def test_a_wrong_part_that_must_be_there_does_not_hide_other_mistakes(write: WriteProject) -> None:
    crew = "roles: [a, nobody]\nchat: {pattern: vote, stop: {agree: 1}}\nsynthesis: {method: nope}\n"
    assert [p.code for p in problems_of(write, crew)] == ["unknown_role", "wrong_value", "unknown_method"]
    crew = "roles: [{role: X, goal: y, actor: human, tools: [now], bugdet: {}}, nobody]\n"
    assert [p.code for p in problems_of(write, crew)] == ["senseless", "unknown_key", "unknown_role"]


def test_a_child_that_chooses_another_pattern_inherits_only_what_that_one_reads(write: WriteProject) -> None:
    base = (
        "roles: [a, b]\nchat: {pattern: layers, layers: 3, samples: 2, shuffle: true, quorum: 2}\n"
        "synthesis: {method: rank, compare: pairwise, llm: xai/y}\n"
    )
    files = {
        "crews/base.yaml": base,
        "crews/c.yaml": "extends: base\nchat: {pattern: vote}\nsynthesis: {method: judge, rubric: [short]}\n",
        "crews/same.yaml": "extends: base\nchat: {pattern: layers, layers: 4}\n",
    }
    project = write(files)
    crew = load_crew("c", project)
    assert crew.chat == ChatSpec(pattern="vote", samples=2, quorum=2)
    assert crew.synthesis == SynthesisSpec(method="judge", rubric=("short",), llm="xai/y")
    assert load_crew("same", project).chat.shuffle


@pytest.mark.parametrize(("spec", "table"), [(ChatSpec, CHAT_FIELDS), (SynthesisSpec, SYNTHESIS_FIELDS)])
def test_the_description_of_a_field_says_who_reads_it(spec: type, table: dict[str, tuple[str, ...]]) -> None:
    for name, field in spec.model_fields.items():
        described = re.match(r"(?:Only for|For) ((?:(?!, and for)[^:.;])*)", field.description or "")
        readers = set(re.findall(r"`(\w+)`", described[1])) if described else set()
        assert bool(readers) <= (name in table)
        if name in table and readers:
            assert readers <= set(table[name])


def test_a_mixture_written_in_python_is_read_and_checked_like_a_file(write: WriteProject) -> None:
    project = write(ROLES)
    graph_in_python = {
        "pattern": "graph",
        "nodes": {
            "draft": NodeSpec(role="a", fields={"parts": "list", "mood": ("good", "bad")}, next=("each", "check")),
            "each": {"role": "b", "each": "draft.parts", "next": "check"},
            "check": {"role": "r", "next": EdgeSpec(to="draft", when={"verdict": "revise"})},
        },
    }
    crew = Crew(roles=["a", "b", "r"], chat=graph_in_python, project=project)
    assert crew.definition.chat.nodes["check"].next == (EdgeSpec(to="draft", when={"verdict": "revise"}),)
    crew = Crew(
        roles=["a", "b"],
        chat=ChatSpec(pattern="vote", proposers=("a", ProposerSpec(role="b", count=2)), stop=StopSpec(agree=2)),
        synthesis={"method": "majority", "answer": "label", "choices": ("yes", "no")},
        project=project,
    )
    assert [seat.name for seat in seats(crew.definition.chat, crew.definition.roles)] == ["a", "b#1", "b#2"]
    with pytest.raises(DefinitionError) as caught:
        Crew(roles=["a"], chat={"pattern": "vote", "proposers": [{"role": "x"}], "layers": 2}, project=project)
    assert {(p.file, p.line, p.code) for p in caught.value.problems} == {
        ("crew `crew`", 0, "unknown_role"),
        ("crew `crew`", 0, "senseless"),
    }


def test_a_record_is_read_when_the_crew_is_checked_and_not_after_the_votes_were_paid(write: WriteProject) -> None:
    crew = "roles: [a, b]\nchat: {pattern: vote}\nsynthesis: {method: weighted, record: past.json}\n"
    project = write({"crews/c.yaml": crew, "past.json": '{"members": {"a": {"right": 4, "asked": 3}, "b": 3}, "y": 1}'})
    with pytest.raises(DefinitionError) as caught:
        Crew.load("c", project=project)
    assert {(p.file, p.code, p.message) for p in caught.value.problems} == {
        ("past.json", "record", "`members.a`: `right` is 4, more than `asked`, 3"),
        ("past.json", "record", "`members.b`: must be a mapping"),
        ("past.json", "record", "`y`: unknown key"),
    }
    write({"past.json": '{"members": '})
    with pytest.raises(DefinitionError, match="not JSON"):
        Crew.load("c", project=project)
    write({"past.json": '{"members": {"a": {"right": 3, "asked": 4}}}'})
    assert Crew.load("c", project=project).definition.synthesis.record == "past.json"


def test_a_models_name_is_told_from_a_role() -> None:
    assert is_model_string("xai/grok")
    assert not is_model_string("solver#2")
