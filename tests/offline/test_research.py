"""A role with documents: right facts with right citations, nothing invented, "no evidence" where there is none."""

import asyncio
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crewmix.models.offline.sentences import TAG, statements
from crewmix.models.types import Brief, ChatMessage, ModelRequest
from support.desk import Desk

QUESTIONS = (
    "Which of these licences require keeping the copyright notice?",
    "Which licences grant patent rights?",
    "Does the Apache licence allow using the trademarks?",
    "When does the MPL licence terminate?",
    "May I use the name of the copyright holder to endorse products?",
    "Summarise the MIT licence",
    "Compare MIT and BSD with regard to redistribution",
    "What is a Larger Work?",
)


def plain(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def cited_text(folder: Path, tag: str) -> str:
    """The words at a tag's lines."""
    name, _, place = tag[1:-1].rpartition(":")
    first, _, last = place.partition("-")
    lines = (folder / name).read_text(encoding="utf-8").split("\n")[int(first) - 1 : int(last or first)]
    return " ".join(plain(re.sub(r"\]\([^)]*\)", "]", "\n".join(lines))))


def check_quotations(folder: Path, answer: str) -> int:
    """Every statement of `answer` stands, word for word, at each of the places it cites; how many there are."""
    found = statements(answer)
    for statement in found:
        assert statement.tags, statement
        for piece in statement.text.split("[…]"):
            for tag in statement.tags:
                assert " ".join(plain(piece)) in cited_text(folder, tag)
    return len(found)


@pytest.mark.parametrize(
    ("question", "document", "words"),
    [
        (
            "Which of these licences require keeping the copyright notice?",
            "pydantic-MIT.txt",
            "shall be included in all copies",
        ),
        (
            "Which of these licences require keeping the copyright notice?",
            "starlette-BSD-3-Clause.txt",
            "must retain the above",
        ),
        ("Which of these licences require keeping the copyright notice?", "aiohttp-Apache-2.0.txt", "You must retain"),
        ("Which licences grant patent rights?", "aiohttp-Apache-2.0.txt", "patent license to make, have made"),
        (
            "Does the Apache licence allow using the trademarks?",
            "aiohttp-Apache-2.0.txt",
            "does not grant permission to use the trade",
        ),
        (
            "When does the MPL licence terminate?",
            "hypothesis-MPL-2.0.txt",
            "will terminate automatically if You fail to comply",
        ),
        (
            "May I use the holder's name to endorse products?",
            "starlette-BSD-3-Clause.txt",
            "may be used to endorse or promote",
        ),
        ("Summarise the MIT licence", "pydantic-MIT.txt", "Permission is hereby granted, free of charge"),
    ],
)
def test_a_question_gets_the_fact_and_its_citation(desk: Desk, question: str, document: str, words: str) -> None:
    lines = [line for line in desk.research(question).split("\n") if words in line]
    assert len(lines) == 1
    assert document in "".join(TAG.findall(lines[0]))


@pytest.mark.parametrize("question", QUESTIONS)
def test_every_statement_is_a_quotation_from_the_place_it_cites(desk: Desk, question: str) -> None:
    assert check_quotations(desk.project, desk.research(question)) >= 1


@pytest.mark.parametrize(
    "question",
    [
        "How do I breed axolotls in captivity?",
        "What is the maximum speed of a Boeing 747?",
        "Who won the football world cup in 1954?",
        "qwertz asdfgh yxcvbn",
        "Wie hoch ist das Gehalt der Geschäftsführung?",
    ],
)
def test_without_evidence_it_says_so_and_claims_nothing(desk: Desk, question: str) -> None:
    answer = desk.research(question)
    assert answer == f"No evidence found in the documents for: {question}"


def test_a_question_about_several_documents_quotes_several(desk: Desk) -> None:
    answer = desk.research("Which of these licences require keeping the copyright notice?")
    documents = {tag[1:-1].rpartition(":")[0] for tag in TAG.findall(answer)}
    assert len(documents) >= 3
    assert all(line.startswith("- **") for line in answer.split("\n"))


def test_a_question_which_names_only_those_that_do(desk: Desk) -> None:
    answer = desk.research("Which of these licences grant patent rights?")
    assert {tag[1:-1].rpartition(":")[0].rpartition("/")[2] for tag in TAG.findall(answer)} == {
        "aiohttp-Apache-2.0.txt",
        "hypothesis-MPL-2.0.txt",
    }


def test_a_question_about_one_fact_gets_a_short_answer(desk: Desk) -> None:
    assert len(statements(desk.research("Does the Apache licence allow using the trademarks?"))) <= 2


@pytest.mark.parametrize("question", QUESTIONS)
def test_the_same_question_gets_the_same_answer(desk: Desk, question: str) -> None:
    assert desk.research(question) == desk.at_same_place().research(question)


@pytest.mark.parametrize("question", [*QUESTIONS, "How do I breed axolotls in captivity?"])
def test_it_searches_at_most_three_times_and_never_the_same(desk: Desk, question: str) -> None:
    fresh = desk.at_same_place()
    fresh.research(question)
    queries = [call["query"] for call in fresh.asked]
    assert 1 <= len(queries) <= 3
    assert len(set(queries)) == len(queries)


def test_when_nothing_is_found_it_tries_other_words(desk: Desk) -> None:
    fresh = desk.at_same_place()
    fresh.research("Must I preserve attribution of Boeing engines?")
    assert len(fresh.asked) >= 2


def test_a_later_turn_keeps_what_was_said_and_adds_to_it(desk: Desk) -> None:
    question = "Which of these licences require keeping the copyright notice?"
    first = desk.research(question)
    shortened = "\n".join(first.split("\n")[:2])
    second = desk.research(question, messages=(("researcher", shortened), ("critic", "More, please.")), round=3)
    assert second.startswith(shortened)
    assert len(statements(second)) > 2
    check_quotations(desk.project, second)


def test_the_same_statement_from_several_documents_is_one_line_with_all_tags(desk: Desk, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.txt").write_text(
            f"Guide {name}\n\nThe lamp of the lighthouse burns every night until dawn.\n"
        )
    answer = desk.at(tmp_path).research("When does the lamp of the lighthouse burn?")
    assert answer == "The lamp of the lighthouse burns every night until dawn. [a.txt:1-3] [b.txt:1-3]"


def test_a_paraphrase_is_not_added(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(
        "The lamp of the lighthouse burns every night until dawn. It is very old.\n\n"
        "The lamp of the lighthouse burns brightly every night.\n"
    )
    assert len(statements(desk.at(tmp_path).research("When does the lamp of the lighthouse burn?"))) == 1


def test_sharing_the_commoner_half_of_the_words_is_no_evidence(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("The maximum number of guests in winter is forty. Guests eat soup in winter.\n")
    hotel = desk.at(tmp_path)
    assert hotel.research("What is the maximum payload of a harbour crane in winter?").startswith("No evidence found")
    assert hotel.research("What is the maximum number of guests?").startswith("The maximum number of guests")


def test_german_documents_work(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "urlaub.md").write_text(
        "# Urlaub\n\nJede Mitarbeiterin hat Anspruch auf 30 Tage Urlaub im Jahr. Nicht genommene Tage verfallen am 31. März "
        "des Folgejahres. Anträge stellt man z. B. per E-Mail.\n"
    )
    german = desk.at(tmp_path)
    assert german.research("Wann verfallen nicht genommene Tage?") == (
        "Nicht genommene Tage verfallen am 31. März des Folgejahres. [urlaub.md:1-3]"
    )
    assert german.research("Wie hoch ist das Gehalt?").startswith("No evidence found")


def test_a_text_in_a_script_without_spaces_works(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("这个软件的许可证允许复制和分发。\n\n今天的天气很好。\n")
    assert desk.at(tmp_path).research("许可证允许复制吗?") == "这个软件的许可证允许复制和分发。 [a.txt:1-3]"


def test_no_fragments_headings_code_or_tables_are_quoted(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text(
        "# The cache of the server\n\nand the cache of this server goes on here.\n\n| cache | server |\n|---|---|\n| 1 | 2 |\n\n"
        "```\nThe cache of the server is in code.\n```\n\nThe cache of the server holds 100 pages.\n"
    )
    assert desk.at(tmp_path).research("What does the cache of the server hold?") == (
        "The cache of the server holds 100 pages. [a.md:1-13]"
    )


@pytest.mark.parametrize(
    ("question", "expression", "answer"),
    [
        ("What is 12 * (3 + 4)?", "12 * (3 + 4)", "84"),
        ("How much is 15% of 80 euros?", "15 / 100 * 80", "12"),
        ("Please compute 1,200 / 7 - 3.5 for me", "1200 / 7 - 3.5", "2351/14 (about 167.928571428571)"),
        ("(What is 2^10?)", "2**10", "1024"),
    ],
)
def test_sums_are_left_to_the_calculator(desk: Desk, question: str, expression: str, answer: str) -> None:
    fresh = desk.at_same_place()
    assert fresh.speak(question, "calculate", "knowledge_search") == f"{expression} = {answer}"
    assert fresh.asked == [{"expression": expression}]


@pytest.mark.parametrize(
    "question", ["What changed on 2024-01-02?", "Is version 1.2.3 or 3-5 fine?", "Who is 007?", "Open 24/7"]
)
def test_dates_ranges_and_versions_are_no_sums(desk: Desk, question: str) -> None:
    fresh = desk.at_same_place()
    fresh.speak(question, "calculate", "knowledge_search")
    assert all("expression" not in call for call in fresh.asked)


@pytest.mark.parametrize(
    "question",
    [
        "Write a Python function that sorts a list",
        "Please implement a small script for backups",
        "Translate the text into French",
        "Schreibe ein Gedicht über den Herbst",
        "Generate unit tests for this module",
    ],
)
@pytest.mark.parametrize("tools", [(), ("knowledge_search",)])
def test_what_extraction_cannot_do_is_declined_with_the_way_out(
    desk: Desk, question: str, tools: tuple[str, ...]
) -> None:
    answer = desk.speak(question, *tools)
    assert "needs a language model" in answer
    assert "OPENAI_API_KEY" in answer
    assert "Ollama" in answer


@pytest.mark.parametrize(
    "question",
    ["Write a summary of the MIT licence", "List the functions of the notice file", "Describe the program code terms"],
)
def test_what_extraction_can_do_is_not_declined(desk: Desk, question: str) -> None:
    assert "language model" not in desk.research(question)


def test_without_tools_it_works_on_what_it_was_told(desk: Desk) -> None:
    told = "The bridge is 90 metres long. [a.md:1-2] It is painted green. [a.md:4]"
    answer = desk.speak("How long is the bridge?", role="analyst", messages=(("researcher", told),))
    assert answer == "The bridge is 90 metres long. [a.md:1-2]"
    answer = desk.speak("How long is the bridge?", role="analyst", context=(("t1", told),))
    assert answer == "The bridge is 90 metres long. [a.md:1-2]"
    assert desk.speak("Who built the tunnel?", role="analyst", messages=(("researcher", told),)).startswith(
        "No evidence found"
    )
    assert "needs a language model" in desk.speak("How long is the bridge?", role="analyst")


def test_the_reply_streams_counts_and_costs_nothing(desk: Desk) -> None:
    pieces: list[str] = []
    brief = Brief(
        purpose="speak", question="How long is the bridge?", messages=(("a", "The bridge is 90 metres long. [a.md:1]"),)
    )
    request = ModelRequest("m", (ChatMessage("user", "x" * 400),), brief=brief)
    reply = asyncio.run(desk.model.complete(request, pieces.append))
    assert "".join(pieces) == reply.text
    assert reply.usage.input_tokens == 100
    assert reply.usage.output_tokens == -(-len(reply.text) // 4)
    assert reply.usage.estimated
    assert reply.cost == 0
    assert reply.model == "offline/extractive"


words = st.sampled_from(
    "the ship harbour lamp keeper 90 metres not must Rain e.g. burns. ships! (old) - * # | 1. a) ```".split()
)
texts = st.lists(st.lists(words, min_size=1, max_size=14).map(" ".join), min_size=1, max_size=12).map("\n".join)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(text=texts | st.text(max_size=400), question=texts | st.text(max_size=60))
def test_whatever_the_documents_hold_nothing_is_invented(desk: Desk, tmp_path: Path, text: str, question: str) -> None:
    (tmp_path / "a.txt").write_text(text, encoding="utf-8", errors="replace")
    answer = desk.at(tmp_path).research(question)
    assert answer.strip()
    source = " ".join(plain((tmp_path / "a.txt").read_text(encoding="utf-8")))
    for line in answer.split("\n"):
        if TAG.search(line):
            for piece in re.split(r"\[…\]|" + TAG.pattern, line):
                assert " ".join(plain(piece)) in source
