"""`yanzhen batch recall`."""

from __future__ import annotations

import argparse

from app.cli.context import add_json, in_workshop
from app.cli.fields import reason
from app.cli.output import write_json, write_line
from app.core.model.label import BatchId


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("batch", type=int, metavar="ID", help="see `yanzhen batch list`")
    parser.add_argument(
        "--reason", default="", type=reason, help="why; needed for a recall, kept with the change"
    )
    parser.add_argument("--lift", action="store_true", help="lift the recall instead")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Recall the batch or lift its recall, from the next commit of a running server."""
    from app.bootstrap.workshop import Workshop

    batch_id = BatchId(arguments.batch)

    async def change(workshop: Workshop) -> None:
        cycle = workshop.life_cycle()
        if arguments.lift:
            await cycle.lift_recall(batch_id, reason=arguments.reason)
        else:
            await cycle.recall(batch_id, reason=arguments.reason)

    in_workshop(arguments, change)
    if arguments.json:
        write_json({"id": batch_id, "recalled": not arguments.lift})
    elif arguments.lift:
        write_line(f"The recall of batch {batch_id} is lifted: its labels answer by their own states again.")
    else:
        write_line(f"Batch {batch_id} is recalled: every label of it answers `recalled` from now on.")
    return 0
