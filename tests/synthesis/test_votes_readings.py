"""How answers of real models are worded: what is read from them, and what is the same answer."""

import pytest

from crewmix.definitions.spec import SynthesisSpec
from crewmix.synthesis.answers.closed import answers


def read(kind, *texts, choices=()):
    return answers(texts, SynthesisSpec(answer=kind, choices=choices))


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"$\boxed{\$42}$", "42"),
        (r"\boxed{2\frac{1}{2}}", "2.5"),
        (r"\boxed{20^\circ \text{C}}", "20"),
        ("Das Ergebnis ist 42.", "42"),
        ("Answer - 42", "42"),
        ("__Answer__: 42", "42"),
        ("Therefore 42 is the answer. There were 3 steps.", "42"),
        ("The correct answer should be 42. I checked 2 ways.", "42"),
        ("<answer>\n42\n</answer>\nChecked 3 times", "42"),
        ("[ANSWER] 42 [/ANSWER]", "42"),
        ("## Final Answer\n\n**42**\nConfidence: 80 %", "42"),
        ('Sure!\n```json\n{"answer": 42}\n```\nDone in 3 steps.', "42"),
        ("Answer: (42)", "42"),
        ('Answer: "42"', "42"),
        ("Answer: about 42", "42"),
        ("Answer: US$ 42", "42"),
        ("Answer: minus 42", "-42"),
        ("Answer: 42 square meters", "42"),
        ("Answer: 5 hundred", "500"),
    ],
)
def test_numbers_alone_and_by_guess(text, answer):
    assert read("number", text) == read("auto", text) == (answer,)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("The correct option is C.", "C"),
        ("B. Paris", "B"),
        ("B is correct. (A) is too small.", "B"),
        ("C\n\nExplanation: (A) is wrong. (B) is wrong.", "C"),
        ("I would choose B", "B"),
        ("选B", "B"),
        ("答えはBです", "B"),
        ("정답은 B입니다", "B"),
    ],
)
def test_choices(text, answer):
    assert read("choice", text) == (answer,)


def test_a_label_may_stand_alone_before_its_reasons():
    assert read("label", "Yes. There is no doubt.", "No. Yes would be wrong.", choices=("yes", "no")) == ("yes", "no")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("[1, 'a']", '[1,"a"]'),
        ("f('x') == ['A']", '["A"]'),
        ("{'a': None, 'b': 1.0}", "{'b': 1, 'a': None}"),
        (r"\{2, 1\}", "{1,2}"),
        ("(1.0, 1/2)", "(1, 0.5)"),
        (r"\frac{\pi}{2}", "π/2"),
        (r"(-\infty, 2] \cup [3, \infty)", "(-∞,2] ∪ [3,∞)"),
        (r"\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}", r"\begin{pmatrix}1&2\\3&4\end{pmatrix}"),
        ("10:30 AM", "10:30 a.m."),
        ("p - q", "p-q"),
    ],
)
def test_the_same_answer(one, other):
    first, second = read("auto", f"Answer: {one}", f"Answer: {other}")
    assert first == second != ""


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("'ab'", "'AB'"),
        ("['a', 'b']", "['a b']"),
        ("'a, b'", "['a', 'b']"),
        ("'hello!'", "'hello'"),
        ("'a  b'", "'a b'"),
        ("C++", "C"),
        ("C#", "C"),
        (r"\frac{1}{2x}", r"\frac{1}{2}x"),
        (r"\frac{12}{3}5", r"\frac{12}{35}"),
        ("2 1/2", "21/2"),
        ("5 hundred", "5"),
        ("[0, 1)", "[0, 1]"),
    ],
)
def test_another_answer(one, other):
    first, second = read("auto", f"Answer: {one}", f"Answer: {other}")
    assert first != second


def test_a_string_without_quotes_is_the_one_with_quotes_where_most_write_them():
    assert read("auto", "Answer: 'aB c'", 'Answer: "aB c"', "Answer: aB c") == ("'aB c'",) * 3


def test_brackets_before_a_stated_answer_are_no_answer():
    assert read("json", "Of [0, 1] and [0, 1) it is the latter.\nAnswer: [0, 1)") == ("",)


@pytest.mark.parametrize("line", ["```\n", "# Answer\n", "**Answer**\n", "Answer: 1\n", "1,", "[1,"])
def test_long_drafts_are_read_whatever_they_repeat(line):
    for kind in ("auto", "choice", "label"):
        assert len(read(kind, line * (40_000 // len(line)), choices=("A", "B") if kind == "label" else ())) == 1
