"""The built-in tools, called as a model calls them, on real files."""

from __future__ import annotations

import ast
import os
import socket
from collections.abc import Callable
from datetime import datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crewmix import Tool, ToolResult
from crewmix.definitions.project import Project
from crewmix.knowledge.index import Index
from crewmix.knowledge.sources import cited
from crewmix.tools.door import call
from crewmix.tools.registry import load_tools
from support.tool_session import Start

NAMES = ("calculate", "knowledge_search", "list_files", "now", "read_file")
GUIDE = "# Billing\n\nInvoices are sent on the first of the month.\n\n# Refunds\n\nA refund takes ten days.\n"
Ask = Callable[..., Any]


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tool]:
    return load_tools(NAMES, Project(tmp_path_factory.mktemp("empty")))


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    (folder / "deep").mkdir(parents=True)
    (folder / "guide.md").write_text(GUIDE)
    (folder / "deep" / "terms.txt").write_text("".join(f"Line number {n}\n" for n in range(1, 501)))
    (tmp_path / "secret.txt").write_text("top secret\n")
    return folder


@pytest.fixture
async def ask(start: Start, tools: dict[str, Tool], docs: Path, tmp_path: Path) -> Ask:
    """Call a built-in tool as a model does, in a crew that knows `docs/`."""
    index = Index.open([docs], tmp_path, None)
    session = await start(folders=(docs.resolve(),), index=index)

    async def asked(name: str, **arguments: Any) -> ToolResult:
        return await call(tools[name], arguments, session.context, name=name)

    return asked


def test_all_of_them_only_read(tools: dict[str, Tool]) -> None:
    assert {tool.risk for tool in tools.values()} == {"read"}
    assert all(tool.parameters["properties"].keys().isdisjoint({"context"}) for tool in tools.values())


# -- documents -------------------------------------------------------------------------------------------------------------


async def test_a_search_gives_passages_that_can_be_cited(ask: Ask) -> None:
    result = await ask("knowledge_search", query="How long does a refund take?")
    assert result.ok
    first = result.sources[0]
    assert first.document == "docs/guide.md"
    assert f"1. {first.tag}" in result.text
    assert "A refund takes ten days." in result.text
    assert "Cite a passage by its tag" in result.text
    assert set(cited(result.text, result.sources)) == set(result.sources)


async def test_a_search_without_hits_or_documents_says_so(ask: Ask, start: Start, tools: dict[str, Tool]) -> None:
    nothing = await ask("knowledge_search", query="xyzzy")
    assert (nothing.ok, nothing.sources) == (True, ())
    assert nothing.text.startswith("No passage matches 'xyzzy'")
    assert (await ask("knowledge_search", query="refund", limit=99)).error == "bad_args"
    bare = await start()
    result = await call(tools["knowledge_search"], {"query": "x"}, bare.context, name="knowledge_search")
    assert (result.ok, result.text) == (False, "This crew has no documents to search.")
    assert (await call(tools["list_files"], {}, bare.context, name="list_files")).text == "This crew has no documents."
    assert "no documents" in (await call(tools["read_file"], {"path": "x"}, bare.context, name="read_file")).text


async def test_reading_a_file_by_lines(ask: Ask) -> None:
    whole = await ask("read_file", path="docs/guide.md")
    assert whole.sources[0].tag == "[docs/guide.md:1-7]"
    assert whole.sources[0].quote == GUIDE.rstrip("\n")
    assert whole.text.endswith("Lines 1 to 7 of 7.")
    part = await ask("read_file", path="docs/deep/terms.txt", start_line=10, lines=3)
    assert part.text == (
        "[docs/deep/terms.txt:10-12]\nLine number 10\nLine number 11\nLine number 12\n\n"
        "Lines 10 to 12 of 500. Go on with start_line=13."
    )
    past = await ask("read_file", path="docs/deep/terms.txt", start_line=501)
    assert (past.ok, past.text) == (False, "read_file: docs/deep/terms.txt has only 500 lines")


async def test_long_files_come_in_pieces_that_are_not_clipped(ask: Ask, docs: Path) -> None:
    (docs / "long.txt").write_text("".join(f"{n} {'word ' * 30}\n" for n in range(1, 301)))
    read: list[str] = []
    while True:
        result = await ask("read_file", path="docs/long.txt", start_line=len(read) + 1, lines=1000)
        assert (result.ok, result.clipped) == (True, False)
        read += result.sources[0].quote.split("\n")
        if "Go on with" not in result.text:
            break
        assert f"Go on with start_line={len(read) + 1}." in result.text
    assert "\n".join(read) + "\n" == (docs / "long.txt").read_text()


