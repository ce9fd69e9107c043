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
_SCALE = {"hundred": 2, "thousand": 3, "million": 6, "billion": 9, "trillion": 12}
_SIGN = r"(?<![\w)])[-–+]\s?|(?<!\w)(?:minus|negative)\s"
_NUMBER = re.compile(
    rf"(?P<sign>{_SIGN})?(?:[$€£¥₹]\s?(?P<behind>-)?)?(?<![A-Za-z\d.,])(?<!\d['_])(?P<whole>{_DIGITS})"
    rf"(?:[eE](?P<e>[-+]?\d{{1,3}})(?![\w.])|\s?[*×x]\s?10\s?\^\s?[({{]?(?P<power>-?\d{{1,3}})[)}}]?)?"
    rf"(?:(?P<mixed>\s\d+)?\s?/\s?(?P<under>\d+(?:\.\d+)?)(?![\d/]))?"
    rf"(?:\s(?P<scale>{'|'.join(_SCALE)})s?\b)?",
    re.IGNORECASE,
)
_SPACED = re.compile(r"(?<=\d) (?=\d{3}(?:\D|$))")
_VARIABLE = r"(?!(?:pi|infinity|sqrt|[a-fijkn-rt-z])(?![^\W\d_]))"
_UNIT = re.compile(
    rf"\s*(?:%|[€$£¥₹]|(?:(?:square|cubic|sq\.?)\s)?{_VARIABLE}[^\W\d_]+(?:\^?[23])?(?:/[^\W\d_]+)?(?:\s(?:per|an?)\s[^\W\d_]+)?)?\.?",
    re.IGNORECASE,
)
_BEFORE = re.compile(
    r"(?:(?:only|exactly|approximately|approx\.?|about|around|roughly|nearly|ca\.?|etwa|environ|aproximadamente|约|大约|~|"
    r"USD|EUR|GBP|JPY|CNY|RMB|INR|CHF|CAD|AUD|US|Rs\.?)\s*)*",
    re.IGNORECASE,
)
_PACKED = re.compile(r"[\"'“‘«(]+([^,;()]*)[)\"'”’»]+\.?")
_LONGEST = 200
_PLACES = 10

_WRAPPERS = re.compile(r"\\(?:text|textbf|textit|mathrm|mathbf|mbox|operatorname|boxed|fbox)\s*\{([^{}]*)\}")
_FRACTION = re.compile(r"\\[dtc]?frac\s*(?:\{([^{}]*)\}|(\d))\s*(?:\{([^{}]*)\}|(\d))")
_ROOT = re.compile(r"\\sqrt\s*(?:\{([^{}]*)\}|(\w))")
_DROPPED = re.compile(
    r"(?:\^\s*\{?\s*\\circ(?![A-Za-z])\s*\}?|\\degree(?![A-Za-z])|°)(?:\s*[CFK](?!\w))?|"
    r"\\(?:left|right|displaystyle|quad|qquad|circ)(?![A-Za-z])|(?<!\\)\\[$,;!: ()\[\]]|\$"
)
_REPLACED = (
    (re.compile(r"\\(?:cdot|times)(?![A-Za-z])|×|·"), "*"),
    (re.compile(r"\\(?:le|leq)(?![A-Za-z])|≤"), "<="),
    (re.compile(r"\\(?:ge|geq)(?![A-Za-z])|≥"), ">="),
    (re.compile(r"\\infty(?![A-Za-z])|∞"), "infinity"),
    (re.compile(r"\\(?:ne|neq)(?![A-Za-z])"), "≠"),
    (re.compile(r"\\pm(?![A-Za-z])"), "±"),
    (re.compile(r"\\cup(?![A-Za-z])"), "∪"),
    (re.compile(r"\\cap(?![A-Za-z])"), "∩"),
    (re.compile(r"√\s*\(?(\w+)\)?"), r"sqrt(\1)"),
    (re.compile(r"\^\{([^{}]*)\}"), r"^(\1)"),
    (re.compile(r"\^\((\w)\)"), r"^\1"),
    (re.compile(r"\\([%{}&#_])"), r"\1"),
)
_PI = re.compile(r"\\pi(?![A-Za-z])|π")
_MIXED = re.compile(r"(?<=\d)\s*(?=\\[dtc]?frac)")
_COMMAND = re.compile(r"\\[A-Za-z]+|[a-z]?matrix")
_OPERATOR = re.compile(r"[-+*|<>≠±∪∩]")
_HALF_OF_DAY = re.compile(r"\b([ap])\.\s?m\b\.?", re.IGNORECASE)
_PART = re.compile(r"(?<=[\[({,;])[-+]?\d+(?:\.\d+)?(?:/\d+)?(?=[\])},;])")
_SET = re.compile(r"\{[^{}()\[\]]*\}")
_SUM = re.compile(r"[=≈]")
_BARE = re.compile(r"[-+]?(?:\d+|\d{1,3}(?:,\d{3})+)?(?:\.\d+)?(?:/\d+)?")
_WORDY = re.compile(r"[^\W\d_]{3,}")
_SYMBOLS = {"sqrt", "frac", "sin", "cos", "tan", "log", "infinity", "array"}
_PUNCTUATION = re.compile(r"(?!(?<=\w)#)[^\w\s%+/=<>-]|_")


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
    if packed := _PACKED.fullmatch(statement):
        statement = packed[1].strip()
    found = _NUMBER.search(statement)
    if found is None:
        return ""
    if whole and not (_BEFORE.fullmatch(statement[: found.start()]) and _UNIT.fullmatch(statement[found.end() :])):
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
    minus = (found["sign"] or "+").strip() != "+" or found["behind"]
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
    text = _MIXED.sub(" ", _PI.sub("pi", text))
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
    top = top if re.fullmatch(r"-?\w+(?:\.\d+)?|-?\w*sqrt\(\w+\)", top) else f"({top})"
    under = under if re.fullmatch(r"\d+(?:\.\d+)?|[A-Za-z]|pi|sqrt\(\w+\)", under) else f"({under})"
    return f"{top}/{under}" + ("*" if found.string[found.end() : found.end() + 1].isdigit() else "")


