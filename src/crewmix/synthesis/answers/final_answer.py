r"""Where a draft states its final answer, and how sure of it its author says to be.

Looked for, in this order: an `Answer: …` line, `<answer>…</answer>`, a heading "Answer" over a single line, `\boxed{…}` or
`#### …` (the last of them), then a phrase such as "the answer is …", then the field `answer` of a JSON block.
Markers are known in some thirty languages; letters and digits of full width count as ordinary ones.
"""

from __future__ import annotations

import json
import re
import unicodedata
from functools import lru_cache
from itertools import islice
from typing import Any, cast

from crewmix.synthesis.answers.json_answer import blocks

_SPACED = (
    "answer|answers|final result|antwort|ergebnis|endergebnis|lösung|réponse|résultat|respuesta|resultado|resposta|risposta|"
    "risultato|antwoord|svar|vastaus|odpowiedź|odpověď|odpoveď|válasz|răspuns|cevap|yanıt|ответ|відповідь|отговор|"
    "απάντηση|jawaban|đáp án|trả lời|الإجابة|الاجابة|الجواب|جواب|پاسخ|תשובה|उत्तर"
)
_UNSPACED = "答案|答え|回答|解答|答|정답|답|คำตอบ"
_WORDS = tuple(f"{_SPACED}|{_UNSPACED}".split("|"))
_IS = (
    r"(?:is|are|was|equals|should be|would be|must be|will be|"
    r"ist|lautet|beträgt|est|es|è|é|är|on|jest|to|je|это|равен|равно|है)(?!\w)|"  # codespell:ignore ist
    r"=|:|是|为|為|は|은|는|คือ"
)
_WORD = rf"(?:(?<![^\W_])(?:{_SPACED})(?![^\W_])|{_UNSPACED})"
_LINE = re.compile(
    rf"[\s>*_#`~(\[【-]{{0,20}}(?:[^\W\d_]{{1,20}}[ '’]){{0,3}}?[^\W\d_]{{0,6}}?{_WORD}(?:\s(?!{_IS})[^\W\d_]{{1,20}})?"
    rf"[\s*_`\]】]{{0,6}}(?:\s(?:{_IS})\s{{0,6}})?[\s*_]{{0,6}}(?::|=(?!=)|】|\]|(?<=\s)[-–—→](?=\s))[\s*_`]*(?P<answer>.*)",
    re.IGNORECASE,
)
_PHRASE = re.compile(
    rf"{_WORD}(?:\s[^\W\d_]{{1,20}})?[\s*_]{{0,6}}(?:{_IS})[\s:*_]{{0,6}}(?=(?P<answer>\S.{{0,400}}))", re.IGNORECASE
)
_MOST_PHRASES = 10
_AFTERWARDS = re.compile(
    r"(?<!\S)(?!(?:what|which|that|this|it|here|there|who|so)\b)(?P<answer>[^\s.]\S{0,60}) is (?:therefore |thus )?"
    r"(?:the|my|our) (?:final |correct |right |best )?answer\b",
    re.IGNORECASE,
)
_TAG = re.compile(r"[<\[](?:final[_ ]?)?answer[>\]]", re.IGNORECASE)
_END_OF_TAG = re.compile(r"[<\[]/(?:final[_ ]?)?answer[>\]]", re.IGNORECASE)
_HEADING = re.compile(
    rf"(?:#{{1,6}}\s|\*\*|__)[\s*_]*(?:[^\W\d_]{{1,20}} ){{0,2}}{_WORD}[\s*_]*:?[\s*_]*", re.IGNORECASE
)
_LONGEST_TAGGED = 20
_SHORT = re.compile(r"\s*[*_]*A[*_]*\s*:[\s*_]*(?P<answer>\S.*)")
_HASHES = re.compile(r"\s*####\s*(?P<answer>\S.*)")
_BOX = re.compile(r"\\(?:boxed|fbox)\s*\{")
_CALCULATION = re.compile(r"<<[^<>\n]*>>")
_SENTENCE = re.compile(r"(?<!\b[A-Z])[.!?](?=\s|$)|。")
_SUPERSCRIPT = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")
_POWER = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹]+")
_GROUPED = re.compile(r"(?<=\d)[\u00a0\u2009\u202f’'](?=\d{3}(?!\d))")
_MIXED = re.compile(r"(?<=\d)(?=[¼-¾⅐-⅞])")

_CONFIDENCE = re.compile(
    r"[\s>*_#`-]*(?:my |meine |ma )?(?:confidence|konfidenz|sicherheit|confiance|confianza|confiança|confidenza|уверенность|"
    r"信心|置信度|確信度|信頼度|확신도|신뢰도)(?: level| score)?[\s*_`]*[:=][\s*_`]*(?P<value>.*)",
    re.IGNORECASE,
)
_SHARE = re.compile(
    r"(?P<number>-?\d+(?:[.,]\d+)?)\s*(?:(?P<percent>%|percent|prozent)|(?:/|out of|of|von)\s*(?P<of>\d+))?"
)
_WORDS_OF_CONFIDENCE = {"very high": 0.95, "very low": 0.1, "high": 0.85, "medium": 0.6, "moderate": 0.6, "low": 0.3}
UNSTATED = 0.5
"""The confidence of a draft that states none."""


