r"""Closed answers: what a vote counts.

The answer of a draft is what it states last as such (see `final_answer`), brought into normal form by kind:

- `number`: `1,234.50` = `$1234.5`, `1/2` = `0.5` = `\frac{1}{2}`, `50 %` = `50`; without a statement, the last number.
- `choice`: one letter, or several as `A,C`. Longer `choices` are lettered in their order.
- `label`: the one of `choices` named in the statement, or named last in the text.
- `json`: an object or list with its keys sorted.
- `text`: the statement, or the whole text, without case, punctuation and spacing; formulas without LaTeX dress.
- `auto`: `label` where there are `choices`, otherwise what most of the drafts state; that may also be a Python literal with text
  in it, `['a', 1]`, which keeps its case, punctuation and spacing.

A draft casts one ballot, whatever it says about the others. What `auto` finds may change while drafts arrive; a chat with `stop`
looks at all drafts so far, and the vote that follows counts the same ones, so both read them alike.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache

from crewmix.definitions.spec import SynthesisSpec
from crewmix.definitions.spec_chat import StopSpec
from crewmix.synthesis.answers.final_answer import final_answers, plain, without_confidence
from crewmix.synthesis.answers.json_answer import blocks, find_json
from crewmix.synthesis.answers.literal import as_literal, literal, value
from crewmix.synthesis.answers.normal_form import (
    clipped,
    expression,
    is_expression,
    label,
    last_number,
    number,
    wording,
)
from crewmix.synthesis.measures import similar

_WORD_BEFORE = r"(?:(?:option|choice|answer|letter|antwort|opción|вариант|选项|選択肢)\s*)?"
_STATED_CHOICE = re.compile(
    rf"(?i:{_WORD_BEFORE})[(\[]?(?:(?P<upper>[A-Z])(?:[)\].:,;]|$|[^\w\s'’]|\s(?=\W|because\b|since\b|as\b|is\b)"
    r"|(?=[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]))"
    r"|(?P<clear>[B-HJ-Z])(?=\s)|(?P<lower>[a-z])(?:[)\].:]|$))"
)
_BY_LETTER = re.compile(rf"[^\w'\"]*{_WORD_BEFORE}[^\w'\"]*[A-Z][^\w+#'\"-]*|[^\w'\"]*[A-Z][).:]\W.*", re.DOTALL)
_LETTERED = re.compile(r"\b[A-Z][).]")
_SHORT = 200
_ALONE = re.compile(r"\W*[A-Za-z]\W*")
_LONE = re.compile(r"\b[B-HJ-Z]\b")
_SEVERAL = re.compile(r"\W*[A-Z](?:\s*(?:,|;|&|and|und|et|y|и|、)\s*\(?[A-Z]\b\)?)+\W*")
_NAMED_CHOICE = re.compile(
    r"\((?P<a>[A-Z])\)|\b(?:[Oo]ption|[Cc]hoice|[Aa]ntwort)\s+\(?(?P<b>[A-Z])\b|^[^\w\n]*(?P<c>[A-Z])[^\w\n]*$"
    r"|\b(?:choose|pick|select|option is|choice is)\s\(?(?P<d>[A-Z])\b|选择?\s?[(（]?(?P<e>[A-Z])(?![A-Za-z])",
    re.MULTILINE,
)
_RIGHT_CHOICE = re.compile(r"(?<![^\W_])\(?(?P<letter>[A-Z])\)? is (?:the )?(?:correct|right|best)\b")
_LINES = {
    "number": "Answer: NUMBER",
    "choice": "Answer: LETTER",
    "json": "Answer: JSON on one line",
    "text": "Answer: the answer in as few words as possible",
    "auto": "Answer: the answer in as few words as possible",
}
_CLOSED = {"majority", "weighted"}


def answers(texts: Sequence[str], spec: SynthesisSpec) -> tuple[str, ...]:
    """The closed answer of each text in normal form; empty = it holds none (an abstention).

    Args:
        texts: Drafts.
        spec: What an answer is: `answer`, `choices`.
    """
    texts = [plain(text) for text in texts]
    kind = _kind(texts, spec)
    return tuple(clipped(_read(text, kind, spec.choices)) for text in texts)


def agreeing(texts: Sequence[str], spec: SynthesisSpec, stop: StopSpec) -> int:
    """How many of the texts agree: the size of the largest group.

    Args:
        texts: Drafts.
        spec: What an answer is, and the `measure` of similarity.
        stop: With `similarity`, texts agree with one that is at least so similar; otherwise their answers must be equal.
    """
    if stop.similarity is None:
        return max(Counter(answer for answer in answers(texts, spec) if answer).values(), default=0)
    near = stop.similarity - 1e-9
    return max((sum(similar(a, b, spec.measure) >= near for b in texts) for a in texts if a.strip()), default=0)


def answer_line(spec: SynthesisSpec, stop: StopSpec | None = None) -> str:
    """What a draft is asked to end with so that its answer can be read; empty = nothing, where nobody reads one.

    Args:
        spec: The method, and what an answer is.
        stop: When the chat ends early: equal answers must be readable, whatever the method.
    """
    if spec.method not in _CLOSED and (stop is None or stop.similarity is not None):
        return ""
    line = _LINES.get(spec.answer, _LINES["auto"])
    if spec.choices and spec.answer in {"auto", "label"}:
        line = f"Answer: one of {', '.join(spec.choices)}"
    elif spec.answer == "choice" and spec.choices:
        letters = _letters(spec.choices)
        names = (f"{a} = {b}" if a != b else a for a, b in zip(letters, spec.choices, strict=True))
        line = f"Answer: one letter of {', '.join(names)}"
    if spec.weights == "confidence":
        how = "`Confidence: NN %`, the chance that your answer is right, and then"
        return f"End with exactly two lines: {how} `{line}`."
    return f"End with exactly one line: `{line}`."


def _kind(texts: Sequence[str], spec: SynthesisSpec) -> str:
    if spec.answer != "auto":
        return spec.answer
    if spec.choices:
        return "choice" if all(len(choice) == 1 for choice in spec.choices) else "label"
    kinds = Counter(_looks_like(text) for text in texts if text.strip())
    return max(kinds, key=lambda kind: (kinds[kind], kind == "text"), default="text")


@lru_cache(maxsize=4096)
def _looks_like(text: str) -> str:
    """The kind of answer a single text states."""
    stated = final_answers(text)
    answer = stated[0] if stated else without_confidence(text).strip()
    if len(answer) <= _SHORT:
        if number(answer, whole=True):
            return "number"
        if _BY_LETTER.fullmatch(expression(answer)):
            return "choice"
        if literal(answer):
            return "json" if isinstance(value(answer), dict) else "literal"
        if stated and value(answer) is not None:
            return "text"
    return "json" if find_json(text, stated) and not (stated and not answer.startswith(("{", "["))) else "text"


@lru_cache(maxsize=4096)
def _read(text: str, kind: str, choices: tuple[str, ...]) -> str:
    if not text.strip():
        return ""
    if kind == "json":
        return find_json(text, final_answers(text))
    if kind == "choice":
        return _choice(text, choices)
    if kind == "label" and choices:
        return _first(final_answers(text), lambda a: label(a, choices, last=False)) or label(
            without_confidence(text), choices, last=True
        )
    if kind == "literal":
        stated = final_answers(text)[:1] or (without_confidence(text).strip(),)
        return _first((*stated, *reversed(blocks(text))), literal) or as_literal(stated[0])
    if kind == "number":
        return _first(final_answers(text), _number) or last_number(without_confidence(text))
    return _first(final_answers(text), wording) or wording(without_confidence(text))


def _first(stated: Sequence[str], read: Callable[[str], str]) -> str:
    return next((answer for answer in map(read, stated) if answer), "")


def _number(stated: str) -> str:
    r"""A number, or a formula as it is written: `5\sqrt{2}` is not 5."""
    return number(stated, whole=True) or (wording(stated) if is_expression(expression(stated)) else number(stated))


def _letters(choices: Sequence[str]) -> list[str]:
    if all(len(choice) == 1 for choice in choices):
        return [choice.upper() for choice in choices]
    return [chr(ord("A") + place) for place in range(len(choices))]


def _choice(text: str, choices: tuple[str, ...]) -> str:
    letters = _letters(choices)
    named = dict(zip(choices, letters, strict=True))

    def stated(answer: str) -> str:
        answer = expression(answer)
        if _SEVERAL.fullmatch(answer):
            found = sorted(set(re.findall(r"\b[A-Z]\b", answer)))
            return ",".join(found) if not letters or set(found) <= set(letters) else ""
        match = _STATED_CHOICE.match(answer.lstrip("*_ "))
        lone = [match[match.lastgroup or 0].upper()] if match else _LONE.findall(answer) or [answer.upper()]
        if len(set(lone)) == 1 and (lone[0] in letters or (not letters and re.fullmatch("[A-Z]", lone[0]))):
            return lone[0]
        return named.get(label(answer, choices, last=False), "")

    def mentioned() -> str:
        body = without_confidence(text)
        right = [m["letter"] for m in _RIGHT_CHOICE.finditer(body) if not letters or m["letter"] in letters]
        if len(set(right)) == 1:
            return right[0]
        found = [m[m.lastgroup or 0] for m in _NAMED_CHOICE.finditer(body)]
        found = [letter for letter in found if not letters or letter in letters]
        return found[-1] if found else named.get(label(body, choices, last=True), "")

    lines = [line for line in without_confidence(text).splitlines() if line.strip()] or [""]
    line = lines[0].strip(" (*_")
    if len(lines) == 1 and len(line) <= _SHORT and not _LETTERED.search(line, 2) and _BY_LETTER.fullmatch(line):
        opening = lines
    elif _SEVERAL.fullmatch(text):
        opening = lines
    else:
        opening = [line for line in (lines[-1], lines[0]) if _ALONE.fullmatch(line)]
    return _first(final_answers(text) or opening, stated) or mentioned()
