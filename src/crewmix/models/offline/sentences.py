"""Texts cut into statements: whole sentences and list items, with the citation tags that stand behind them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

TAG = re.compile(r"\[(?:[^\[\]\n]|\[[^\[\]\n]*\])+:(?:p?\d+(?:-\d+)?)\]")
"""A citation mark as `knowledge.sources.Source.tag` writes it, e.g. `[docs/guide.md:12-18]`."""

_FENCED = re.compile(r"^[ \t]*(```|~~~).*?(?:^[ \t]*\1[ \t]*$|\Z)", re.MULTILINE | re.DOTALL)
_ITEM = re.compile(r"^\s*(?:[-+•▪*]|\(?(?:\d{1,3}(?:\.\d+)*|[a-zA-Z]|[ivx]{1,4})[.)]|\d+(?:\.\d+)+\.?)\s+(?=\S)")
_HEADING = re.compile(r"^\s*(?:#{1,6}\s|={3,}\s*$|-{3,}\s*$|~{3,}\s*$|\*{3,}\s*$|_{3,}\s*$)")
_UNDERLINE = re.compile(r"^\s*([=\-~^\"'*+#])\1{2,}\s*$")
_TABLE = re.compile(r"^\s*\|.*\|\s*$|^\s*\+[-=+]+\+\s*$")
_COMMENT = re.compile(r"^\s*(?:/\*+|\*+/|\*+|//+|#+|;+|%+|>+|\.\.)(?=\s|$)\s?")
_FRAME = re.compile(r"^\s*/?\*+(?:/|\s*$)|^\s*\*.*\s\*\s*$")
_FRAME_END = re.compile(r"\s+\*+/?\s*$")
_PICTURE = re.compile(
    r"!\[[^\]]*\](?:\([^)]*\)|\[[^\]]*\])|</?(?:a|b|br|code|div|em|i|img|p|span|strong|sub|sup)\b[^<>]*>"
)
_LINK = re.compile(r"\[([^\[\]]+)\](?:\([^()]*\)|\[[^\[\]]*\])")
_END = re.compile(
    r"[.!?…]+[\"'”’»)\]*_]*(?:\s*" + TAG.pattern + r")*(?=\s+[\"'“‘„«(*\[`]*[A-ZÀ-ÖØ-Þ0-9]|\s*$)"
    r"|[。！？]+[”’」』]*(?:\s*" + TAG.pattern + r")*"
)
_ABBREVIATION = re.compile(
    r"(?:^|[\s(])(?:[A-Za-z]|e\.g|i\.e|etc|cf|vs|v|al|mr|mrs|ms|dr|prof|st|inc|ltd|co|corp|no|nr|sec|art|fig|vol|ed|eds|pp|"
    r"approx|resp|ca|bzw|z\.\s?b|d\.\s?h|u\.\s?a|usw|abs|ggf|vgl|u\.s|jan|feb|mar|apr|jun|jul|aug|sep|sept|oct|nov|dec)$",
    re.IGNORECASE,
)
_MONTH = re.compile(r"(?:Jan|Feb|Mär|Apr|Mai|Jun|Jul|Aug|Sep|Okt|Nov|Dez|Jahrhundert)")
_FEWEST_COMMENTS = 3


@dataclass(frozen=True, slots=True)
class Statement:
    """A sentence or list item and the tags that cite it."""

    text: str
    tags: tuple[str, ...] = ()
    item: bool = False
    """Whether it stood in a list."""
    label: str = ""
    """What it is about, where the text says so in bold before it: a document's name."""
    heading: str = ""
    """The heading it stands under, where that is known; not written out."""

    def __str__(self) -> str:
        named = f"**{self.label}**: {self.text}" if self.label else self.text
        return " ".join([named, *self.tags])


