"""Words: what carries meaning in a text, and when two words are the same one. English and German."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

_ENGLISH = """
a about above after again against all also although always am among an and any anybody anyone anything are aren as at be
because been before being below between both but by can cannot could did didn do does doesn doing don done down during
each either else etc ever every few for from further get gets give given gives go goes had has have having he her here
hers him his how however i if in into is isn it its itself just know let like ll made make makes many may me might more
most much must my need needs neither no nor not of off often on once one only or other others our ours out over own per
please quite rather really s said same say says see shall she should since so some such t take tell than that the their
them themselves then there these they thing things this those though through thus to too under until up upon us use used
uses using ve very via want was way we well were what whatever when where whether which while who whom whose why will with
within without would yes yet you your yours
"""
_GERMAN = """
aber alle allem allen aller alles als also am an andere anderen auch auf aus bei beim bin bis bist da dabei dadurch dafür
damit dann darf daran darauf darin das dass dein dem den denn der deren des dessen dich die dies diese diesem diesen
dieser dieses dir doch dort du durch ein eine einem einen einer eines er es etwa etwas euer für gegen gibt hab habe haben
hat hatte hatten hier hin ich ihm ihn ihnen ihr ihre ihrem ihren ihrer im in ins ist ja jede jedem jeden jeder jedes jene
kann kein keine keinen können könnte machen man mehr mein mich mir mit muss müssen nach nicht noch nun nur ob oder ohne
sehr sein seine seinem seinen seiner seit sich sie sind so soll sollen sollte sondern sowie über um und uns unser unter
viel vom von vor wann war warum was weil welche welchem welchen welcher welches wenn wer werden wie wieder will wir wird
wo worden wurde wurden zu zum zur zwar zwischen
"""
_ENGLISH_WORDS = frozenset(_ENGLISH.split())
_GERMAN_WORDS = frozenset(_GERMAN.split())
STOP_WORDS = _ENGLISH_WORDS | _GERMAN_WORDS
"""Words too common to search for, English and German."""

_WORD = re.compile(r"\w+(?:['’]\w+)?")
_ACRONYM = re.compile(r"\b[A-ZÄÖÜ]{2,}\b")
_NAME = re.compile(r"(?<!^)(?<![.?!] )\b(?:[A-ZÄÖÜ][\w-]*\w|\w*\d[\w.]*)\b")
_CLITIC = re.compile(r"['’](s|t|re|ve|ll|d|m)?$")
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff]+")
_BRITISH = re.compile(
    r"(?:(?<=icen)|(?<=fen))c(?=e(?:d|s|rs?)?\b)"
    r"|(?<=[lbmnvi])ou(?=r(?:s|ed|ing|able|ful|ite|less)?\b)"
    r"|(?<=[a-z]{3}[lnrtmdgs])is(?=(?:e|es|ed|ing|ers?|ations?)\b)",
    re.IGNORECASE,
)
_AMERICAN = {"c": "s", "ou": "o", "is": "iz"}
_ENDINGS = tuple(
    "izations ization ations ation ments ment ities ity ibly ably ings ing ions ion ives ive ies ied "
    "ungen ung keiten keit heiten heit ed es en er em e s n y".split()
)


def words(text: str) -> list[str]:
    """The words of `text` in order, lower case; scripts without spaces are cut into pairs of characters."""
    plain = spaced(unicodedata.normalize("NFC", text).lower())
    found = (_CLITIC.sub("", match) for match in _WORD.findall(plain))
    return [word for word in found if word.strip("_")]


def pairs(run: str) -> list[str]:
    """Overlapping pairs of characters: the usual substitute for words in Chinese, Japanese, Korean and Thai."""
    return [run[i : i + 2] for i in range(len(run) - 1)] or [run]


def spaced(text: str) -> str:
    """`text` with the runs of scripts without spaces between words cut into pairs of characters."""
    return _UNSPACED.sub(lambda match: f" {' '.join(pairs(match.group()))} ", text)


def content_words(text: str) -> list[str]:
    """The words of `text` that carry meaning, in order, each once. Acronyms count: MIT is not the German "mit"."""
    short = {word.lower() for word in acronyms(text)}
    return list(dict.fromkeys(w for w in words(text) if _telling(w) or w in short))


def acronyms(text: str) -> list[str]:
    """The words in capitals of a text that is not all in capitals."""
    return [] if text.isupper() else _ACRONYM.findall(text)


def names(question: str) -> list[str]:
    """Words of `question` that name one particular thing: capitalised within a sentence, in capitals, or with digits.

    In German, where every noun is capitalised, only the latter two.
    """
    found = _NAME.findall(question)
    if is_german(question):
        found = [word for word in found if not word[1:].islower()]
    return list(dict.fromkeys(word for word in found if _telling(word.lower()) or word.isupper()))


def is_german(text: str) -> bool:
    """Whether more of the common words of `text` are German than English."""
    found = words(text)
    return sum(w in _GERMAN_WORDS for w in found) > sum(w in _ENGLISH_WORDS for w in found)


def _telling(word: str) -> bool:
    return word not in STOP_WORDS and (len(word) > 1 or word.isdigit() or not word.isascii())


def american(text: str) -> str:
    """`text` with the commonest British spellings made American: licence, colour, organise."""
    return _BRITISH.sub(lambda match: _AMERICAN[match.group().lower()], text)


@lru_cache(maxsize=65536)
def stem(word: str) -> str:
    """`word` without accents and endings, so that forms of one word are equal. Light: a stem keeps four letters."""
    plain = unicodedata.normalize("NFKD", word.replace("ß", "ss"))
    plain = american("".join(c for c in plain if not unicodedata.combining(c)))
    for _ in range(2):
        ending = next((e for e in _ENDINGS if plain.endswith(e) and len(plain) - len(e) >= 4), "")
        if not ending or plain.isdigit():
            break
        plain = plain[: -len(ending)]
    return plain


def stems(text: str) -> list[str]:
    """The stems of the content words of `text`, repetitions kept."""
    return [stem(word) for word in words(text) if _telling(word)]
