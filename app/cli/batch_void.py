"""`yanzhen batch void`."""

from __future__ import annotations

import argparse
from pathlib import Path

from app.cli.batch_changes import add_range, change_range, show_change
from app.cli.context import add_json, in_workshop
from app.cli.exits import CommandInvalid


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("batch", type=int, nargs="?", metavar="ID", help="see `yanzhen batch list`")
    parser.add_argument(
        "--codes", type=Path, metavar="FILE", help="void the codes of this CSV, of whatever batch"
    )
    add_range(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Void a serial range of one batch, or all codes of a list (or none, saying which lines are wrong)."""
    if (arguments.batch is None) == (arguments.codes is None):
        raise CommandInvalid(
            "Name either a batch or --codes FILE: yanzhen batch void ID, or batch void --codes FILE."
        )
    if arguments.codes is None:
        return change_range(arguments, lambda cycle: cycle.void)
    if arguments.first is not None or arguments.last is not None:
        raise CommandInvalid("--codes names the labels itself: leave out --from and --to.")
    changed = in_workshop(
        arguments, lambda workshop: workshop.life_cycle().void_codes(arguments.codes, reason=arguments.reason)
    )
    return show_change(arguments, changed)
