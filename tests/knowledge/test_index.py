"""The index finds what is there, cites it exactly, reads only what changed, and survives hostile input."""

import os
import sqlite3
import threading
from importlib.metadata import distribution
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from crewmix.knowledge import index as index_module
from crewmix.knowledge.index import Index
from crewmix.knowledge.names import document_names

PACKAGES = ("aiohttp", "pydantic", "starlette", "hypothesis", "numpy")


@pytest.fixture(scope="module")
def licences(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The licence texts and descriptions of installed packages: real documents."""
    folder = tmp_path_factory.mktemp("licences")
    for name in PACKAGES:
        found = distribution(name)
        texts = [f for f in found.files or [] if f.name.split(".")[0] == "LICENSE" and f.parent.name == "licenses"]
        (folder / f"{name}.txt").write_text(texts[0].read_text(encoding="utf-8"), encoding="utf-8")
        (folder / f"{name}.md").write_text(found.read_text("METADATA") or "", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def library(licences: Path) -> Index:
    return Index.open([licences], licences.parent, None)


def lines(folder: Path, tag: str) -> str:
    """What stands in a file at a tag's lines."""
    name, _, place = tag[1:-1].rpartition(":")
    first, _, last = place.partition("-")
    return "\n".join((folder / name).read_text(encoding="utf-8").split("\n")[int(first) - 1 : int(last or first)])


@pytest.mark.parametrize(
    ("question", "document", "words"),
    [
        ("Does the Apache licence grant a patent license?", "aiohttp.txt", "Grant of Patent License"),
        ("names of contributors to endorse or promote products", "starlette.txt", "endorse or promote"),
        ("permission notice shall be included in all copies", "pydantic.txt", "shall be included"),
        ("Secondary Licenses incompatible notice", "hypothesis.txt", "Secondary Licenses"),
    ],
)
def test_a_question_finds_the_right_passage(
    library: Index, licences: Path, question: str, document: str, words: str
) -> None:
    hits = library.search(question)
    best = next(h for h in hits if h.source.document == f"{licences.name}/{document}")
    assert words in best.text
    assert hits.index(best) < 2


def test_every_tag_points_at_exactly_the_text_it_cites(library: Index, licences: Path) -> None:
    checked = 0
    for source in library.texts():
        assert source.quote.strip() in lines(licences.parent, source.tag)
        checked += 1
    assert checked > 50


def test_passages_cover_everything_once(library: Index, licences: Path) -> None:
    text = (licences / "aiohttp.txt").read_text(encoding="utf-8")
    name = f"{licences.name}/aiohttp.txt"
    passages = [s for s in library.texts() if s.document == name]
    assert "".join("".join(s.quote for s in passages).split()) == "".join(text.split())


def test_british_spelling_word_forms_and_accents_do_not_matter(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("The license organizes the colors of the café.")
    (tmp_path / "b.txt").write_text("Nothing of interest.")
    index = Index.open([tmp_path], tmp_path, None)
    for query in ("licences", "organising", "colour", "cafe", "licensed"):
        assert [h.source.document for h in index.search(query)] == ["a.txt"], query


def test_scripts_without_spaces_are_searchable(tmp_path: Path) -> None:
    (tmp_path / "zh.txt").write_text("这个软件的许可证允许复制和分发。")
    (tmp_path / "ja.txt").write_text("この建物は一九三一年に完成しました。")
    index = Index.open([tmp_path], tmp_path, None)
    assert [h.source.document for h in index.search("许可证")] == ["zh.txt"]
    assert index.search("建物はいつ完成")[0].source.document == "ja.txt"


def test_compounds_are_found_by_their_beginning(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Der Urheberrechtsvermerk bleibt erhalten.")
    assert Index.open([tmp_path], tmp_path, None).search("Urheberrecht")[0].source.document == "a.txt"


def test_a_common_word_still_tells_texts_apart(tmp_path: Path) -> None:
    for n in range(9):
        (tmp_path / f"{n}.txt").write_text(f"The copyright notice of text {n}.")
    (tmp_path / "x.txt").write_text("Nothing here.")
    found = Index.open([tmp_path], tmp_path, None).search("copyright", limit=20)
    assert len(found) == 9
    assert all(h.score > 0.01 for h in found)


def test_equal_texts_are_one_hit_that_names_all_places(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.txt").write_text("Permission is hereby granted to everybody.")
    (hit,) = Index.open([tmp_path], tmp_path, None).search("permission granted")
    assert hit.source.tag == "[a.txt:1]"
    assert [s.tag for s in hit.same] == ["[b.txt:1]", "[c.txt:1]"]


def test_one_document_does_not_crowd_out_the_others(tmp_path: Path) -> None:
    paragraph = "The harbour master counts {n} ships and {n} boats in the harbour each morning. " * 12
    (tmp_path / "long.txt").write_text("\n\n".join(paragraph.format(n=n) for n in range(30)))
    (tmp_path / "short.txt").write_text("In winter the harbour master sleeps because of the ice.")
    found = Index.open([tmp_path], tmp_path, None).search("harbour master", limit=3)
    assert "short.txt" in {h.source.document for h in found}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None)
@given(
    st.text(max_size=200)
    | st.sampled_from(['"', "NEAR(a b)", "a AND", "*", "col:x", "a^2", "(", "'; drop table x; --", "-x", "\0"])
)
@example('title:"x" OR NOT')
def test_no_query_is_an_error(library: Index, query: str) -> None:
    assert len(library.search(query, 3)) <= 3


def test_a_very_long_query_is_capped(library: Index) -> None:
    assert library.search("license " + " ".join(f"word{n}" for n in range(20_000)))


@pytest.mark.parametrize("query", ["", "   ", "?!", "the of and", "xyzzyplugh"])
def test_nothing_to_find_gives_nothing(tmp_path: Path, query: str) -> None:
    (tmp_path / "a.txt").write_text("A text about lighthouses.")
    assert Index.open([tmp_path], tmp_path, None).search(query) == ()


def test_only_changed_files_are_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    for name, text in {"a": "apples are red", "b": "bananas are yellow", "c": "cherries are dark"}.items():
        (docs / f"{name}.txt").write_text(text)
    database = tmp_path / ".crewmix" / "knowledge.db"
    read: list[str] = []
    real = index_module.read_bytes
    monkeypatch.setattr(index_module, "read_bytes", lambda path: read.append(path.name) or real(path))

    def opened() -> Index:
        read.clear()
        return Index.open([docs], tmp_path, database)

    opened().close()
    assert read == ["a.txt", "b.txt", "c.txt"]
    opened().close()
    assert read == []
    (docs / "b.txt").write_text("blueberries are blue and many")
    (docs / "c.txt").unlink()
    os.utime(docs / "a.txt", ns=(1, 1))
    index = opened()
    assert read == ["a.txt", "b.txt"]
    assert index.documents == ("docs/a.txt", "docs/b.txt")
    assert not index.search("bananas")
    assert not index.search("cherries")
    assert index.search("blueberries")[0].source.tag == "[docs/b.txt:1]"
    index.close()
    opened().close()
    assert read == []


def test_what_was_left_out_is_still_reported_when_nothing_is_read_again(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.bin").write_bytes(b"\0\1\2")
    (tmp_path / "docs" / "b.txt").write_bytes("Käse".encode("cp1252"))
    for _ in range(2):
        index = Index.open([tmp_path / "docs"], tmp_path, tmp_path / "k.db")
        assert index.skipped == (("docs/a.bin", "not text"),)
        assert index.warnings == ("docs/b.txt: not UTF-8; read as Windows-1252",)
        index.close()


def test_crews_share_a_database_and_see_only_their_own_documents(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.txt").write_text(f"The treasure of crew {name} lies here.")
    database = tmp_path / "k.db"
    first = Index.open([tmp_path / "one"], tmp_path, database)
    second = Index.open([tmp_path / "two"], tmp_path, database)
    assert [h.source.document for h in first.search("treasure")] == ["one/a.txt"]
    assert [h.source.document for h in second.search("treasure")] == ["two/a.txt"]
    both = Index.open([tmp_path / "one", tmp_path / "two"], tmp_path, database)
    assert both.documents == ("one/a.txt", "two/a.txt")
    for index in (first, second, both):
        index.close()


@pytest.mark.parametrize("kind", ["folder in the way", "not a database"])
def test_an_unusable_database_falls_back_to_memory_and_says_so(tmp_path: Path, kind: str) -> None:
    (tmp_path / "a.txt").write_text("The lighthouse stands.")
    database = tmp_path / "k.db"
    if kind == "not a database":
        database.write_bytes(b"this is no database, it is a text of some length" * 50)
    else:
        database.mkdir()
    index = Index.open([tmp_path / "a.txt"], tmp_path, database)
    assert index.search("lighthouse")
    assert len(index.warnings) == 1
    assert "cannot be kept here" in index.warnings[0]


def test_a_database_of_another_version_is_made_anew_and_other_tables_stay(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("The lighthouse stands.")
    database = tmp_path / "k.db"
    with sqlite3.connect(database) as db:
        db.execute("create table knowledge_meta(version integer)")
        db.execute("insert into knowledge_meta values (0)")
        db.execute("create table other(x)")
        db.execute("insert into other values (7)")
    db.close()
    index = Index.open([tmp_path / "a.txt"], tmp_path, database)
    assert index.search("lighthouse")
    index.close()
    db = sqlite3.connect(database)
    assert db.execute("select x from other").fetchall() == [(7,)]
    db.close()


def test_many_threads_search_and_open_at_once(licences: Path, tmp_path: Path) -> None:
    database = tmp_path / "k.db"
    results: list[tuple[str, ...]] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            index = Index.open([licences], licences.parent, database)
            results.append(tuple(h.source.tag for h in index.search("patent license grant", 5)))
            index.close()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(set(results)) == 1
    assert len(results[0]) == 5


def test_the_same_folder_gives_the_same_hits_whatever_was_indexed_first(tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    for n in range(6):
        (docs / f"{n}.txt").write_text(f"Ship {n} leaves the harbour at {n} with cargo number {n}.")
    fresh = Index.open([docs], tmp_path, None).search("ship harbour", 6)
    grown = Index.open([docs / "5.txt"], tmp_path, tmp_path / "k.db")
    grown.close()
    later = Index.open([docs], tmp_path, tmp_path / "k.db")
    assert later.search("ship harbour", 6) == fresh
    later.close()


def test_names_outside_the_project_are_readable_and_unique(tmp_path: Path) -> None:
    project = tmp_path / "project"
    roots = [tmp_path / "x" / "docs", tmp_path / "y" / "docs"]
    files = [(root / "a.md", root) for root in roots]
    names = document_names(
        [*files, (project / "docs" / "a.md", project / "docs"), (tmp_path / "z.md", tmp_path / "z.md")], project
    )
    assert set(names.values()) == {"docs/a.md", "x/docs/a.md", "y/docs/a.md", "z.md"} or len(set(names.values())) == 4
    assert names[project / "docs" / "a.md"] == "docs/a.md"
    assert all(not name.startswith("/") for name in names.values())


@given(st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=4), min_size=1, max_size=12))
def test_no_two_documents_share_a_name(paths: list[list[str]]) -> None:
    files = {(Path("/r", *parts, "f.md"), Path("/r", *parts)) for parts in paths}
    names = document_names(sorted(files), Path("/r/a"))
    assert len(set(names.values())) == len(files)