def plain(text: str) -> str:
    """A text in ordinary characters: full width made normal, powers as `^2`, digits grouped by thin spaces joined."""
    text = _GROUPED.sub("", _CALCULATION.sub("", text))
    text = _POWER.sub(lambda m: "^" + m.group().translate(_SUPERSCRIPT), text)
    return unicodedata.normalize("NFKC", _MIXED.sub(" ", text)).replace("−", "-").replace("⁄", "/")


@lru_cache(maxsize=4096)
def final_answers(text: str) -> tuple[str, ...]:
    """What a text states as its final answer, the likeliest first: usually one; none where nothing marks an answer.

    Args:
        text: A draft, as `plain` gave it.
    """
    if (field := _answer_field(text)) is not None:
        return (field,)
    lines = text.splitlines()
    lowered = text.lower()
    words = [word for word in _WORDS if word in lowered]
    stated: list[str] = []
    phrases: list[str] = []
    for number in range(len(lines) - 1, -1, -1):
        line = lines[number]
        if _CONFIDENCE.match(line):
            continue
        worded = bool(words) and any(word in line.lower() for word in words)
        stated += _stated(lines, number, worded=worded)
        if worded:
            found = [_SENTENCE.split(match["answer"], maxsplit=1)[0] for match in _PHRASE.finditer(line)]
            found += [match["answer"] for match in _AFTERWARDS.finditer(line)]
            phrases += reversed(found[-_MOST_PHRASES:])
    last = next((line for line in reversed(lines) if line.strip() and not _CONFIDENCE.match(line)), "")
    if not stated and (short := _SHORT.match(last)):
        stated.append(short["answer"])
    if not stated:
        stated += [field for block in reversed(blocks(text)) if (field := _answer_field(block)) is not None][:1]
    return tuple(answer for answer in map(_unwrapped, (*stated, *phrases[:_MOST_PHRASES])) if answer)


def _stated(lines: list[str], number: int, *, worded: bool) -> list[str]:
    line = lines[number]
    if box := _last_box(line, lines, number):
        return [box]
    if hashes := _HASHES.match(line):
        return [hashes["answer"]]
    if worded and (tag := _TAG.search(line)):
        rest = "\n".join([line[tag.end() :], *lines[number + 1 : number + _LONGEST_TAGGED]])
        if end := _END_OF_TAG.search(rest):
            return [rest[: end.start()]]
    if worded and _HEADING.fullmatch(line.strip()):
        body = islice((later for later in lines[number + 1 :] if later.strip("*_`$ \t")), 3)
        body = [later for later in body if not _CONFIDENCE.match(later)]
        return body if len(body) == 1 else []
    if worded and (found := _LINE.match(line)):
        rest = found["answer"].strip() or next((later for later in lines[number + 1 :] if later.strip("*_`$ \t")), "")
        return [rest]
    return []


def _last_box(line: str, lines: list[str], number: int) -> str | None:
    """The contents of the last box that begins in this line; it may end in one of the next lines."""
    boxes = list(_BOX.finditer(line))
    if not boxes:
        return None
    rest = "\n".join([line[boxes[-1].end() :], *lines[number + 1 : number + 20]])
    depth = 1
    for place, character in enumerate(rest):
        depth += {"{": 1, "}": -1}.get(character, 0)
        if depth == 0:
            return rest[:place]
    return rest.split("\n", 1)[0]


def _answer_field(text: str) -> str | None:
    """The field `answer` or `final_answer` of a text that is one JSON object."""
    body = text.strip().removeprefix("```json").strip("`\n ")
    if not body.startswith("{"):
        return None
    try:
        data: Any = json.loads(body)
    except (ValueError, RecursionError):
        return None
    fields = {str(name).lower(): value for name, value in cast("dict[str, Any]", data).items()}
    value = fields.get("answer", fields.get("final_answer"))
    return value if isinstance(value, str) else None if value is None else json.dumps(value, ensure_ascii=False)


def _unwrapped(answer: str) -> str:
    """An answer without Markdown around it."""
    return answer.strip().strip("*`_").strip()


def without_confidence(text: str) -> str:
    """A text without the lines that state how sure its author is."""
    return "\n".join(line for line in text.splitlines() if not _CONFIDENCE.match(line))


def confidence(text: str) -> float:
    """How sure the author of a draft says to be, 0 to 1: the last line `Confidence: 80 %`, also `0.8`, `8/10` or `high`.

    A draft that says nothing of the kind counts as `UNSTATED`.
    """
    lines = [match["value"] for line in plain(text).splitlines() if (match := _CONFIDENCE.match(line))]
    if not lines:
        return UNSTATED
    if found := _SHARE.search(lines[-1]):
        value = float(found["number"].replace(",", ".")[:20])
        scale = float(found["of"][:20]) if found["of"] else 100.0 if found["percent"] or value > 1 else 1.0
        return min(1.0, max(0.0, value / scale)) if scale else UNSTATED
    said = lines[-1].lower()
    return next((value for word, value in _WORDS_OF_CONFIDENCE.items() if word in said), UNSTATED)
