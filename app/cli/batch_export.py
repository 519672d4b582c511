"""`yanzhen batch export`."""

from __future__ import annotations

import argparse
from pathlib import Path

from app.cli.context import add_json, in_workshop
from app.cli.output import Progress, write_json, write_line
from app.core.model.label import BatchId


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("batch", type=int, metavar="ID", help="see `yanzhen batch list`")
    parser.add_argument(
        "--out", required=True, type=Path, metavar="FILE", help="a name that ends in .zip gives a ZIP"
    )
    parser.add_argument(
        "--from", dest="first", type=int, metavar="SERIAL", help="first serial (the batch's first)"
    )
    parser.add_argument(
        "--to", dest="last", type=int, metavar="SERIAL", help="last serial (the batch's last)"
    )
    parser.add_argument("--recipient", metavar="AGE_KEY", help="encrypt the file to this age public key")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Write the label file and its SHA-256 beside it; a broken-off plain file goes on where it stopped."""
    from app.bootstrap.workshop import Workshop
    from app.core.model.label import CodeBatch
    from app.issuing.codebook import Codebook
    from app.issuing.label_files import LabelFileOrder, LabelFileWriter

    async def load(workshop: Workshop) -> tuple[CodeBatch, Codebook]:
        batch = await workshop.registry.batch(BatchId(arguments.batch))
        return batch, (await workshop.keyring()).codebook()

    batch, codebook = in_workshop(arguments, load)
    progress = Progress("writing labels")
    try:
        file = LabelFileWriter(codebook).write(
            LabelFileOrder(
                batch=batch,
                path=arguments.out,
                first_serial=arguments.first,
                last_serial=arguments.last,
                recipient=arguments.recipient,
            ),
            progress=progress.show,
        )
    finally:
        progress.close()
    if arguments.json:
        write_json(
            {"file": str(file.path), "labels": file.lines, "bytes": file.size_bytes, "sha256": file.sha256}
        )
        return 0
    resumed = f", resumed at line {file.resumed_at_line:,}" if file.resumed_at_line else ""
    write_line(
        f"{file.path}: {file.lines:,} labels, {file.size_bytes:,} bytes{resumed}, SHA-256 {file.sha256}"
    )
    if arguments.recipient is None:
        write_line(
            "It holds hidden codes in clear: encrypt it with --recipient for the way, delete it when printed."
        )
    return 0
