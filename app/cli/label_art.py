"""`yanzhen label art`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Final

from app.cli.context import add_json, in_workshop
from app.cli.exits import CommandInvalid
from app.cli.output import write_json, write_line
from app.core.errors import NotFound
from app.core.model.code import Code, Entry
from app.core.model.label import BatchId
from app.core.ports.labels import Recognised

if TYPE_CHECKING:
    from app.bootstrap.workshop import Workshop

_SYMBOL_ENDS: Final = frozenset({".svg", ".png"})
_SHEET_LABELS: Final = 18


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument(
        "code", nargs="?", metavar="CODE", help="draw the QR code of this label; --out .svg or .png"
    )
    parser.add_argument("--batch", type=int, metavar="ID", help="draw a proof sheet of a batch; --out .pdf")
    parser.add_argument(
        "--from", dest="first", type=int, metavar="SERIAL", help="first serial (the batch's first)"
    )
    parser.add_argument(
        "--to", dest="last", type=int, metavar="SERIAL", help="last serial (18 labels, one page)"
    )
    parser.add_argument("--out", required=True, type=Path, metavar="FILE", help="the file to write")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Write one symbol or one sheet."""
    if (arguments.code is None) == (arguments.batch is None):
        raise CommandInvalid(
            "Name either a code or a batch: yanzhen label art CODE, or label art --batch ID."
        )
    path: Path = arguments.out
    if arguments.code is not None:
        if path.suffix not in _SYMBOL_ENDS:
            raise CommandInvalid("A symbol is written as .svg or .png: give --out a name that ends so.")
        drawing, labels = in_workshop(arguments, lambda workshop: _symbol(arguments, workshop)), 1
    else:
        if path.suffix != ".pdf":
            raise CommandInvalid("A proof sheet is a PDF: give --out a name that ends in .pdf.")
        drawing, labels = in_workshop(arguments, lambda workshop: _sheet(arguments, workshop))
    path.write_bytes(drawing)
    if arguments.json:
        write_json({"file": str(path), "labels": labels, "bytes": len(drawing)})
    else:
        write_line(f"{path}: {labels} label(s), {len(drawing):,} bytes. It shows codes in clear.")
    return 0


async def _symbol(arguments: argparse.Namespace, workshop: Workshop) -> bytes:
    from app.issuing.artwork import qr_png, qr_svg
    from app.issuing.recogniser import CodebookRecogniser

    ring = await workshop.keyring()
    catalogue = await workshop.catalogues.load()
    code = Code.parse(arguments.code, entry=Entry.SCANNED, lengths=catalogue.lengths)
    recognition = CodebookRecogniser(lambda: ring).recognise(code, catalogue)
    batch = catalogue.batch_of(recognition.serial) if isinstance(recognition, Recognised) else None
    if batch is None:
        raise NotFound("No label of this record carries that code. Compare the digits with the label file.")
    url = batch.url_prefix + code.digits
    return qr_svg(url) if arguments.out.suffix == ".svg" else qr_png(url)


async def _sheet(arguments: argparse.Namespace, workshop: Workshop) -> tuple[bytes, int]:
    from app.issuing.artwork import proof_labels, proof_sheet

    batch = await workshop.registry.batch(BatchId(arguments.batch))
    codebook = (await workshop.keyring()).codebook()
    first = batch.first_serial if arguments.first is None else arguments.first
    last = min(first + _SHEET_LABELS - 1, batch.last_serial) if arguments.last is None else arguments.last
    labels = list(proof_labels(codebook, batch, range(first, last + 1)))
    product = batch.product
    title = f"Batch {batch.id}, {product.name}, proof of {len(labels)} label(s)"
    return proof_sheet(labels, title=title, text=product.short_name or product.name), len(labels)
