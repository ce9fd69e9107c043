"""Files and folders become documents; whatever is left out is named with its reason."""

import os
from pathlib import Path

import pytest

from crewmix.knowledge.chunk import chunk
from crewmix.knowledge.index import Index
from crewmix.knowledge.load import MAX_BYTES, find_files, read_bytes, read_document
from crewmix.knowledge.parts import Document, Unreadable


def document(path: Path) -> Document:
    return read_document(path, read_bytes(path))


def text_of(path: Path) -> str:
    return "\n".join(part.text for part in document(path).parts)


def pdf(*pages: str) -> bytes:
    """A small PDF with one line of text on each page."""
    objects = ["<< /Type /Catalog /Pages 2 0 R >>", "", "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"]
    kids = []
    for text in pages:
        stream = f"BT /F1 12 Tf 72 700 Td ({text}) Tj ET"
        objects.append(f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream")
        content = len(objects)
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {content} 0 R "
            "/Resources << /Font << /F1 3 0 R >> >> >>"
        )
        kids.append(f"{len(objects)} 0 R")
    objects[1] = f"<< /Type /Pages /Kids [{' '.join(kids)}] /Count {len(kids)} >>"
    out, offsets = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += f"{number} 0 obj\n{body}\nendobj\n".encode()
    table = "".join(f"{offset:010d} 00000 n \n" for offset in offsets)
    trailer = f"trailer << /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{len(out)}\n%%EOF"
    return out + f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}{trailer}".encode()


def test_every_kind_of_text_is_found_and_every_omission_is_reported(tmp_path: Path) -> None:
    for name in ("a.md", "b.txt", "c.rst", "d.py", "LICENSE"):
        (tmp_path / name).write_text("The answer is written here.\n")
    for folder in (".git", "node_modules", ".venv", "env"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.txt").write_text("not for reading")
    (tmp_path / "env" / "pyvenv.cfg").write_text("home = /usr")
    (tmp_path / ".env").write_text("SECRET=1")
    (tmp_path / "image.png").write_bytes(b"\x89PNG\r\n\0\0")
    (tmp_path / "empty.txt").write_text(" \n")
    (tmp_path / "huge.txt").write_bytes(b"x" * (MAX_BYTES + 1))
    index = Index.open([tmp_path, tmp_path / "gone"], tmp_path, None)
    assert index.documents == ("LICENSE", "a.md", "b.txt", "c.rst", "d.py")
    assert dict(index.skipped) == {
        ".env": "hidden file",
        ".git": "hidden folder",
        ".venv": "hidden folder",
        "empty.txt": "empty",
        "env": "folder of installed packages or build products",
        "gone": "does not exist",
        "huge.txt": "larger than 10 MB (10.0 MB)",
        "image.png": "not text",
        "node_modules": "folder of installed packages or build products",
    }


def test_links_that_leave_the_folder_and_devices_are_not_read(tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    (tmp_path / "secret.txt").write_text("the secret of the house")
    (docs / "inside.txt").write_text("a text of the house")
    (docs / "out.txt").symlink_to(tmp_path / "secret.txt")
    (docs / "up").symlink_to(tmp_path)
    (docs / "broken").symlink_to(tmp_path / "nothing")
    (docs / "same.txt").symlink_to(docs / "inside.txt")
    os.mkfifo(docs / "pipe")
    files, skipped = find_files([docs])
    assert [f.path.name for f in files] == ["inside.txt"]
    assert {path.name: reason for path, reason in skipped} == {
        "out.txt": "a link that leaves the folder is not followed",
        "up": "a link to a folder is not followed",
        "broken": "does not exist",
        "pipe": "not a regular file",
    }
    assert not Index.open([docs], tmp_path, None).search("secret")


def test_a_hidden_folder_named_on_purpose_is_read(tmp_path: Path) -> None:
    (tmp_path / ".notes").mkdir()
    (tmp_path / ".notes" / "a.txt").write_text("The harbour opens at six.")
    assert Index.open([tmp_path / ".notes"], tmp_path, None).documents == (".notes/a.txt",)


@pytest.mark.parametrize(
    ("data", "text", "warning"),
    [
        ("Käse".encode(), "Käse", ""),
        ("Käse".encode("utf-8-sig"), "Käse", ""),
        ("Käse".encode("utf-16"), "Käse", ""),
        ("Käse und Brötchen".encode("cp1252"), "Käse und Brötchen", "not UTF-8; read as Windows-1252"),
        (
            "Grüße, Käse, ".encode() + b"\xff.",
            "Grüße, Käse, \ufffd.",
            "not valid utf-8; 1 characters could not be read",
        ),
        (b"one\r\ntwo\rthree", "one\ntwo\nthree", ""),
    ],
)
def test_encodings_are_recognised_and_damage_is_reported(tmp_path: Path, data: bytes, text: str, warning: str) -> None:
    read = read_document(tmp_path / "a.txt", data)
    assert (read.parts[0].text, read.warning) == (text, warning)
    (tmp_path / "a.txt").write_bytes(data)
    assert Index.open([tmp_path], tmp_path, None).warnings == ((f"a.txt: {warning}",) if warning else ())


def test_a_pdf_is_cited_by_page(tmp_path: Path) -> None:
    (tmp_path / "report.pdf").write_bytes(pdf("The bridge is 90 metres long.", "", "It was built in 1931."))
    index = Index.open([tmp_path], tmp_path, None)
    assert index.search("When was it built?")[0].source.tag == "[report.pdf:p3]"
    assert index.search("bridge metres")[0].source.tag == "[report.pdf:p1]"
    assert index.warnings == ("report.pdf: 1 of 3 pages hold no text",)


@pytest.mark.parametrize("data", [b"%PDF-1.4 nonsense", pdf("")])
def test_a_pdf_without_text_says_so(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(Unreadable, match="PDF"):
        read_document(tmp_path / "a.pdf", data)


def test_html_gives_the_main_text_with_the_lines_of_the_file(tmp_path: Path) -> None:
    paragraphs = [f"<p>Paragraph number {n} tells of the lighthouse keeper and his {n} lamps.</p>" for n in range(1, 9)]
    page = "<html>\n<head><title>T</title>\n<script>var lamps = 1;</script></head>\n<body><nav>Home | Shop</nav>\n<article>\n"
    (tmp_path / "a.html").write_text(page + "\n".join(paragraphs) + "\n</article></body></html>\n")
    read = document(tmp_path / "a.html")
    assert "Shop" not in read.parts[0].text
    assert "var lamps" not in read.parts[0].text
    lines = (tmp_path / "a.html").read_text().splitlines()
    part = read.parts[0]
    for number, line in enumerate(part.text.split("\n"), 1):
        if "Paragraph" in line:
            assert line in lines[int(part.place(number, number)) - 1]


def test_an_html_page_without_text_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text("<html><body><script>x()</script></body></html>")
    index = Index.open([tmp_path], tmp_path, None)
    assert index.skipped == (("a.html", "no text in this page"),)


def test_markdown_passages_know_their_headings(tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    long = "This sentence fills the section with words. " * 30
    path.write_text(f"# Guide\n\n{long}\n\n## Install\n\n```\n# no heading\n```\n{long}\n")
    headings = [c.heading for c in chunk(document(path))]
    assert headings[0] == "Guide"
    assert headings[-1] == "Guide › Install"
    assert all("no heading" not in heading for heading in headings)