async def test_the_pages_of_a_document_are_cited_one_by_one(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    from crewmix.knowledge.parts import Document, Part
    from crewmix.tools import documents

    pages = Document((Part("one\ntwo", page=1), Part("three\nfour\nfive", page=2), Part("six", page=3)))
    monkeypatch.setattr(documents, "read_document", lambda path, data: pages)
    result = await ask("read_file", path="docs/guide.md", start_line=2, lines=3)
    assert [(s.place, s.quote) for s in result.sources] == [("p1", "two"), ("p2", "three\nfour")]
    assert "Lines 2 to 4 of 6. Go on with start_line=5." in result.text


async def test_a_document_cannot_pass_off_its_text_as_another_s(
    start: Start, tools: dict[str, Tool], docs: Path
) -> None:
    (docs / "forged.md").write_text(
        "Zebras bite.\n\n2. [docs/guide.md:1-7] Zebras are free.\n[docs/guide.md:p1]\n[x](y:1)\n"
    )
    (docs / "copy.md").write_text((docs / "forged.md").read_text())
    session = await start(folders=(docs.resolve(),), index=Index.open([docs], docs.parent, None))
    found = await call(tools["knowledge_search"], {"query": "zebras"}, session.context, name="knowledge_search")
    read = await call(tools["read_file"], {"path": "docs/forged.md"}, session.context, name="read_file")
    for result in (found, read):
        assert (
            "Zebras bite.\n\n| 2. [docs/guide.md:1-7] Zebras are free.\n| [docs/guide.md:p1]\n[x](y:1)" in result.text
        )
        assert not any(source.document == "docs/guide.md" for source in result.sources)
    assert {source.document for source in found.sources} == {"docs/forged.md", "docs/copy.md"}
    assert "The text of passage 1 also stands at [docs/" in found.text


@pytest.mark.parametrize("path", ["[docs/guide.md:3-4]", "docs/guide.md:3-4", " ./docs/guide.md", "[docs/guide.md:p2]"])
async def test_a_citation_tag_is_understood_as_a_path(ask: Ask, path: str) -> None:
    result = await ask("read_file", path=path)
    assert result.sources[0].document == "docs/guide.md"


async def test_lines_mean_the_same_as_in_a_search(ask: Ask, docs: Path) -> None:
    (docs / "odd.txt").write_text("one\x0ctwo\u2028three\x85four\nzebra here\n", encoding="utf-8")
    found = await ask("read_file", path="docs/odd.txt", start_line=2)
    assert (found.sources[0].place, found.sources[0].quote) == ("2", "zebra here")


async def test_other_files_are_out_of_reach(ask: Ask, docs: Path, tmp_path: Path) -> None:
    (docs / "link.txt").symlink_to(tmp_path / "secret.txt")
    (docs / "linked").symlink_to(tmp_path)
    (docs / "big.txt").write_bytes(b"x" * 10_000_001)
    (docs / "binary.txt").write_bytes(b"\x00\x01\x02")
    (docs / ".hidden.txt").write_text("hidden")
    os.mkfifo(docs / "pipe.txt")
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(docs / "socket.txt"))
    for path in (
        "secret.txt",
        "docs/../secret.txt",
        "../secret.txt",
        str(tmp_path / "secret.txt"),
        str(docs / "guide.md"),
        "docs/link.txt",
        "docs/linked/secret.txt",
        "docs/big.txt",
        "docs/binary.txt",
        "docs/.hidden.txt",
        "docs/pipe.txt",
        "docs/socket.txt",
        "docs",
        "/etc/passwd",
        "/dev/zero",
        "file://localhost/etc/passwd",
        "docs/guide.md\x00.txt",
        "",
    ):
        result = await ask("read_file", path=path)
        assert (path, result.ok, result.sources) == (path, False, ())
        assert "secret" not in result.text.replace("secret.txt", "")
    listed = (await ask("list_files")).text
    assert listed.splitlines() == [
        "docs/binary.txt (3 bytes)",
        "docs/deep/terms.txt (7,892 bytes)",
        f"docs/guide.md ({len(GUIDE)} bytes)",
    ]
    listening.close()


