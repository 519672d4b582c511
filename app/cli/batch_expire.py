"""`yanzhen batch expire`."""

from __future__ import annotations

import argparse

from app.cli.batch_changes import add_range, change_range
from app.cli.context import add_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("batch", type=int, metavar="ID", help="see `yanzhen batch list`")
    add_range(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """End the checking of the labels; it says nothing about a date on the pack."""
    return change_range(arguments, lambda cycle: cycle.expire)
