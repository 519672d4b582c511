"""Label artwork: the QR symbol of a code's URL as SVG or PNG, and a PDF sheet for proofing a batch.

Symbols have error level M or better (ISO/IEC 18004) and the quiet zone of four modules that scanners
rely on.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from app.core.errors import RuleBroken
from app.core.model.code import Code, Entry
from app.core.model.label import CodeBatch
from app.issuing.codebook import Codebook

if TYPE_CHECKING:
    import segno
    from reportlab.pdfgen.canvas import Canvas

QUIET_ZONE_MODULES: Final = 4
MOST_PROOFS: Final = 1_000
_LEVEL: Final = "m"

_MM: Final = 72 / 25.4  # PDF points
_PAGE: Final = (210 * _MM, 297 * _MM)
_MARGIN: Final = 12 * _MM
_COLUMNS: Final = 3
_ROWS: Final = 6
_SYMBOL: Final = 28 * _MM
_DIGITS_FONT: Final = "Courier-Bold"
_LATIN_FONT: Final = "Helvetica"
_CHINESE_FONT: Final = "STSong-Light"  # one of the fonts every PDF reader for Chinese brings along
_TEXT_CHARS: Final = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofLabel:
    """One label as it will be printed: global serial, digits of the code, the URL in the symbol."""

    serial: int
    code: str
    url: str


def qr_svg(url: str) -> bytes:
    """Return the symbol as an SVG document whose unit is the module."""
    out = io.BytesIO()
    _symbol(url).save(
        out,
        kind="svg",
        border=QUIET_ZONE_MODULES,
        xmldecl=False,
        svgclass=None,
        lineclass=None,
        omitsize=True,  # a viewBox only, so that it scales to the label
    )
    return out.getvalue()


def qr_png(url: str, *, module_px: int = 8) -> bytes:
    """Return the symbol as a black and white PNG with `module_px` pixels a module (1 .. 100)."""
    if not 1 <= module_px <= 100:
        raise ValueError("a module has 1 to 100 pixels")
    out = io.BytesIO()
    _symbol(url).save(out, kind="png", border=QUIET_ZONE_MODULES, scale=module_px)
    return out.getvalue()


def proof_labels(codebook: Codebook, batch: CodeBatch, serials: Sequence[int]) -> Iterator[ProofLabel]:
    """Yield the labels of some global serials of a batch; RuleBroken outside it or for imported codes."""
    for serial in serials:
        if batch.tag_key_id is None or not batch.first_serial <= serial <= batch.last_serial:
            raise RuleBroken(f"Batch {batch.id} has no label {serial} whose code could be made.")
        code = codebook.make(serial, tag_key_id=batch.tag_key_id)
        yield ProofLabel(serial=serial, code=code, url=batch.url_prefix + code)


def proof_sheet(labels: Sequence[ProofLabel], *, title: str, text: str) -> bytes:
    """Return a PDF (A4, 18 labels a page): symbol, code in groups of four, serial and the label's text.

    The same labels always give the same bytes. RuleBroken beyond 1,000 labels: a sheet is for proofing.
    """
    from reportlab.pdfgen.canvas import Canvas

    if len(labels) > MOST_PROOFS:
        raise RuleBroken(
            f"A proof sheet has at most {MOST_PROOFS:,} labels. Name a shorter range of serials."
        )
    out = io.BytesIO()
    canvas = Canvas(out, pagesize=_PAGE, invariant=True, pageCompression=1)
    canvas.setTitle(title)
    per_page = _COLUMNS * _ROWS
    width, height = (_PAGE[0] - 2 * _MARGIN) / _COLUMNS, (_PAGE[1] - 3 * _MARGIN) / _ROWS
    for index, label in enumerate(labels):
        if index >= MOST_PROOFS:
            raise RuleBroken(
                f"A proof sheet has at most {MOST_PROOFS:,} labels. Name a shorter range of serials."
            )
        place = index % per_page
        if place == 0:
            if index:
                canvas.showPage()
            _write(canvas, title, at=(_MARGIN, _PAGE[1] - _MARGIN), size=10)
        left = _MARGIN + place % _COLUMNS * width
        top = _PAGE[1] - 2 * _MARGIN - place // _COLUMNS * height
        _draw_label(canvas, label, text, left=left, top=top)
    canvas.save()
    return out.getvalue()


def _symbol(url: str) -> segno.QRCode:
    import segno

    return segno.make_qr(url, error=_LEVEL)


def _draw_label(canvas: Canvas, label: ProofLabel, text: str, *, left: float, top: float) -> None:
    _draw_symbol(canvas, label.url, left=left, top=top)
    grouped = Code.parse(label.code, entry=Entry.SCANNED).grouped()
    canvas.setFont(_DIGITS_FONT, 8)
    canvas.drawString(left, top - _SYMBOL - 3 * _MM, grouped)
    canvas.setFont(_LATIN_FONT, 6)
    canvas.drawString(left, top - _SYMBOL - 6 * _MM, str(label.serial))
    _write(canvas, text[:_TEXT_CHARS], at=(left, top - _SYMBOL - 9.5 * _MM), size=7)


def _draw_symbol(canvas: Canvas, url: str, *, left: float, top: float) -> None:
    """Draw the dark modules as one path of row runs, so that no hairlines show between neighbours."""
    rows = [tuple(row) for row in _symbol(url).matrix_iter(border=QUIET_ZONE_MODULES)]
    module = _SYMBOL / len(rows)
    path = canvas.beginPath()
    for number, row in enumerate(rows):
        start = None
        for column, dark in enumerate((*row, 0)):
            if dark and start is None:
                start = column
            elif not dark and start is not None:
                path.rect(
                    left + start * module, top - (number + 1) * module, (column - start) * module, module
                )
                start = None
    canvas.drawPath(path, stroke=0, fill=1)


def _write(canvas: Canvas, text: str, *, at: tuple[float, float], size: int) -> None:
    font = _LATIN_FONT
    if not text.isascii():
        from reportlab.pdfbase import pdfmetrics
        from reportlab.pdfbase.cidfonts import UnicodeCIDFont

        pdfmetrics.registerFont(UnicodeCIDFont(_CHINESE_FONT))
        font = _CHINESE_FONT
    canvas.setFont(font, size)
    canvas.drawString(*at, text)