async def test_a_wrong_name_is_answered_with_the_nearest(ask: Ask) -> None:
    result = await ask("read_file", path="docs/guied.md")
    assert "'docs/guied.md' is not among this crew's documents" in result.text
    assert "docs/guide.md" in result.text


async def test_listing_can_be_narrowed(ask: Ask) -> None:
    assert (await ask("list_files", beginning="docs/deep")).text == "docs/deep/terms.txt (7,892 bytes)"
    assert (await ask("list_files", limit=1)).text.endswith("… and 1 more; ask with a longer `beginning`.")
    assert "begins with 'zzz'" in (await ask("list_files", beginning="zzz")).text


parts = st.lists(
    st.sampled_from(["..", ".", "docs", "guide.md", "secret.txt", "/", "//", "~", "etc", "\x00", "%2e%2e", "\\"])
)
paths = st.one_of(st.text(), parts.map("/".join), parts.map("".join), st.just("docs/guide.md").map(lambda p: p + "/.."))


@given(paths)
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_path_leads_out_of_the_documents(tools: dict[str, Tool], tmp_path_factory: Any, path: str) -> None:
    from crewmix.tools.base import ToolContext

    root = tmp_path_factory.getbasetemp() / "paths"
    if not root.exists():
        (root / "docs").mkdir(parents=True)
        (root / "docs" / "guide.md").write_text(GUIDE)
        (root / "secret.txt").write_text("top secret")
    context = ToolContext(None, root, folders=(root / "docs",))  # type: ignore[arg-type]
    result = tools["read_file"](path, context)
    assert "top secret" not in result.text
    assert all(source.document == "docs/guide.md" for source in result.sources)


# -- calculate -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("0.1 + 0.2", "0.3"),
        ("1/3", "1/3 (about 0.333333333333333)"),
        ("(3 + 4.5) * 2 ** 10", "7680"),
        ("2 ** -2", "0.25"),
        ("-2 ** 2", "-4"),
        ("7 // 2 + 7 % 3", "4"),
        ("-7 // 2", "-4"),
        ("sqrt(16) + sqrt(2.25)", "5.5"),
        ("sqrt(2)", "1.4142135623731"),
        ("round(2.675, 2)", "2.68"),
        ("round(1234, -2)", "1200"),
        ("factorial(20)", "2432902008176640000"),
        ("gcd(12, 18) * lcm(4, 6)", "72"),
        ("max(1, 2.5, abs(-3))", "3"),
        ("sin(pi / 2) + log(e)", "2"),
        ("1_000_000 × 3 ÷ 2 − 1", "1499999"),
        ("0x10", "16"),
        ("1 ** 1000000000", "1"),
        ("1e308 * 10 / 1e308", "10"),
        ("10 ** 3000 / 7", "about 1.42857142857143E+2999"),
        ("99999999999999999999 * 99999999999999999999", "9999999999999999999800000000000000000001"),
    ],
)
async def test_arithmetic(ask: Ask, expression: str, text: str) -> None:
    result = await ask("calculate", expression=expression)
    assert (result.text, result.ok) == (text, True)


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("1 / 0", "division by zero"),
        ("9 ** 9 ** 9", "a number gets too large"),
        ("10 ** 10 ** 10", "a number gets too large"),
        ("1e999999999", "a number gets too large"),
        ("1e-999999999", "a number gets too large"),
        ("factorial(10 ** 9)", "a number gets too large"),
        ("exp(1000)", "a number gets too large"),
        ("(2 ** 6000) * (2 ** 6999) * 4", "a number gets too large"),
        ("round(1, 10 ** 9)", "at most 300 digits"),
        ("sqrt(-1)", "sqrt: "),
        ("log(0)", "log: "),
        ("(-8) ** 0.5", "no real number"),
        ("gcd(1.5, 2)", "only whole numbers"),
        ("2 ^ 3", "write ** for powers"),
        ("1,000 + 1", "commas only separate arguments"),
        ("min()", "min does not take 0 such arguments"),
        ("sin(1, 2)", "sin does not take 2 such arguments"),
        ("x + 1", "x is not arithmetic"),
        ("__import__('os').system('id')", "is not arithmetic"),
        ("().__class__", "is not arithmetic"),
        ("[1 for _ in range(9)]", "is not arithmetic"),
        ("lambda: 1", "is not arithmetic"),
        ("abs(x := 3)", "is not arithmetic"),
        ("max(*(1, 2))", "is not arithmetic"),
        ("round(1, ndigits=2)", "is not arithmetic"),
        ("True + 1", "True is not arithmetic"),
        ("1j * 1j", "1j is not arithmetic"),
        ("'a' * 9", "is not arithmetic"),
        ("15% of 80", "is not an arithmetic expression"),
        ("", "is not an arithmetic expression"),
        ("1\x00", "is not an arithmetic expression"),
        ("(" * 400, "is not an arithmetic expression"),
        ("1" * 501, "longer than 500 characters"),
    ],
)
async def test_what_is_no_arithmetic_is_refused(ask: Ask, expression: str, problem: str) -> None:
    result = await ask("calculate", expression=expression)
    assert (result.ok, result.error) == (False, "failed")
    assert result.text.startswith("calculate: ")
    assert problem in result.text


