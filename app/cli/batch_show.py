"""`yanzhen batch show`."""

from __future__ import annotations

import argparse

from app.cli.batch_figures import as_json
from app.cli.context import add_json, in_workshop
from app.cli.output import write_json, write_line, write_table
from app.core.errors import NotFound
from app.core.model.catalogue import Catalogue
from app.core.model.label import CodeBatch, LabelState, StateSpan


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("batch", type=int, metavar="ID", help="see `yanzhen batch list`")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print one batch and the state of each of its serial ranges."""
    catalogue = in_workshop(arguments, lambda workshop: workshop.catalogues.load())
    batch = next((found for found in catalogue.batches if found.id == arguments.batch), None)
    if batch is None:
        raise NotFound(f"There is no batch {arguments.batch}. `yanzhen batch list` shows those there are.")
    facts = as_json(batch, catalogue)
    ranges = list(_ranges(batch, catalogue))
    if arguments.json:
        rows = [{"from": a, "to": b, "state": s.state, "at": s.at, "reason": s.reason} for a, b, s in ranges]
        write_json({**facts, "ranges": rows})
        return 0
    del facts["states"]
    write_table(("FACT", "VALUE"), facts.items())
    write_line()
    write_table(
        ("FROM", "TO", "STATE", "SINCE (UTC)", "REASON"),
        ((first, last, span.state, span.at, span.reason) for first, last, span in ranges),
    )
    return 0


def _ranges(batch: CodeBatch, catalogue: Catalogue) -> list[tuple[int, int, StateSpan]]:
    spans = catalogue.spans.get(batch.id, ())
    if not spans or spans[0].first_serial > batch.first_serial:
        spans = (StateSpan(first_serial=batch.first_serial, state=LabelState.ISSUED), *spans)
    ends = [span.first_serial - 1 for span in spans[1:]] + [int(batch.last_serial)]
    return [
        (span.first_serial, end, span)
        for span, end in zip(spans, ends, strict=True)
        if span.first_serial <= end
    ]
