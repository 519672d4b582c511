"""`yanzhen batch issue`."""

from __future__ import annotations

import argparse

from app.cli.context import add_json, in_workshop
from app.cli.fields import positive
from app.cli.output import write_json, write_line, write_notice
from app.core.model.label import ProductId, ProgrammeId


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("--product", required=True, type=int, metavar="ID", help="see `yanzhen product list`")
    parser.add_argument(
        "--programme", type=int, metavar="ID", help="label programme, see `yanzhen programme list`"
    )
    parser.add_argument("--quantity", required=True, type=positive, metavar="N", help="labels, 1 to 1e9")
    parser.add_argument(
        "--layout", type=int, default=20, metavar="DIGITS", help="digits of a code: 16, 20 or 24 (20)"
    )
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Issue the batch and print its id and serials; the labels answer `not_active` until they are activated."""
    from app.bootstrap.workshop import Workshop
    from app.issuing.batches import Issued, IssueRequest

    async def issue(workshop: Workshop) -> Issued:
        issuing = await workshop.issuing()
        return await issuing.issue(
            IssueRequest(
                product_id=ProductId(arguments.product),
                programme_id=None if arguments.programme is None else ProgrammeId(arguments.programme),
                quantity=arguments.quantity,
                layout=arguments.layout,
                url_prefix=workshop.url_prefix,
            )
        )

    issued = in_workshop(arguments, issue)
    for warning in issued.warnings:
        write_notice(f"Warning: {warning}")
    batch = issued.batch
    if arguments.json:
        write_json(
            {
                "id": batch.id,
                "first_serial": batch.first_serial,
                "last_serial": batch.last_serial,
                "density": issued.density.share,
                "guess_rate": issued.density.guess_rate,
                "warnings": list(issued.warnings),
            }
        )
        return 0
    write_line(
        f"Batch {batch.id}: {arguments.quantity:,} labels, serials {batch.first_serial} to {batch.last_serial}."
    )
    write_line(
        f"Of all {arguments.layout}-digit strings {issued.density.share:.1e} are real now; a guess with right check "
        f"digits hits one with {issued.density.guess_rate:.1e}."
    )
    write_line(
        f"Next: yanzhen batch export {batch.id} --out FILE, and when they are on the goods: batch activate {batch.id}"
    )
    return 0
