"""Finds Python programs and tests in texts, without running anything."""

from __future__ import annotations

import ast
import re
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence

MOST_TESTS = 100
_FENCE = re.compile(r"^[ \t]*(`{3,}|~{3,})[ \t]*(\w*)[^\n]*\n(.*?)^[ \t]*\1[ \t]*$", re.MULTILINE | re.DOTALL)
_PYTHON = ("", "py", "python", "python3")
_LONGEST_SIGNATURE = 200
_Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def find_program(text: str) -> str | None:
    """The program in an answer: its Python code blocks in order, or the whole text where it has none.

    Blocks that are no valid Python, such as a shell session, are left out; so are the author's own top-level `assert`s.
    None = there is none.
    """
    blocks = _code_blocks(text) if _FENCE.search(text) else [text]
    parsed = [tree for block in blocks if (tree := _parsed(block)) is not None]
    body = [node for tree in parsed for node in tree.body if not isinstance(node, ast.Assert)]
    futures = [node for node in body if isinstance(node, ast.ImportFrom) and node.module == "__future__"]
    if not any(isinstance(node, _Definition | ast.Assign | ast.AnnAssign) for node in body):
        return None
    return ast.unparse(ast.Module([*futures, *(node for node in body if node not in futures)], []))


def find_tests(text: str) -> tuple[str, ...]:
    """The top-level `assert` statements in a text's Python code blocks, each once, in a normal form and without message.

    Of a block that is no valid Python, each line that is a valid `assert` counts. Asserts that call nothing are left out.
    """
    found: list[ast.Assert] = []
    for block in _code_blocks(text) if _FENCE.search(text) else [text]:
        tree = _parsed(block)
        trees = [tree] if tree else [t for line in block.splitlines() if (t := _parsed(line.strip())) is not None]
        found += [node for tree in trees for node in tree.body if isinstance(node, ast.Assert)]
    calling = [a for a in found if any(isinstance(node, ast.Call) for node in ast.walk(a.test))]
    return tuple(dict.fromkeys(ast.unparse(ast.Assert(a.test)) for a in calling))


def signatures(programs: Iterable[str], most: int = 8) -> tuple[str, ...]:
    """How the programs' public functions and classes are called, the most frequent first."""
    counted: Counter[str] = Counter()
    for program in programs:
        tree = _parsed(program)
        heads = {_head(node) for node in tree.body if isinstance(node, _Definition)} if tree else set[str]()
        counted.update(sorted(head for head in heads if not head.startswith("_")))
    return tuple(head for head, _ in counted.most_common(most))


def _head(node: _Definition) -> str:
    if not isinstance(node, ast.ClassDef):
        return f"{node.name}({ast.unparse(node.args)})"[:_LONGEST_SIGNATURE]
    methods = [_head(child) for child in node.body if isinstance(child, _Definition)]
    shown = ", ".join(m for m in methods if m.startswith("__init__") or not m.startswith("_"))
    return f"{node.name}: {shown}"[:_LONGEST_SIGNATURE]


def _code_blocks(text: str) -> Sequence[str]:
    return [fence[3] for fence in _FENCE.finditer(text) if fence[2].lower() in _PYTHON]


def _parsed(source: str) -> ast.Module | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(source)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None
