"""Which graphs make no sense, and which short forms are misread: what a user is told, at which place."""

from collections import Counter

import pytest

from definitions.conftest import WriteProject
from definitions.mixture_files import assert_only_problem, graph, problems_of

MISTAKES = [
    # graphs
    ("roles: [a]\nchat: {pattern: ⌖graph}\n", "senseless", "needs `nodes`", "nodes:"),
    (graph("x: {role: a, next: ⌖yy}", "y: {role: b, next: z}", "z: {role: r}"), "unknown_node", "`yy`", "`y`"),
    (graph("x: {role: a, next: y}", "y: {role: ⌖bb, next: z}", "z: {role: r}"), "unknown_role", "`y` names", "`b`"),
    (
        graph("x: {role: a}", "⌖y: {role: b, next: z}", "z: {role: r, next: {to: y, when: {verdict: revise}}}"),
        "senseless",
        "nothing leads to the node `y`",
        "`x`",
    ),
    (graph("x: {role: a, next: [y, ⌖y]}", "y: {role: b, next: z}", "z: {role: r}"), "senseless", "to `y` twice", None),
    (
        graph("x: {role: a, fields: {n: number}, next: [y, ⌖{to: y, when: {n: 1}}]}", "y: {role: b}", roles="[a, b]"),
        "senseless",
        "to `y` twice",
        "always taken",
    ),
    (
        graph("x: {role: a, next: y}", "y: {role: b, next: z}", "z: {role: r, next: ⌖x}"),
        "senseless",
        "this circle has no condition, so only its limit would end it: x -> y -> z -> x",
        "when",
    ),
    (
        graph("x: {role: a, next: {to: y, when: {⌖verdict: approve}}}", "y: {role: b, next: z}", "z: {role: r}"),
        "senseless",
        "`x` gives no verdict",
        None,
    ),
    (
        graph("x: {role: a, next: y}", "y: {role: r, next: {to: z, when: {verdict: ⌖ok}}}", "z: {role: b}"),
        "wrong_value",
        "one of `approve`, `revise`",
        None,
    ),
    (
        graph("x: {role: a, fields: {score: number}, next: {to: y, when: {⌖scor: 1}}}", "y: {role: b}", roles="[a, b]"),
        "unknown_field",
        "no field `scor`",
        "`score`",
    ),
    (
        graph("x: {role: a, next: {to: y, when: {⌖done: true}}}", "y: {role: b}", roles="[a, b]"),
        "unknown_field",
        "no field `done`",
        "fields: {done: text}",
    ),
    *(
        (
            graph(f"x: {{role: a, fields: {{f: {kind}}}, next: {{to: y, when: {{f: ⌖{value}}}}}}}", "y: {role: b}",
                  roles="[a, b]"),
            "wrong_value",
            f"`f` is {says}",
            None,
        )
        for kind, value, says in [
            ("number", "'> x'", "a number"),
            ("number", "true", "a number"),
            ("boolean", "maybe", "true or false"),
            ("boolean", "'> true'", "true or false"),
            ("text", "5", "text, so it cannot be compared with `5`"),
            ("text", "'> 5'", "text"),
            ("list", "true", "a list"),
            ("[low, high]", "hihg", "one of `low`, `high`"),
            ("[low, high]", "'>= low'", "one of `low`, `high`"),
        ]
    ),
    (graph("x: {role: a, fields: {⌖verdict: text}}", roles="[a]"), "reserved_name", "what reviewers give", None),
    (graph("x: {role: a, fields: {⌖w: []}}", roles="[a]"), "wrong_value", "at least one", None),
    (graph("x: {role: a, fields: {⌖w: [u, U]}}", roles="[a]"), "wrong_value", "each once", None),
    (graph("x: {role: a, ⌖max_items: 3}", roles="[a]"), "senseless", "together with `each`", None),
    *(
        (
            graph("x: {role: a, fields: {l: list, t: text}, next: y}", f"y: {{role: b, each: ⌖{each}, next: z}}",
                  "z: {role: b, fields: {l: list}}", roles="[a, b]"),
            code,
            says,
            hint,
        )
        for each, code, says, hint in [
            ("x", "wrong_value", "must be `node.field`, not 'x'", None),
            ("xx.l", "unknown_node", "`xx`", "`x`"),
            ("x.ll", "unknown_field", "no field `ll`", "`l`"),
            ("x.t", "senseless", "`x.t` is no list", "`t: list`"),
            ("z.l", "senseless", "`z` does not come before it", "next"),
        ]
    ),
    (
        graph("x: {role: a, fields: {l: list}, each: ⌖x.l}", roles="[a]"),
        "senseless",
        "cannot be the node itself",
        None,
    ),
    (graph("x: {role: team, ⌖fields: {n: number}}", roles="[team]"), "senseless", "its answer is text", None),
    (
        "roles: [a, r]\nchat:\n  pattern: graph\n  ⌖nodes: {x: {role: r}}\n",
        "senseless",
        "every node's role has `approves: true`",
        None,
    ),
    # unions tell what was meant
    ("roles: [a]\nchat: {pattern: vote, proposers: ⌖a}\n", "wrong_type", "must be a list, not 'a'", "write [a]"),
    ("roles: [a]\nchat: {pattern: vote, proposers: [⌖5]}\n", "wrong_type", "a name or a mapping, not 5", None),
    ("roles: [a]\nchat: {pattern: vote, proposers: [⌖a b]}\n", "wrong_value", "must be a name of letters", "`a_b`"),
    ("roles: [a]\nchat: {pattern: vote, proposers: [{role: a, count: ⌖0}]}\n", "wrong_value", "at least 1, not 0", None),
    ("roles: [a]\nchat: {pattern: vote, proposers: [{role: a, ⌖cuont: 2}]}\n", "unknown_key", "cuont", "`count`"),
    ("roles: [a]\nchat: {pattern: vote, stop: ⌖3}\n", "wrong_type", "must be a mapping, not 3", "{agree: 3}"),
    ("roles: [a]\nchat: {pattern: vote, stop: ⌖1}\n", "wrong_type", "must be a mapping, not 1", "`agree`, `similarity`"),
    ("roles: [a]\nchat: {pattern: vote, stop: {⌖agre: 3}}\n", "unknown_key", "chat.stop.agre", "did you mean `agree`?"),
    ("roles: [a, b]\nchat: ⌖vote\n", "wrong_type", "must be a mapping, not 'vote'", "write {pattern: vote}"),
    ("roles: [a, b]\nchat: ⌖voting\n", "wrong_type", "must be a mapping, not 'voting'", "its keys are `pattern`"),
    ("roles: [a, b]\nsynthesis: ⌖majority\n", "wrong_type", "must be a mapping", "write {method: majority}"),
    ("roles: [a]\nchat: {pattern: handoff, handoffs: {a: ⌖b}}\n", "wrong_type", "must be a list, not 'b'", "[b]"),
    (graph("x: {role: a, next: ⌖5}"), "wrong_type", "`chat.nodes.x.next` must be a name or a mapping, not 5", None),
    (graph("x: {role: a, next: {⌖too: y, to: x}}"), "unknown_key", "chat.nodes.x.next.too", "`to`"),
    (graph("next: {role: a, ⌖nxt: y}"), "unknown_key", "chat.nodes.next.nxt", "`next`"),
    (graph("x: {role: a, fields: {f: ⌖lst}}"), "wrong_value", "or `list` or a list of words, not 'lst'", "`list`"),
    (graph("x: {role: a, fields: {⌖f: {}}}"), "wrong_value", "a list of words, not a mapping", None),
    (graph("x: {role: a, fields: {f: [⌖1]}}"), "wrong_type", "`chat.nodes.x.fields.f[0]` must be text", "quotes"),
    (
        graph("x: {role: a, next: {to: x, when: {⌖f: [1]}}}"),
        "wrong_type",
        "must be text, a number, `true` or `false`, not a list",
        None,
    ),
    (
        "roles: [a, b]\nsynthesis: {method: weighted, weights: ⌖confidenc}\n",
        "wrong_value",
        "must be `confidence` or a mapping, not 'confidenc'",
        "`confidence`",
    ),
    ("roles: [a, b]\nsynthesis: {method: weighted, weights: {a: ⌖-1}}\n", "wrong_value", "at least 0, not -1", None),
]  # fmt: skip