def is_expression(text: str) -> bool:
    """Whether a statement is a formula rather than words."""
    if any(word.lower() not in _SYMBOLS for word in _WORDY.findall(_COMMAND.sub(" ", text))):
        return False
    letters = re.findall(r"[^\W\d_]+", text)
    formal = all(len(run) == 1 for run in letters) and _OPERATOR.search(text)
    return bool(formal) or any(c.isdigit() or c in "^\\√=/" for c in text)


def wording(text: str) -> str:
    """A statement as words (case, punctuation and spacing left out) or as a formula (spacing left out)."""
    text = _HALF_OF_DAY.sub(r"\1m", expression(text))
    if is_expression(text):
        if mixed := re.fullmatch(r"[-+]?\d+ \d+/\d+", text.rstrip(".,; ")):
            return number(mixed.group(), whole=True)
        formula = re.sub(r"\s+", "", text).rstrip(".,;").casefold()
        formula = re.sub(r"^[a-z]=", "", formula)
        formula = _PART.sub(lambda part: number(part.group(), whole=True) or part.group(), formula)
        if _SET.fullmatch(formula):
            formula = "{" + ",".join(sorted(formula[1:-1].split(","))) + "}"
        return (_BARE.fullmatch(formula) and number(formula, whole=True)) or formula
    words = " ".join(_PUNCTUATION.sub(" ", text.casefold()).split())
    return words or " ".join(text.casefold().split())


def label(text: str, choices: Sequence[str], *, last: bool) -> str:
    """The one of `choices` that a text names, as it stands there: the last one named, or the first; empty = none.

    Where names overlap, the longer one counts: "not spam" is not "spam".
    """
    names = {wording(choice): choice for choice in choices}
    if (whole := wording(text)) in names:
        return names[whole]
    longest = 2 * max(map(len, choices), default=0) + 20
    bare = [wording(part) for part in _opening_and_end(text) if len(part) <= longest] if last else []
    if named := [names[part] for part in bare if part in names]:
        return named[0]
    text = wording(text)
    ordered = sorted((name for name in names if name), key=len, reverse=True)
    found = re.findall("|".join(map(_whole_word, ordered)), text) if ordered else []
    return names[found[-1 if last else 0]] if found else ""


def _opening_and_end(text: str) -> tuple[str, str]:
    """The last sentence of a text, and the first: an answer may stand alone before or after its reasons."""
    text = text.strip().rstrip(".!。*_ \n")
    sentences = re.split(r"[.!。\n]+", text)
    return sentences[-1], sentences[0]


def _whole_word(name: str) -> str:
    before, after = (r"(?<!\w)" if name[0].isascii() else "", r"(?!\w)" if name[-1].isascii() else "")
    return before + re.escape(name) + after


def clipped(choice: str) -> str:
    """A choice short enough to be listed: a long text is cut and given a digest, so that unequal ones stay unequal."""
    if len(choice) <= _LONGEST:
        return choice
    return f"{choice[: _LONGEST - 20]}… [{hashlib.sha256(choice.encode('utf-8', 'replace')).hexdigest()[:12]}]"
