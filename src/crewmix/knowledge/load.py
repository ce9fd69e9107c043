"""Documents from files and folders, and a reason for every file that is left out."""

from __future__ import annotations

import codecs
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from crewmix.knowledge.html import html_document
from crewmix.knowledge.parts import Document, Part, Unreadable
from crewmix.knowledge.pdf import pdf_document

MAX_BYTES = 10_000_000
"""Larger files are left out."""
_TOOL_FOLDERS = {"node_modules", "__pycache__", "venv"}
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_MARKDOWN = {".md", ".markdown", ".mdown", ".rst", ".mdx"}
_HTML = {".html", ".htm", ".xhtml"}


@dataclass(frozen=True, slots=True)
class Found:
    """A file to read, and the folder or file of the crew's knowledge it was found through. Both resolved."""

    path: Path
    root: Path


def find_files(paths: Sequence[Path]) -> tuple[list[Found], list[tuple[Path, str]]]:
    """Every file to read under `paths`, sorted, each once, and (path, reason) for what is left out.

    Hidden files and folders, `node_modules`, virtual environments, links that leave their folder, devices and files
    over 10 MB are left out. A path named in `paths` itself may be hidden or a link.
    """
    files: dict[Path, Found] = {}
    skipped: list[tuple[Path, str]] = []
    for given in paths:
        root = given.resolve()
        for path in _walk(root, skipped):
            reason = _unfit(path, root)
            if reason:
                skipped.append((path, reason))
            else:
                files.setdefault(path.resolve(), Found(path.resolve(), root))
    return [files[path] for path in sorted(files)], skipped


def _walk(root: Path, skipped: list[tuple[Path, str]]) -> Iterator[Path]:
    if not root.is_dir():
        yield root
        return

    def failed(error: OSError) -> None:
        skipped.append((Path(error.filename), _why(error)))

    for folder, folders, names in os.walk(root, onerror=failed):
        for name in sorted(folders):
            reason = _unfit_folder(Path(folder, name))
            if reason:
                skipped.append((Path(folder, name), reason))
                folders.remove(name)
        folders.sort()
        yield from (Path(folder, name) for name in sorted(names))


def _unfit_folder(path: Path) -> str:
    if path.is_symlink():
        return "a link to a folder is not followed"
    if path.name.startswith("."):
        return "hidden folder"
    if path.name in _TOOL_FOLDERS or (path / "pyvenv.cfg").exists():
        return "folder of installed packages or build products"
    return ""


def _unfit(path: Path, root: Path) -> str:
    if path != root and path.name.startswith("."):
        return "hidden file"
    try:
        if path.is_symlink() and not path.resolve(strict=True).is_relative_to(root):
            return "a link that leaves the folder is not followed"
        info = path.stat()
    except (OSError, RuntimeError) as error:
        return _why(error)
    if not stat.S_ISREG(info.st_mode):
        return "not a regular file"
    return _too_large(info.st_size) if info.st_size > MAX_BYTES else ""


def _too_large(size: int) -> str:
    return f"larger than {MAX_BYTES // 1_000_000} MB ({size / 1_000_000:.1f} MB)"


def _why(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "does not exist"
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__


def read_bytes(path: Path) -> bytes:
    """The file's content.

    Raises:
        Unreadable: It cannot be read, or has grown too large.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise Unreadable(_why(error)) from error
    if len(data) > MAX_BYTES:
        raise Unreadable(_too_large(len(data)))
    return data


def read_document(path: Path, data: bytes) -> Document:
    """The text of a file, by its kind: PDF, HTML, Markdown, or any other text.

    Raises:
        Unreadable: It is binary, empty, damaged or holds no text.
    """
    suffix = path.suffix.lower()
    if data.startswith(b"%PDF-") or suffix == ".pdf":
        return pdf_document(data)
    text, warning = _decoded(data)
    if suffix in _HTML:
        return html_document(text, warning)
    if not text.strip():
        raise Unreadable("empty")
    return Document((Part(text),), markdown=suffix in _MARKDOWN, warning=warning)


def _decoded(data: bytes) -> tuple[str, str]:
    bom, encoding = next(((bom, name) for bom, name in _BOMS if data.startswith(bom)), (b"", "utf-8"))
    if not bom and b"\0" in data[:8192]:
        raise Unreadable("not text")
    try:
        return _unix(data.decode(encoding)), ""
    except UnicodeDecodeError:
        text = data.decode(encoding, errors="replace")
    broken = text.count("\ufffd")
    if encoding == "utf-8" and broken > sum(c > "\x7f" for c in text) - broken:
        return _unix(data.decode("cp1252", errors="replace")), "not UTF-8; read as Windows-1252"
    return _unix(text), f"not valid {encoding}; {broken} characters could not be read"


def _unix(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", " ")