@pytest.mark.parametrize(("marked", "code", "says", "hint"), MISTAKES)
def test_a_mistake_is_shown_at_its_place(
    write: WriteProject, marked: str, code: str, says: str, hint: str | None
) -> None:
    assert_only_problem(write, marked, code, says, hint)


@pytest.mark.parametrize(
    "crew",
    [
        graph(
            "plan: {role: a, fields: {parts: list, ready: boolean}, next: [{to: part, when: {ready: true}}, gone]}",
            "part: {role: b, each: plan.parts, max_items: 4, next: check}",
            "gone: {role: b, ask: Say why nothing is ready., next: check}",
            "check: {role: r, fields: {score: number}, next: [{to: plan, when: {verdict: revise, score: '< 5'}},"
            " {to: done, when: {score: '>= 5'}}]}",
            "done: {role: a, fields: {mood: [good, bad]}, next: {to: check, when: {mood: '!= Good'}}}",
        ),
        graph("x: {role: a, next: {to: x, when: {l: milk}}, fields: {l: list}}", roles="[a]"),
        graph("x: {role: a, next: {to: x, when: {t: '!= done'}}, fields: {t: text}}", roles="[a]"),
        graph("x: {role: team, next: y}", "y: {role: r}", roles="[team, r]"),
    ],
)
def test_what_makes_sense_is_accepted(write: WriteProject, crew: str) -> None:
    assert problems_of(write, crew) == []


