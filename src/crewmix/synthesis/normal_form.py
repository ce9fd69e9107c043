"""Answers in normal form, so that equal answers are equal texts."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction

_DIGITS = "|".join(
    (
        r"(?:\d{1,3}(?:[,_']\d{2,3})*[,_']\d{3}(?!\d)(?:\.\d+)?",  # 1,234,567.8, also 12,34,567
        r"\d{1,3}(?:\.\d{3})+,\d+",  # 1.234,5
        r"\d{1,3}(?:\.\d{3}){2,}",  # 1.234.567
        r"\d+(?:[.,]\d+)?",
        r"\.\d+)",
    )
)
_SCALE = {"thousand": 3, "million": 6, "billion": 9, "trillion": 12}
_NUMBER = re.compile(
    rf"(?P<sign>(?<![\w)])[-–+]\s?)?(?:[$€£¥₹]\s?(?P<behind>-)?)?(?<![A-Za-z\d.,])(?<!\d['_])(?P<whole>{_DIGITS})"
    rf"(?:[eE](?P<e>[-+]?\d{{1,3}})(?![\w.])|\s?[*×x]\s?10\s?\^\s?[({{]?(?P<power>-?\d{{1,3}})[)}}]?)?"
    rf"(?:(?P<mixed>\s\d+)?\s?/\s?(?P<under>\d+(?:\.\d+)?)(?![\d/]))?"
    rf"(?:\s(?P<scale>{'|'.join(_SCALE)})s?\b)?",
    re.IGNORECASE,
)
_SPACED = re.compile(r"(?<=\d) (?=\d{3}(?:\D|$))")
_VARIABLE = r"(?!(?:pi|infinity|sqrt|[a-fijkn-rt-z])(?![^\W\d_]))"
_UNIT = re.compile(rf"\s*(?:%|°[CFK]?|[€$£¥₹]|{_VARIABLE}[^\W\d_]+(?:\^?[23])?(?:/[^\W\d_]+)?)?\.?", re.IGNORECASE)
_LONGEST = 200
_PLACES = 10

_WRAPPERS = re.compile(r"\\(?:text|textbf|textit|mathrm|mathbf|mbox|operatorname|boxed|fbox)\s*\{([^{}]*)\}")
_FRACTION = re.compile(r"\\[dtc]?frac\s*(?:\{([^{}]*)\}|(\d))\s*(?:\{([^{}]*)\}|(\d))")
_ROOT = re.compile(r"\\sqrt\s*(?:\{([^{}]*)\}|(\w))")
_DROPPED = re.compile(
    r"\\(?:left|right|displaystyle|quad|qquad|degree|circ)(?![A-Za-z])|\\[,;!: ()\[\]]|\^\s*\{?\s*\\circ\s*\}?|[$°]"
)
_REPLACED = (
    (re.compile(r"\\(?:cdot|times)(?![A-Za-z])|×|·"), "*"),
    (re.compile(r"\\(?:le|leq)(?![A-Za-z])|≤"), "<="),
    (re.compile(r"\\(?:ge|geq)(?![A-Za-z])|≥"), ">="),
    (re.compile(r"\\pi(?![A-Za-z])|π"), "pi"),
    (re.compile(r"\\infty(?![A-Za-z])|∞"), "infinity"),
    (re.compile(r"√\s*\(?(\w+)\)?"), r"sqrt(\1)"),
    (re.compile(r"\^\{([^{}]*)\}"), r"^(\1)"),
    (re.compile(r"\^\((\w)\)"), r"^\1"),
    (re.compile(r"\\([%{}&#_])"), r"\1"),
)
_SUM = re.compile(r"[=≈]")
_BARE = re.compile(r"[-+]?(?:\d+|\d{1,3}(?:,\d{3})+)?(?:\.\d+)?(?:/\d+)?")
_WORDY = re.compile(r"[^\W\d_]{3,}")
_SYMBOLS = {"sqrt", "frac", "sin", "cos", "tan", "log", "infinity", "cup", "cap", "pmatrix", "begin", "end"}
_PUNCTUATION = re.compile(r"[^\w\s%+/=<>-]|_")


def number(text: str, *, whole: bool = False) -> str:
    """The number that a statement comes to, in normal form: `1,234.50` = `$1234.5`, `1/2` = `0.5`; empty = there is none.

    Behind an `=` what follows it counts, otherwise the first number. `%`, currencies and units are left out. A single comma
    before three digits groups, otherwise it is a decimal comma; a single point is always a decimal point.

    Args:
        text: A statement, as `plain` gave it.
        whole: Only if there is nothing but a number and its unit.
    """
    statement = _SPACED.sub("", expression(text.replace("{,}", ",")))
    sides = _SUM.split(statement)
    statement = next((side for side in reversed(sides) if any(c.isdigit() for c in side)), "").strip()
    found = _NUMBER.search(statement)
    if found is None:
        return ""
    if whole and (found.start() > 0 or not _UNIT.fullmatch(statement[found.end() :])):
        return ""
    return _value(found)


def last_number(text: str) -> str:
    """The last number of a text in normal form; empty = there is none."""
    numbers = (list(_NUMBER.finditer(line)) for line in reversed(text.splitlines()))
    return next((_value(found[-1]) for found in numbers if found), "")


def _value(found: re.Match[str]) -> str:
    if len(found.group()) > _LONGEST:
        return ""
    value = _digits(found["whole"])
    if under := found["under"]:
        if not Fraction(under):
            return ""
        value = (
            value + Fraction(found["mixed"].strip()) / Fraction(under) if found["mixed"] else value / Fraction(under)
        )
    value *= Fraction(10) ** int(found["e"] or found["power"] or _SCALE.get((found["scale"] or "").lower(), 0))
    minus = "-" in (found["sign"] or "") or "–" in (found["sign"] or "") or found["behind"]
    return decimal(-value if minus else value)


def _digits(text: str) -> Fraction:
    text = text.replace("_", "").replace("'", "")
    if "," in text and "." in text:
        group, point = (",", ".") if text.rindex(".") > text.rindex(",") else (".", ",")
        text = text.replace(group, "").replace(point, ".")
    elif text.count(",") == 1:
        lead, tail = text.split(",")
        text = lead + tail if len(tail) == 3 and lead.strip("0") and len(lead) <= 3 else f"{lead}.{tail}"
    else:
        text = text.replace(",", "") if text.count(".") < 2 else text.replace(".", "")
    return Fraction(text)


def decimal(value: Fraction) -> str:
    """A number in decimal notation: exact where it ends, otherwise with ten significant digits."""
    top, under = value.numerator, value.denominator
    twos = fives = 0
    while under % 2 == 0:
        under, twos = under // 2, twos + 1
    while under % 5 == 0:
        under, fives = under // 5, fives + 1
    places = max(twos, fives)
    if under == 1 and places <= _PLACES:
        digits = str(abs(top) * 10**places // value.denominator).rjust(places + 1, "0")
        text = f"{digits[:-places]}.{digits[-places:]}" if places else digits
        return f"-{text}" if top < 0 else text
    rounded = Decimal(top) / Decimal(value.denominator)
    text = f"{rounded:.{_PLACES}g}"
    return f"{Decimal(text):f}".rstrip("0").rstrip(".") if "." in f"{Decimal(text):f}" else f"{Decimal(text):f}"


def expression(text: str) -> str:
    r"""A statement without LaTeX dress: `\dfrac{a}{b}` = `(a)/(b)`, no `$`, `\left`, `\text{…}`, degrees or thin spaces."""
    for _ in range(6):
        before = text
        text = _WRAPPERS.sub(r" \1 ", text)
        text = _FRACTION.sub(_over, text)
        text = _ROOT.sub(lambda m: f"sqrt({m[1] or m[2]})", text)
        if text == before:
            break
    text = _DROPPED.sub("", text)
    for pattern, new in _REPLACED:
        text = pattern.sub(new, text)
    return " ".join(text.split())


def _over(found: re.Match[str]) -> str:
    top, under = (found[1] or found[2] or "").strip(), (found[3] or found[4] or "").strip()
    return f"{_bracketed(top)}/{_bracketed(under)}"


def _bracketed(text: str) -> str:
    return text if re.fullmatch(r"-?\w+(?:\.\d+)?|-?sqrt\(\w+\)", text) else f"({text})"


def is_expression(text: str) -> bool:
    """Whether a statement is a formula rather than words."""
    words = _WORDY.findall(text)
    return all(word.lower() in _SYMBOLS for word in words) and any(c.isdigit() or c in "^\\√π=/" for c in text)


def wording(text: str) -> str:
    """A statement as words (case, punctuation and spacing left out) or as a formula (spacing left out)."""
    text = expression(text)
    if is_expression(text):
        formula = re.sub(r"\s+", "", text).rstrip(".,;").casefold()
        formula = re.sub(r"^[a-z]=", "", formula)
        return (_BARE.fullmatch(formula) and number(formula, whole=True)) or formula
    words = " ".join(_PUNCTUATION.sub(" ", text.casefold()).split())
    return words or " ".join(text.casefold().split())


def label(text: str, choices: Sequence[str], *, last: bool) -> str:
    """The one of `choices` that a text names, as it stands there: the last one named, or the first; empty = none.

    Where names overlap, the longer one counts: "not spam" is not "spam".
    """
    names = {wording(choice): choice for choice in choices}
    text = wording(text)
    if text in names:
        return names[text]
    ordered = sorted((name for name in names if name), key=len, reverse=True)
    found = re.findall("|".join(map(_whole_word, ordered)), text) if ordered else []
    return names[found[-1 if last else 0]] if found else ""


def _whole_word(name: str) -> str:
    before, after = (r"(?<!\w)" if name[0].isascii() else "", r"(?!\w)" if name[-1].isascii() else "")
    return before + re.escape(name) + after


def clipped(choice: str) -> str:
    """A choice short enough to be listed: a long text is cut and given a digest, so that unequal ones stay unequal."""
    if len(choice) <= _LONGEST:
        return choice
    return f"{choice[: _LONGEST - 20]}… [{hashlib.sha256(choice.encode('utf-8', 'replace')).hexdigest()[:12]}]"
