"""`yanzhen backup`."""

from __future__ import annotations

import argparse
from pathlib import Path

from app.cli.context import add_json, settings_of
from app.cli.output import write_json, write_line


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument(
        "--out", required=True, type=Path, metavar="FILE", help="a new file; none is written over"
    )
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Back the database up while the service runs; the key file is left out and named."""
    from app.bootstrap.backups import back_up

    settings = settings_of(arguments)
    made = back_up(settings, arguments.out)
    if arguments.json:
        write_json(
            {
                "file": str(made.path),
                "bytes": made.size_bytes,
                "sha256": made.sha256,
                "created_at": made.created_at,
                "rows": dict(made.rows),
                "holds_keys": False,
            }
        )
        return 0
    facts, batches = made.rows.get("verification", 0), made.rows.get("batch", 0)
    write_line(f"{made.path}: {facts:,} verifications, {batches:,} batches, {made.size_bytes:,} bytes.")
    write_line(f"The keys are not in it: back up {settings.key_file} apart from it.")
    write_line(f"Try it: yanzhen restore {made.path} --verify-only")
    return 0