@pytest.mark.parametrize(
    ("nodes", "synthesis", "found"),
    [
        # what comes before an `each` node is offered where it has no items
        (("x: {role: a, fields: {l: list}, next: z}", "y: {role: b, next: z}", "z: {role: b, each: x.l, max_items: 1}"),
         "{method: majority, quorum: 3}", []),
        # a limit can end a path before a node that is entered less often than it is led to
        (("x: {role: a, next: y}", "y: {role: r, next: [{to: x, when: {verdict: revise}}, z]}", "z: {role: b, next: w}",
          "w: {role: b, limit: 1}"), "{method: majority}", []),
        (("x: {role: a, next: y}", "y: {role: r, next: [{to: x, when: {verdict: revise}}, z]}", "z: {role: b, next: w}",
          "w: {role: b}"), "{method: majority}", ["`majority` needs several drafts, and this `graph` ends with one draft"]),
    ],
)  # fmt: skip
def test_the_drafts_that_a_graph_can_bring_are_counted(
    write: WriteProject, nodes: tuple[str, ...], synthesis: str, found: list[str]
) -> None:
    crew = graph(*nodes, roles="[a, b, r]" if any("role: r" in node for node in nodes) else "[a, b]")
    assert [p.message for p in problems_of(write, f"{crew}synthesis: {synthesis}\n")] == found


@pytest.mark.parametrize(
    ("crew", "found"),
    [
        (graph("x: {role: a, next: yy, limit: m}", "y: {role: bb}", roles="[a, b]"),
         {"wrong_type": 1, "unknown_node": 1, "unknown_role": 1}),
        (graph("x: {role: a, fields: {f: number}, next: {to: x, when: {g: 1}}}", roles="[a]").replace(
            "nodes:", "retries: x\n  nodes:"), {"wrong_type": 1, "unknown_field": 1}),
        ("roles: [a]\nchat: {pattern: vote, quorum: x, proposers: [{role: aa, count: x}, bb]}\n",
         {"wrong_type": 2, "unknown_role": 2}),
        # what a mistake causes is not told as another one
        (graph("x: {rol: a, next: y}", "y: {role: b}", roles="[a, b]"), {"unknown_key": 1}),
        (graph("x: {role: a, nxt: y}", "y: {role: b}", roles="[a, b]"), {"unknown_key": 1}),
        (graph("x: {role: a, next: y}", "y: 5", roles="[a]"), {"wrong_type": 1}),
        (graph("x: {role: a, next: {when: {f: 1}}, fields: {f: numbr}}", roles="[a]"), {"missing_key": 1, "wrong_value": 1}),
        ("roles: [a, b]\nchat: {pattern: 3, nodes: {x: {role: a}}}\n", {"wrong_type": 1}),
        ("roles: [a]\nchat: {pattern: vote, proposers: [{count: 2}]}\n", {"missing_key": 1}),
    ],
)  # fmt: skip
def test_independent_mistakes_of_a_chat_are_told_at_once(write: WriteProject, crew: str, found: dict[str, int]) -> None:
    assert Counter(p.code for p in problems_of(write, crew)) == found


def test_a_condition_stands_at_its_way_in_a_list_and_in_the_short_form(write: WriteProject) -> None:
    for ways in ("{to: y, when: {f: 1}}", "[y, {to: y, when: {f: 1}}]"):
        found = problems_of(write, graph(f"x: {{role: a, next: {ways}}}", "y: {role: b}", roles="[a, b]"))
        place = next(p for p in found if p.code == "unknown_field")
        assert place.source_line[place.column - 1 :].startswith("f: 1")