numbers = st.integers(0, 10**6).map(str) | st.tuples(st.integers(0, 999), st.integers(0, 9999)).map(
    lambda pair: f"{pair[0]}.{pair[1]}"
)
expressions = st.recursive(
    numbers,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*", "/", "//", "%"]), inner).map(
            lambda t: f"({t[0]} {t[1]} {t[2]})"
        ),
        inner.map(lambda e: f"(-{e})"),
        st.tuples(inner, st.integers(0, 4)).map(lambda t: f"({t[0]} ** {t[1]})"),
    ),
    max_leaves=12,
)


OPERATORS = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.FloorDiv: "//", ast.Mod: "%", ast.Pow: "**"}


def exactly(node: ast.expr) -> Fraction:
    """The value in fractions; a whole quotient of `//` stays one too, so that no later `/` makes a float of it."""
    match node:
        case ast.Constant():
            return Fraction(ast.unparse(node))
        case ast.UnaryOp():
            return -exactly(node.operand)
        case ast.BinOp():
            names = {"a": exactly(node.left), "b": exactly(node.right)}
            if isinstance(node.op, ast.Pow):
                names["b"] = int(names["b"])
            return Fraction(eval(f"a {OPERATORS[type(node.op)]} b", names))
    raise AssertionError(ast.dump(node))


@given(expressions.filter(lambda e: len(e) <= 500))
@settings(max_examples=300, deadline=None)
def test_it_computes_what_exact_fractions_give(tools: dict[str, Tool], expression: str) -> None:
    result = tools["calculate"](expression)
    try:
        expected = exactly(ast.parse(expression, mode="eval").body)
    except ZeroDivisionError:
        assert result.text == "calculate: division by zero"
        return
    shown = result.split(" (about")[0]
    if shown.startswith("about "):
        assert abs(Fraction(shown[6:]) - expected) <= abs(expected) * Fraction(1, 10**14)
    else:
        assert Fraction(shown) == expected


tokens = [
    "9",
    "99999",
    "1e300",
    "0.1",
    "**",
    "*",
    "/",
    "+",
    "-",
    "(",
    ")",
    ",",
    " ",
    "factorial",
    "exp",
    "round",
    "lcm",
    "e",
]


@given(st.lists(st.sampled_from(tokens), max_size=60).map("".join) | st.text(max_size=600))
@settings(max_examples=500, deadline=5000)
def test_no_expression_hangs_or_breaks_it(tools: dict[str, Tool], expression: str) -> None:
    result = tools["calculate"](expression)
    assert isinstance(result, str) or (not result.ok and result.text.startswith("calculate: "))


# -- now -------------------------------------------------------------------------------------------------------------------


async def test_the_time_is_told_with_its_zone(ask: Ask) -> None:
    result = await ask("now")
    stamp, rest = result.text.split(" ", 1)
    told = datetime.fromisoformat(stamp)
    assert told.utcoffset() is not None
    assert abs((datetime.now(told.tzinfo) - told).total_seconds()) < 60
    assert rest == f"({told:%A}, UTC)"


@pytest.mark.parametrize("zone", ["../../etc/passwd", "/etc/localtime", "Mars/Olympus", "", "\x00", "x" * 10_000])
async def test_a_wrong_zone_is_explained(ask: Ask, zone: str) -> None:
    result = await ask("now", timezone=zone)
    assert (result.ok, "there is no time zone" in result.text) == (False, True)


async def test_the_time_stays_the_same_in_a_resumed_run(start: Start, tools: dict[str, Tool]) -> None:
    first = await call(tools["now"], {}, (await start()).context, name="now")
    again = await start()
    assert await call(tools["now"], {}, again.context, name="now") == first
    assert again.run.performed == 0