def statements(text: str) -> list[Statement]:
    """The statements of `text` in order. Headings, tables, code and rules are left out."""
    found: list[Statement] = []
    for block, item in _blocks(_FENCED.sub("\n\n", text)):
        for sentence in _split(block):
            statement = _statement(sentence, item)
            if statement.text:
                found.append(statement)
            elif statement.tags and found:
                found[-1] = Statement(
                    found[-1].text, (*found[-1].tags, *statement.tags), found[-1].item, found[-1].label
                )
    return found


def has_code(text: str) -> bool:
    """Whether a fenced block of code stands in `text`."""
    return _FENCED.search(text) is not None


def _statement(sentence: str, item: bool) -> Statement:
    tags = tuple(dict.fromkeys(TAG.findall(sentence)))
    bare = re.sub(r"\s+([.,;:!?])", r"\1", TAG.sub("", sentence))
    bare = _LINK.sub(r"\1", _PICTURE.sub("", bare))
    label = re.match(r"\*\*([^*]+)\*\*:?\s+", bare.strip())
    if label:
        bare = bare.strip()[label.end() :]
    bare = re.sub(r"(\*\*|__)(?=\S)(.+?)(?<=\S)\1", r"\2", bare)
    return Statement(" ".join(bare.split()), tags, item, label.group(1).rstrip(":") if label else "")


def _uncommented(lines: list[str]) -> list[str]:
    """Lines without the comment marks of source files and the frames of boxes."""
    plain: list[str] = []
    for mark, group in groupby(lines, _mark):
        run = list(group)
        if mark and len(run) >= _FEWEST_COMMENTS and (mark != "*" or any(_FRAME.match(line) for line in run)):
            run = [_FRAME_END.sub("", _COMMENT.sub("", line)) for line in run]
        plain += run
    return plain


def _mark(line: str) -> str:
    match = _COMMENT.match(line)
    return match.group().strip()[:1].replace("/", "*") if match else ""


def _blocks(text: str) -> Iterator[tuple[str, bool]]:
    """Paragraphs and list items, each on one line."""
    lines = _uncommented(text.split("\n"))
    block: list[str] = []
    item = False
    for number, line in enumerate(lines):
        apart = _apart(line, lines[number + 1] if number + 1 < len(lines) else "")
        starts = None if apart or _continues(block, line) else _ITEM.match(line)
        if (apart or starts) and block:
            yield _joined(block), item
            block = []
        if starts:
            block, item = [line[starts.end() :]], True
        elif not apart:
            item = item and bool(block)
            block.append(line)
    if block:
        yield _joined(block), item


def _apart(line: str, after: str) -> bool:
    """Whether a line belongs to no sentence: empty, a heading, a rule, a table."""
    underlined = bool(line.strip()) and bool(_UNDERLINE.match(after))
    return not line.strip() or underlined or bool(_HEADING.match(line) or _UNDERLINE.match(line) or _TABLE.match(line))


def _continues(block: list[str], line: str) -> bool:
    """Whether what looks like a numbered item is a sentence going on: "… under Sections 5.1 or / 5.2 above"."""
    numbered = re.match(r"^\s*\(?[\da-zA-Z][\w.]*[.)]?\s+[a-zß-ÿ]", line)
    return bool(numbered and block and not re.search(r"(?:[;:.,]|\b(?:and|or|und|oder))\s*$", block[-1]))


def _joined(lines: list[str]) -> str:
    text = " ".join(line.strip() for line in lines)
    return re.sub(r"(?<=\w-) (?=[a-zäöü])", "", text)


def _split(block: str) -> Iterator[str]:
    start = 0
    for match in _END.finditer(block):
        before = block[start : match.start()]
        if match.group()[0] == "." and (_ABBREVIATION.search(before) or _ordinal(before, block[match.end() :])):
            continue
        yield block[start : match.end()].strip()
        start = match.end()
    if block[start:].strip():
        yield block[start:].strip()


def _ordinal(before: str, after: str) -> bool:
    """Whether a full stop belongs to a number: that of a list, or of a German date ("31. März")."""
    return before.strip().isdigit() or bool(re.search(r"\b\d{1,2}$", before) and _MONTH.match(after.lstrip()))
