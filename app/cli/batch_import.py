"""`yanzhen batch import`."""

from __future__ import annotations

import argparse
from pathlib import Path

from app.cli.batch_figures import quantity
from app.cli.context import add_json, in_workshop
from app.cli.output import write_json, write_line
from app.core.model.label import ProductId, ProgrammeId


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("file", type=Path, metavar="FILE", help="CSV whose first column holds the digits")
    parser.add_argument("--product", required=True, type=int, metavar="ID", help="see `yanzhen product list`")
    parser.add_argument(
        "--programme", type=int, metavar="ID", help="label programme, see `yanzhen programme list`"
    )
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Import all codes of the file, or none and say which lines are wrong."""
    from app.bootstrap.workshop import Workshop
    from app.issuing.batches import Issued
    from app.issuing.imports import ImportRequest

    async def take(workshop: Workshop) -> Issued:
        return await workshop.code_import().take(
            ImportRequest(
                product_id=ProductId(arguments.product),
                programme_id=None if arguments.programme is None else ProgrammeId(arguments.programme),
                path=arguments.file,
            )
        )

    issued = in_workshop(arguments, take)
    batch = issued.batch
    if arguments.json:
        write_json({"id": batch.id, "first_serial": batch.first_serial, "last_serial": batch.last_serial})
    else:
        write_line(
            f"Batch {batch.id}: {quantity(batch):,} codes of {batch.digits} digits imported, kept as digests only."
        )
        write_line(f"Next: yanzhen batch activate {batch.id}")
    return 0
