"""Which answer is read from a draft: what a vote counts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crewmix.definitions.spec import SynthesisSpec
from crewmix.definitions.spec_chat import StopSpec
from crewmix.synthesis.answers.closed import agreeing, answer_line, answers
from crewmix.synthesis.answers.final_answer import confidence


def read(kind, text, *choices):
    return answers([text], SynthesisSpec(answer=kind, choices=choices))[0]


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("The total is $1,234.50.", "1234.5"),
        ("Answer: 1234.5 dollars", "1234.5"),
        ("So we get\n#### 1,234.50", "1234.5"),
        (r"It is \boxed{1{,}234.5}.", "1234.5"),
        ("He has <<3*4=12>>12 eggs\nA: 12", "12"),
        ("**Final answer:** **7**", "7"),
        ("Answer:\n\n42", "42"),
        ("Answer: 12 + 24 = 36", "36"),
        ("Answer: 3 boxes of 12 eggs", "3"),
        ("The answer is 36 because 3*12=36. I checked it 2 times.", "36"),
        ("Answer: 42\nConfidence: 80 %", "42"),
        ("It comes to 42.\nConfidence: 80 %", "42"),
        ("Answer: 5\nNo, that was wrong.\nAnswer: 6", "6"),
        ("So the answer is 5. But no, the answer is 6.", "6"),
        ("Answer: 1/2", "0.5"),
        (r"\boxed{\dfrac{1}{2}}", "0.5"),
        ("Answer: 3½", "3.5"),
        ("Answer: 1 1/2", "1.5"),
        ("Answer: 1/3", "0.3333333333"),
        ("Answer: 50 %", "50"),
        ("Answer: −7", "-7"),
        ("Answer: -$5", "-5"),
        ("Answer: $-5", "-5"),
        ("Answer: -0.0", "0"),
        ("Answer: 007", "7"),
        ("Answer: 1.5 million", "1500000"),
        ("Answer: 2 × 10^3", "2000"),
        (r"Answer: $2 \times 10^{3}$", "2000"),
        ("Answer: 100 km²", "100"),
        (r"Answer: $90^\circ$", "90"),
        ("It takes 3-5 days", "5"),
        ("Answer: 1'234'567", "1234567"),
        ("Answer: 12,34,567", "1234567"),
        ("Answer: 0,125", "0.125"),
        ("Respuesta: 1.234,56", "1234.56"),
        ("Antwort: 3,5", "3.5"),
        ("Die richtige Antwort lautet: 12", "12"),
        ("Réponse finale : 1\u202f234,5 €", "1234.5"),
        ("答案：４２", "42"),
        ("所以答案是42。", "42"),
        ("答えは42です", "42"),
        ("정답은 42입니다", "42"),
        ("Ответ: −7", "-7"),
        ("الإجابة: 42", "42"),
        ('{"reasoning": "3 and 4", "answer": "17"}', "17"),
        (r"Answer: $5\sqrt{2}$", "5sqrt(2)"),
        ("Answer: 5x", "5x"),
        ("I cannot say.", ""),
        ("", ""),
        ("Answer: none", ""),
    ],
)
def test_numbers(text, answer):
    assert read("number", text) == answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Answer: B", "B"),
        ("Answer: (B) Paris", "B"),
        ("Answer: **d**.", "D"),
        ("b)", "B"),
        ("(A) is wrong, (C) is right", "C"),
        ("I think option D is it", "D"),
        ("Answer: B because A is not", "B"),
        ("Answer: I think B", "B"),
        ("Answer: A dog", ""),
        ("答案：Ｂ", "B"),
        (r"\boxed{\text{B}}", "B"),
        ("Answer: C and A", "A,C"),
        ("Answer: 3", ""),
    ],
)
def test_choices(text, answer):
    assert read("choice", text) == answer


def test_longer_choices_are_lettered_in_their_order():
    assert [read("choice", t, "Paris", "Rome") for t in ("Answer: Rome", "Answer: A", "Answer: C")] == ["B", "A", ""]


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Answer: Not spam!", "not spam"),
        ("It is SPAM.", "spam"),
        ("Not spam? No: spam", "spam"),
        ("a spammer", ""),
    ],
)
def test_labels(text, answer):
    assert read("label", text, "spam", "not spam") == answer


def test_labels_of_a_language_without_spaces():
    assert [read("label", t, "正面", "负面") for t in ("答案：正面", "我认为是负面的")] == ["正面", "负面"]


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ('```json\n{"b": 1.0, "a": [1, 2.50]}\n```', '{"a":[1,2.5],"b":1}'),
        ('Answer: {"a": [1, 2.5], "b": 1}', '{"a":[1,2.5],"b":1}'),
        ('either {"a": 1} or {"b":  "x  y"} ok', '{"b":"x y"}'),
        ('{"a": NaN}', ""),
        ('{"a": 1e999}', ""),
        ("no data", ""),
    ],
)
def test_json(text, answer):
    assert read("json", text) == answer


def test_nested_brackets_without_end_are_no_answer():
    assert read("json", "[" * 20_000) == ""


def test_words_are_compared_without_case_punctuation_and_dress():
    texts = ("Answer: New  York.", "Well.\n**Answer:** new york", r"Answer: \text{New York}")
    assert answers(texts, SynthesisSpec(answer="text")) == ("new york",) * 3


def test_formulas_are_compared_without_latex():
    pairs = [
        (r"\boxed{\frac{3}{4}}", "Answer: 0.75"),
        (r"\boxed{5\sqrt{2}}", "Answer: 5√2"),
        (r"\boxed{\left(1,\, 2\right)}", "Answer: (1, 2)"),
        (r"\boxed{x^{2}+2x + 1}", "Answer: x²+2x+1"),
        (r"Answer: $2\pi$", "Answer: 2π"),
    ]
    for pair in pairs:
        first, second = answers(pair, SynthesisSpec())
        assert first == second != ""


def test_what_an_answer_is_is_found_out_from_most_drafts():
    assert answers(["Answer: 42 apples", "#### 42", "Answer: 41", "hello"], SynthesisSpec()) == ("42", "42", "41", "")
    assert answers(["Answer: B", "Answer: (B)", "Answer: C. Rome"], SynthesisSpec()) == ("B", "B", "C")
    assert answers(['{"a": 1}', '```json\n{"a": 1.0}\n```', "no"], SynthesisSpec()) == ('{"a":1}', '{"a":1}', "")
    assert answers(["3 blind mice", "Answer: 3 little pigs", "Answer: a pig"], SynthesisSpec())[0] == "3 blind mice"


def test_long_answers_are_listed_short_and_stay_apart():
    one, other, again = answers(
        ["word " * 500 + "x", "word " * 500 + "y", "word " * 500 + "x"], SynthesisSpec(answer="text")
    )
    assert one == again != other and len(one) < 250


@given(
    st.integers(-(10**15), 10**15), st.sampled_from(["{}", "Answer: {}", "#### {}", r"so \boxed{{{}}}", "Antwort: {}"])
)
def test_every_integer_is_read_from_every_frame(number, frame):
    for text in (str(number), f"{number:,}", f"{number}.0"):
        assert read("number", frame.format(text)) == str(number)


@given(st.text(max_size=300), st.sampled_from(["auto", "number", "choice", "label", "json", "text"]))
def test_any_text_has_one_answer_or_none(text, kind):
    first, second = answers([text, text], SynthesisSpec(answer=kind, choices=("A", "B") if kind == "label" else ()))
    assert first == second and len(first) < 300


@given(st.text(alphabet="0123456789,./-$%eE×^ ()\\{}fracboxed:Answer\n", max_size=200))
def test_any_digits_and_signs_are_read_without_an_error(text):
    assert isinstance(read("number", text), str) and isinstance(read("auto", text), str)


def test_texts_agree_by_equal_answers_or_by_similarity():
    spec = SynthesisSpec(method="majority")
    assert agreeing(["Answer: 1", "it is so\nAnswer: 1.0", "Answer: 2", "?"], spec, StopSpec(agree=2)) == 2
    assert agreeing([], spec, StopSpec(agree=2)) == 0
    near = StopSpec(agree=2, similarity=0.5)
    texts = ["the cat sat on the mat", "the cat sat on a mat", "stocks fell", " "]
    assert [agreeing(texts, SynthesisSpec(measure=m), near) for m in ("bleu", "tfidf")] == [2, 2]
    assert agreeing(texts, spec, StopSpec(agree=2, similarity=1.0)) == 1


def test_drafters_are_asked_for_what_will_be_read():
    def line(stop=None, **spec):
        return answer_line(SynthesisSpec(**spec), stop)

    assert line() == line(method="similarity") == line(StopSpec(agree=2, similarity=0.9)) == ""
    assert "`Answer: " in line(StopSpec(agree=2)) and "`Answer: NUMBER`" in line(method="majority", answer="number")
    assert "one of yes, no" in line(method="majority", choices=("yes", "no"))
    assert "A = Paris, B = Rome" in line(method="majority", answer="choice", choices=("Paris", "Rome"))
    assert "Confidence: NN %" in line(method="weighted", weights="confidence")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Answer: 1\nConfidence: 80 %", 0.8),
        ("**Confidence:** 0.8", 0.8),
        ("confidence level: 8/10", 0.8),
        ("Confidence: high", 0.85),
        ("Confidence: 1000000 %", 1.0),
        ("Confidence: -5", 0.0),
        ("置信度：８０％", 0.8),
        ("Confidence: who knows", 0.5),
        ("Answer: 80", 0.5),
    ],
)
def test_confidence(text, value):
    assert confidence(text) == pytest.approx(value)
