"""Arithmetic within a question, for the `calculate` tool."""

from __future__ import annotations

import re

CALCULATE = "calculate"
_NUMBER = r"\d[\d_]*(?:\.\d+)?"
_EXPRESSION = re.compile(rf"[(\s]*-?{_NUMBER}[\s)]*(?:(?:\*\*|//|[*/+^×÷·]|(?<=[\s)])-\s)[\s(]*-?{_NUMBER}[\s)]*)+")
_PERCENT = re.compile(rf"({_NUMBER})\s*(?:%|percent|prozent)\s*(?:of|von)\s*({_NUMBER})", re.IGNORECASE)


def expression(question: str) -> str:
    """The first sum, product or percentage in `question` as an expression; empty when there is none."""
    plain = re.sub(r"(?<=\d),(?=\d{3}\b)", "", question)
    share = _PERCENT.search(plain)
    if share:
        return f"{share.group(1)} / 100 * {share.group(2)}"
    found = _EXPRESSION.search(plain)
    if not found or re.fullmatch(r"\s*\d{1,4}/\d{1,2}(/\d{1,4})?\s*", found.group()):
        return ""
    return _balanced(found.group().strip().replace("^", "**").replace("×", "*").replace("·", "*").replace("÷", "/"))


def _balanced(text: str) -> str:
    """`text` without the parentheses that belong to the sentence around it."""
    while text.count("(") > text.count(")") and text.startswith("("):
        text = text[1:].strip()
    while text.count(")") > text.count("(") and text.endswith(")"):
        text = text[:-1].strip()
    return text if text.count("(") == text.count(")") else ""
