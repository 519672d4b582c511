"""`yanzhen programme add`."""

from __future__ import annotations

import argparse

from app.cli import fields
from app.cli.context import add_json, in_workshop
from app.cli.output import write_json, write_line


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("--name", required=True, type=fields.name, help="the name on the label")
    parser.add_argument(
        "--name-en", default="", type=fields.optional(fields.name), help="the name in English"
    )
    parser.add_argument(
        "--thresholds", type=fields.thresholds, metavar="G,W", help="genuine and warning, e.g. 1,4"
    )
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Add the programme and print its id."""
    programme = in_workshop(
        arguments,
        lambda workshop: workshop.registry.add_programme(
            name=arguments.name, name_en=arguments.name_en, thresholds=arguments.thresholds
        ),
    )
    if arguments.json:
        write_json({"id": programme.id})
    else:
        write_line(f"Label programme {programme.id} added: {programme.name}.")
    return 0
