"""`yanzhen batch list`."""

from __future__ import annotations

import argparse

from app.cli.batch_figures import as_json, quantity, spoken_states
from app.cli.context import add_json, in_workshop
from app.cli.output import write_json, write_table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print every batch."""
    catalogue = in_workshop(arguments, lambda workshop: workshop.catalogues.load())
    batches = sorted(catalogue.batches, key=lambda batch: batch.id)
    if arguments.json:
        write_json([as_json(batch, catalogue) for batch in batches])
        return 0
    write_table(
        ("ID", "BRAND", "PRODUCT", "PROGRAMME", "DIGITS", "LABELS", "FIRST SERIAL", "STATES", "ISSUED (UTC)"),
        (
            (
                batch.id,
                batch.product.brand.name,
                f"{batch.product.id} {batch.product.name}",
                batch.programme.name if batch.programme else "",
                f"{batch.digits} imported" if batch.imported else batch.layout,
                f"{quantity(batch):,}",
                batch.first_serial,
                spoken_states(batch, catalogue),
                batch.issued_at,
            )
            for batch in batches
        ),
    )
    return 0
