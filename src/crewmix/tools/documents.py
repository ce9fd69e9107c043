"""The documents a tool may read: exactly those the crew's knowledge consists of."""

from __future__ import annotations

import difflib
import re
from pathlib import Path

from crewmix.knowledge.load import find_files, read_bytes, read_document
from crewmix.knowledge.names import document_names
from crewmix.knowledge.parts import Document, Unreadable
from crewmix.tools.base import ToolContext

_PLACE = re.compile(r":(\d+(-\d+)?|p\d+)$")
_LIKE_A_HEAD = re.compile(r"^(?=[^\S\n]*(?:\d+\.[^\S\n]+)?\[[^\]\n]+:(?:\d+(?:-\d+)?|p\d+)\])", re.MULTILINE)


def list_documents(context: ToolContext) -> dict[str, Path]:
    """The crew's documents, sorted by the names by which they are cited.

    Links that lead out, devices, hidden and oversized files are not among them.
    """
    found, _ = find_files(context.folders)
    names = document_names(((f.path, f.root) for f in found), context.project.resolve())
    return {names[path]: path for path in sorted(names, key=names.__getitem__)}


def open_document(name: str, context: ToolContext) -> tuple[str, Document]:
    """A document and its exact name, by its name or a citation tag like `[docs/guide.md:12-18]`.

    A name is looked up, never followed as a path, so it cannot lead out of the documents.

    Raises:
        ValueError: There is no such document, or it holds no text; the message is for a model.
    """
    documents = list_documents(context)
    bare = name.strip().removeprefix("[").removesuffix("]").removeprefix("./")
    exact = next((n for n in (name, bare, _PLACE.sub("", bare)) if n in documents), None)
    if exact is None:
        near = difflib.get_close_matches(bare[:200], documents, n=3, cutoff=0.4) or list(documents)[:5]
        there = f"; there are, among others: {', '.join(near)}" if near else "; this crew has no documents"
        raise ValueError(f"{name[:200]!r} is not among this crew's documents{there}")
    try:
        return exact, read_document(documents[exact], read_bytes(documents[exact]))
    except Unreadable as error:
        raise ValueError(f"{exact} cannot be read: {error}") from error


def as_data(text: str) -> str:
    """Text of a document as a tool shows it: no line of it can pass for the tag that heads another passage."""
    return _LIKE_A_HEAD.sub("| ", text)
