"""`yanzhen keys rotate`."""

from __future__ import annotations

import argparse

from app.cli.context import add_json, in_workshop
from app.cli.output import write_json, write_line


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Add a tag key; batches issued from now on use it, older labels keep theirs."""
    from app.bootstrap.workshop import Workshop

    async def rotate(workshop: Workshop) -> tuple[int, str]:
        await workshop.keyring()  # never add a key to a file that does not fit the database
        ring = workshop.key_file.rotate(now=workshop.clock.now())
        await workshop.registry.put_key_checks(ring.checks())
        return ring.current_tag_key_id, str(workshop.key_file.path)

    tag_key_id, path = in_workshop(arguments, rotate)
    if arguments.json:
        write_json({"tag_key_id": tag_key_id})
    else:
        write_line(f"Tag key {tag_key_id} added: batches issued from now on use it, older labels stay valid.")
        write_line(f"Back up {path} now: the last backup lacks this key.")
    return 0
