"""PDF files, page by page, with pypdfium2."""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING

from crewmix.knowledge.parts import Document, Part, Unreadable

if TYPE_CHECKING:
    from pypdfium2 import PdfDocument

_PDFIUM = threading.Lock()
"""pdfium is not thread-safe."""


def pdf_document(data: bytes) -> Document:
    """The text of each page.

    Raises:
        Unreadable: It is damaged, needs a password, or holds no text, as scanned pages do.
    """
    import pypdfium2

    with _PDFIUM:
        try:
            pdf = pypdfium2.PdfDocument(data)
        except pypdfium2.PdfiumError as error:
            raise Unreadable(_reason(str(error))) from error
        try:
            pages = [_page_text(pdf, number) for number in range(len(pdf))]
        except pypdfium2.PdfiumError as error:
            raise Unreadable(f"damaged PDF: {error}") from error
        finally:
            pdf.close()
    parts = tuple(Part(text, page=number) for number, text in enumerate(pages, 1) if text.strip())
    if not parts:
        raise Unreadable("no text in this PDF; it may be scanned pages")
    missing = len(pages) - len(parts)
    return Document(parts, warning=f"{missing} of {len(pages)} pages hold no text" if missing else "")


def _reason(error: str) -> str:
    return "PDF that needs a password" if "password" in error.lower() else f"damaged PDF: {error}"


def _page_text(pdf: PdfDocument, number: int) -> str:
    page = pdf[number]
    text_page = page.get_textpage()
    try:
        text = str(text_page.get_text_range())
    finally:
        text_page.close()
        page.close()
    return re.sub(r"\ufffe\n?|\x02\n?", "", text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", " "))
